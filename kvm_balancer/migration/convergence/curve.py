"""What a pass leaves, by the time that the guest had to write in it.

How the two go together, in the time of a guest that is not slowed down, is
the same whatever the bandwidth and the throttle: it is a curve that rises by
the dirty rate at first and bends where the working set is dirty as a whole.
Two passes of different lengths show how far it bends: between them it is
taken for c x t**b, with b = 1 where pages are rarely hit twice, and b = 0
where all of the working set is dirty whatever the time.
"""

import collections.abc
import dataclasses
import math

from kvm_balancer.migration.convergence import boundary

#: Passes that are looked at; what is older may be another guest's.
WINDOW = 4
#: Lengths of passes that differ by less show nothing of the curve.
APART = 1.2
#: No copy is looked ahead for longer.
MOST_PASSES = 400
#: A pass that leaves more than this of the one before leaves it all.
STALLS = 0.999

#: The same, of passes that are straight: rounding is no progress.
STALLED_FOR_GOOD = 1.0 - 1e-6

#: How the curve may bend: not at all, and as far as it can.
STRAIGHT, FLAT = 1.0, 0.0

Boundaries = collections.abc.Sequence[boundary.Boundary]


@dataclasses.dataclass(frozen=True, slots=True)
class Ahead:
    """A copy from here on, if all goes on so.

    :ivar left_mib: what was left at the last boundary
    :ivar fits_mib: what the stop may carry; less than what is left
    :ivar stays_mib: what each pass leaves to the next one, and the last to
        the stop
    :ivar speed_mib_s: how fast memory goes across; above 0
    :ivar share: of its time in which the guest is not slowed down
    """

    left_mib: float
    fits_mib: float
    stays_mib: float
    speed_mib_s: float
    share: float


@dataclasses.dataclass(frozen=True, slots=True)
class Curve:
    """The curve c x t**b of a guest.

    :ivar level: c, MiB
    :ivar power: b
    """

    level: float
    power: float

    def seconds(self, ahead: Ahead, shortest_seconds: float = 0.0) -> float:
        """Return the time until what is left fits, the stop included.

        :param shortest_seconds: passes in which the guest writes for less
            are taken for straight
        :returns: infinite where it does not get there
        """
        if self.power == STRAIGHT and ahead.fits_mib > 0.0:
            return self._straight_mib(ahead) / ahead.speed_mib_s
        seconds, left = 0.0, ahead.left_mib
        for _ in range(MOST_PASSES):
            took = (left - ahead.stays_mib) / ahead.speed_mib_s
            seconds += took
            written = max(took * ahead.share, shortest_seconds)
            dirtied = self.level * math.pow(written, self.power)
            after = ahead.stays_mib + dirtied * (took * ahead.share / written)
            if after <= ahead.fits_mib:
                return seconds + after / ahead.speed_mib_s
            if after > STALLS * left:
                return math.inf
            left = after
        return math.inf

    def _straight_mib(self, ahead: Ahead) -> float:
        """Return what passes carry that leave the same share of each other."""
        stays = ahead.stays_mib
        first, last = ahead.left_mib - stays, ahead.fits_mib - stays
        ratio = self.level * ahead.share / ahead.speed_mib_s
        if ratio > STALLED_FOR_GOOD:
            return math.inf
        if ratio <= 0.0:
            return first + stays
        passes = math.ceil(math.log(last / first) / math.log(ratio))
        shrunk = math.pow(ratio, max(0, passes))
        return first * ((1.0 - shrunk) / (1.0 - ratio) + shrunk) + stays


def bend(seen: Boundaries) -> float | None:
    """Return b of the curve; None where the passes do not show it."""
    shown = _showing(seen[-WINDOW:])
    if len(shown) < 2:
        return None
    longest = max(shown, key=lambda one: one.written_seconds)
    shortest = min(shown, key=lambda one: one.written_seconds)
    apart = longest.written_seconds / shortest.written_seconds
    if apart < APART:
        return None
    more = math.log(longest.dirtied_mib / shortest.dirtied_mib)
    seen_bend = min(STRAIGHT, max(FLAT, more / math.log(apart)))
    # in shorter passes than these it bends less
    return (seen_bend + STRAIGHT) / 2.0


def through(seen: Boundaries, power: float) -> Curve:
    """Return the curve that bends so, through the mean of the last passes."""
    shown = _showing(seen[-WINDOW + 1 :])
    if not shown:
        return Curve(0.0, power)
    logs = [
        math.log(one.dirtied_mib) - power * math.log(one.written_seconds)
        for one in shown
    ]
    return Curve(math.exp(sum(logs) / len(logs)), power)


def shortest_seconds(seen: Boundaries) -> float:
    """Return for how long the guest wrote in the shortest pass that shows."""
    return min(
        (one.written_seconds for one in _showing(seen[-WINDOW:])), default=0.0
    )


def _showing(seen: Boundaries) -> list[boundary.Boundary]:
    return [one for one in seen if one.shows]
