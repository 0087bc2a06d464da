"""What a copy has shown of itself so far: bandwidth, passes and throttle.

Remaining memory is believed at boundaries only; between two of them it is a
saw tooth. Statistics of a boundary that were answered late are of a while
after it: what was sent meanwhile is added again.

What they tell of the guest is read off the curve that they lie on
(:mod:`.curve`).
"""

import math

from kvm_balancer.migration import events
from kvm_balancer.migration import qemu
from kvm_balancer.migration.convergence import boundary as boundaries
from kvm_balancer.migration.convergence import curve
from kvm_balancer.migration.convergence import link
from kvm_balancer.migration.lifecycle import pulse

ALPHA = link.ALPHA
#: How far below what fits a pass is when QEMU asks what got dirty.
LOOK_SECONDS = qemu.MEAN_LOOK_SECONDS
#: The hypervisor's figure is believed unless less than this share of it was
#: transferred meanwhile.
BELIED = 0.5


class Trend:
    """The history of one copy of memory.

    :ivar link: what the network shows
    :ivar pulse: whether anything goes across it
    :ivar boundaries: ends of full passes, oldest first
    :ivar limit_ms: of the downtime, as it is
    :param compresses: less is sent than the memory that goes across
    """

    def __init__(self, compresses: bool = False) -> None:
        self.link = link.Link()
        self.pulse = pulse.Pulse()
        self.limit_ms = 0
        self.boundaries: list[boundaries.Boundary] = []
        self.total_mib = 0.0
        self.started_at: float | None = None
        self._lost_at_first = self._sent_before_mib = 0.0
        self._compresses = compresses
        self._origin = math.inf
        self._seen_at = self._left_mib = 0.0
        self._throttle_percent = 0

    @property
    def bandwidth_mib_s(self) -> float:
        """Smoothed; 0 while nothing was seen."""
        return self.link.bandwidth_mib_s

    def measure(
        self, statistics: events.Statistics, at: float, boundary: bool
    ) -> bool:
        """Take in what the copy looks like at *at*.

        :returns: whether anything of it is new; what is shown again, while
            the hypervisor does not answer, measures nothing
        """
        if self.started_at is None:
            self.started_at = at
            self._sent_before_mib = statistics.transferred_mib
        self.total_mib = max(self.total_mib, statistics.remaining_mib)
        self._seen_at, self._left_mib = at, statistics.remaining_mib
        new = self.pulse.is_new(statistics)
        if new:
            self._sample(statistics, at)
        if boundary and statistics.iteration >= 2:
            self._end_pass(statistics, at)
        elif not boundary and statistics.elapsed_ms > 0.0:
            # the job's clock began then, or a little earlier
            self._origin = min(
                self._origin, at - statistics.elapsed_ms / 1000.0
            )
        return new

    def _sample(self, statistics: events.Statistics, at: float) -> None:
        """Measure the bandwidth, by what is said and by what was sent."""
        told = statistics.bandwidth_mib_s
        if not self.pulse.take(statistics, at):
            if not self.link.known:
                self.link.sample(told, at)
            return
        sent = self.pulse.sustained_mib_s
        seen = told if 0.0 < BELIED * told <= sent else sent
        half = self.bandwidth_mib_s / 2.0
        if seen < half and (
            half <= self.pulse.cleared_mib_s
            or self.pulse.waiting_mib <= half * LOOK_SECONDS
        ):
            # pages of zeros, or of little news, or next to none: the link
            # waits for them
            self.link.wait(at)
            return
        self.link.sample(seen, at, sent)

    def _late_mib(self, statistics: events.Statistics, at: float) -> float:
        """Return what was sent between a boundary and its statistics."""
        if not math.isfinite(self._origin) or statistics.elapsed_ms <= 0.0:
            return 0.0
        late = self._origin + statistics.elapsed_ms / 1000.0 - at
        return max(0.0, late) * self.bandwidth_mib_s

    def _end_pass(self, statistics: events.Statistics, at: float) -> None:
        passes = statistics.iteration - 1
        before = self.boundaries[-1] if self.boundaries else None
        if before is not None and passes <= before.passes:
            return
        late_mib = self._late_mib(statistics, at)
        left = statistics.remaining_mib + late_mib
        sent = max(0.0, statistics.transferred_mib - late_mib)
        since = at if self.started_at is None else self.started_at
        if before is None:
            self._lost_at_first = self.link.lost_seconds
        else:
            # a pass leaves less than the one before; more was not late only
            most = max(before.remaining_mib, statistics.remaining_mib)
            left = min(left, most) if late_mib else left
            since = before.at
        carried = self._carried(before, sent, at - since)
        uncarried = max(0.0, before.remaining_mib - carried) if before else 0.0
        share = 1.0 - self._throttle_percent / 100.0
        self._throttle_percent = statistics.throttle_percent
        self.boundaries.append(
            boundaries.Boundary(
                at,
                passes,
                left,
                statistics.throttle_percent,
                sent,
                carried,
                (at - since) * share,
                max(0.0, left - uncarried),
                self.link.seconds(late_mib) if late_mib else 0.0,
            )
        )

    def _carried(
        self, before: boundaries.Boundary | None, sent: float, seconds: float
    ) -> float:
        """Return how much memory went across since the boundary before."""
        if before is None:
            return min(self.total_mib, sent) if sent > 0 else self.total_mib
        if self._compresses:
            stays = self.limit_ms / 1000.0 - LOOK_SECONDS
            stays = max(0.0, stays * self.bandwidth_mib_s)
            return max(before.remaining_mib - stays, sent - before.sent_mib)
        if sent > before.sent_mib:
            return min(before.remaining_mib, sent - before.sent_mib)
        return min(before.remaining_mib, seconds * self.bandwidth_mib_s)

    @property
    def remaining_mib(self) -> float:
        """What was left at the last boundary; all of it before the first."""
        if self.boundaries:
            return self.boundaries[-1].remaining_mib
        return self.total_mib

    @property
    def pause_ms(self) -> float:
        """How long the guest would stand still if it were switched now."""
        return self.link.seconds(self.remaining_mib) * 1000.0

    @property
    def next_pass_seconds(self) -> float:
        """How long the next pass takes.

        It ends when no more is left of it than fits the limit of the
        downtime.
        """
        fits = self.bandwidth_mib_s * self.limit_ms / 1000.0
        over = max(0.0, self.remaining_mib - fits)
        speed = self._speed_mib_s
        return (over / speed if speed > 0.0 else math.inf) + LOOK_SECONDS

    @property
    def done_seconds(self) -> float:
        """How much of the next pass is done, in the time that it takes.

        0 where it is the end of a pass that is looked at.
        """
        if not self.boundaries:
            return 0.0
        since = self._seen_at - self.boundaries[-1].at
        done = max(0.0, self.remaining_mib - self._left_mib)
        speed = self._speed_mib_s
        return min(since, done / speed) if speed > 0.0 else 0.0

    @property
    def first_pass_seconds(self) -> float:
        """How long the first full pass took, without what faults cost.

        Infinite before its end.
        """
        if not self.boundaries or self.started_at is None:
            return math.inf
        first = self.boundaries[0]
        # the copy may have been seen late
        before = self.link.seconds(self._sent_before_mib)
        seen = first.at - self.started_at - self._lost_at_first
        return (before + seen) / first.passes

    def ratio(self) -> float:
        """What got dirty in the last pass, of what it carried."""
        return self.boundaries[-1].ratio

    def bend(self) -> float | None:
        """Return b of the curve; None where the passes do not show it."""
        return curve.bend(self.boundaries)

    def seconds_left(
        self,
        downtime_ms: float,
        bend: float | None = None,
        hopefully: bool = False,
    ) -> float:
        """Time until what is left fits *downtime_ms*, if all goes on so.

        :param bend: of the curve, where another than the one that was seen
            is to be taken: ``curve.STRAIGHT`` for the least it can take,
            ``curve.FLAT`` for the most
        :param hopefully: shorter passes than were seen are straight
        :returns: the stop included; infinite where it does not get there
        """
        left, speed = self.remaining_mib, self._speed_mib_s
        fits = self.bandwidth_mib_s * downtime_ms / 1000.0
        if left <= fits or speed <= 0.0:
            return self.link.seconds(left)
        if bend is None:
            bend = self.bend()
        power = curve.STRAIGHT if bend is None else bend
        ahead = curve.Ahead(
            left_mib=left,
            fits_mib=fits,
            stays_mib=max(0.0, fits - self.bandwidth_mib_s * LOOK_SECONDS),
            speed_mib_s=speed,
            share=1.0 - self._throttle_percent / 100.0,
        )
        shortest = (
            curve.shortest_seconds(self.boundaries) if hopefully else 0.0
        )
        return curve.through(self.boundaries, power).seconds(ahead, shortest)

    @property
    def _speed_mib_s(self) -> float:
        """How fast memory goes across, which may be more than is sent."""
        if not self._compresses or len(self.boundaries) < 2:
            return self.bandwidth_mib_s
        before, last = self.boundaries[-2:]
        seconds = max(last.at - before.at, LOOK_SECONDS)
        return max(self.bandwidth_mib_s, last.carried_mib / seconds)
