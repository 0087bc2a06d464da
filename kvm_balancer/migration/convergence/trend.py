"""What a copy has shown of itself so far: bandwidth, passes and throttle.

Remaining memory is believed at boundaries only; between two of them it is a
saw tooth. Bandwidth is smoothed.
"""

import dataclasses
import math

from kvm_balancer.migration import events

#: Weight of the newest sample of the bandwidth.
ALPHA = 0.4
#: The peak of the bandwidth is forgotten by half in this time, so that a
#: burst at the start is no measure for ever, and a link that stays slow
#: becomes the link there is.
PEAK_HALF_LIFE_SECONDS = 120.0
#: Samples before the peak is taken: the first ones are of a stream that
#: starts.
WARM_UP_SAMPLES = 3
#: Ratios of one pass to the one before that are averaged.
WINDOW = 3


@dataclasses.dataclass(frozen=True, slots=True)
class Boundary:
    """What was left when a pass ended.

    :ivar passes: full passes done by then
    :ivar sent_mib: what had gone over the network by then; 0 where not told
    """

    at: float
    passes: int
    remaining_mib: float
    throttle_percent: int
    sent_mib: float


class Trend:
    """The history of one copy of memory.

    :ivar bandwidth_mib_s: smoothed; 0 while nothing was seen
    :ivar boundaries: ends of full passes, oldest first
    """

    def __init__(self) -> None:
        self.bandwidth_mib_s = 0.0
        self.boundaries: list[Boundary] = []
        self.total_mib = 0.0
        self.started_at: float | None = None
        self.collapsed_since: float | None = None
        self._peak_mib_s = 0.0
        self._samples = 0
        self._sampled_at = 0.0

    def measure(
        self, statistics: events.Statistics, at: float, boundary: bool
    ) -> None:
        """Take in what the copy looks like at *at*."""
        if self.started_at is None:
            self.started_at = at
        self.total_mib = max(self.total_mib, statistics.remaining_mib)
        if statistics.bandwidth_mib_s > 0:
            self._sample(statistics.bandwidth_mib_s, at)
        passes = statistics.iteration - 1
        if boundary and passes >= 1:
            self.boundaries.append(
                Boundary(
                    at,
                    passes,
                    statistics.remaining_mib,
                    statistics.throttle_percent,
                    statistics.transferred_mib,
                )
            )

    def _sample(self, bandwidth_mib_s: float, at: float) -> None:
        self._samples += 1
        if self._samples == 1:
            self.bandwidth_mib_s = bandwidth_mib_s
        else:
            self.bandwidth_mib_s += ALPHA * (
                bandwidth_mib_s - self.bandwidth_mib_s
            )
            aged = max(0.0, at - self._sampled_at)
            self._peak_mib_s *= 0.5 ** (aged / PEAK_HALF_LIFE_SECONDS)
        self._sampled_at = at
        if self._samples >= WARM_UP_SAMPLES:
            self._peak_mib_s = max(self._peak_mib_s, self.bandwidth_mib_s)
        if self.bandwidth_mib_s >= self._peak_mib_s / 2:
            self.collapsed_since = None
        elif self.collapsed_since is None:
            self.collapsed_since = at

    @property
    def remaining_mib(self) -> float:
        """What was left at the last boundary; all of it before the first."""
        if self.boundaries:
            return self.boundaries[-1].remaining_mib
        return self.total_mib

    @property
    def pause_ms(self) -> float:
        """How long the guest would stand still if it were switched now."""
        return self._seconds(self.remaining_mib) * 1000.0

    @property
    def first_pass_seconds(self) -> float:
        """How long the first full pass took; infinite before its end."""
        if not self.boundaries or self.started_at is None:
            return math.inf
        first = self.boundaries[0]
        return max(
            (first.at - self.started_at) / first.passes,
            # the copy may have been seen late
            self._seconds(first.sent_mib / first.passes),
        )

    @property
    def first_pass_mib(self) -> float:
        """What the first pass sent; pages full of zeros cost nothing."""
        if self.boundaries and self.boundaries[0].sent_mib > 0:
            first = self.boundaries[0]
            return min(self.total_mib, first.sent_mib / first.passes)
        return self.total_mib

    @property
    def steady(self) -> list[float]:
        """What was left at the boundaries since the throttle last moved."""
        left: list[float] = []
        for seen in reversed(self.boundaries):
            if seen.throttle_percent != self.boundaries[-1].throttle_percent:
                break
            left.append(seen.remaining_mib)
        return left[::-1]

    @property
    def since_throttled(self) -> int:
        """Boundaries that the present throttle has seen."""
        return len(self.steady)

    def ratio(self) -> float:
        """What one pass leaves of what the one before it left.

        After the first pass alone: the share of what it sent that was
        dirtied meanwhile, which the true ratio is not below.
        """
        steady = self.steady
        if len(steady) < 2:
            before = (
                self.boundaries[-2].remaining_mib
                if len(self.boundaries) >= 2
                else self.first_pass_mib
            )
            return _ratio(self.remaining_mib, before, 1)
        steps = min(WINDOW, len(steady) - 1)
        return _ratio(steady[-1], steady[-1 - steps], steps)

    def seconds_left(self, downtime_ms: float) -> float:
        """Time until what is left fits *downtime_ms*, if all goes on so.

        :returns: infinite where it does not get there
        """
        ratio = self.ratio()
        fits_mib = self.bandwidth_mib_s * downtime_ms / 1000.0
        left_mib = self.remaining_mib
        if left_mib <= fits_mib:
            return self._seconds(left_mib)
        if ratio >= 1.0 or fits_mib <= 0.0:
            return math.inf
        if ratio <= 0.0:
            return self._seconds(left_mib)
        passes = math.ceil(math.log(fits_mib / left_mib) / math.log(ratio))
        return self._seconds(
            left_mib * (1.0 - ratio**passes) / (1.0 - ratio)
            + left_mib * ratio**passes
        )

    def _seconds(self, mib: float) -> float:
        if self.bandwidth_mib_s <= 0.0:
            return math.inf
        return mib / self.bandwidth_mib_s


def _ratio(after: float, before: float, steps: int) -> float:
    if before <= 0.0:
        return 1.0
    return float((after / before) ** (1.0 / steps))
