"""Hot set and cold rate of a guest, from what it dirtied within windows.

A measurement says how much memory differed between the two ends of a window
of some seconds: a page that was written twice counts once. With windows of
different lengths the curve U of :mod:`.dirtying` shows: it rises while the
hot set is swept, has its knee where all of it is dirty, and goes on with the
cold rate alone.

Fitted is r min(t, k) + c t, the knee k looked for among many, r and c by
least squares. Where several agree with what was measured, the one with the
least cold rate is taken; where no knee shows at all, all memory is hot.
"""

import collections.abc
import dataclasses
import math

#: Far less than a page.
_NOTHING_MIB = 1e-6
#: Knees that are tried, per doubling of the time.
_KNEES_PER_DOUBLING = 32
#: What one measurement may be off by, however many pages are looked at;
#: errors of long and short windows are alike in this share.
_NOISE = 0.1
#: A hypervisor looks at one page of so much memory, as QEMU does: what it
#: found is off by the square root of the pages that it found, and where it
#: found none there may be as much as one stands for.
_SAMPLE_MIB = 2.0
#: Weight of the wish for a low cold rate against an error of one noise.
_PLAINNESS = 0.2
#: The rest of the memory cannot be dirty to more than this share at the end
#: of a window, as far as the fit believes.
_MOST_OF_REST = 0.95


@dataclasses.dataclass(frozen=True, slots=True)
class Dirtied:
    """What a measurement saw.

    :ivar seconds: length of the window
    :ivar mib: memory that differed between its ends
    """

    seconds: float
    mib: float


@dataclasses.dataclass(frozen=True, slots=True)
class HotSet:
    """How a guest writes, for :class:`.dirtying.Dirtying`.

    :ivar dirty_rate_mib_s: at which clean memory gets dirty at first
    :ivar hot_set_mib: all memory in use where no end of it was seen
    :ivar cold_rate_mib_s: the part of that rate that goes elsewhere
    """

    dirty_rate_mib_s: float
    hot_set_mib: float
    cold_rate_mib_s: float


def fit(
    measured: collections.abc.Sequence[Dirtied], memory_in_use_mib: float
) -> HotSet:
    """Find hot set and cold rate that explain what was *measured*.

    :param measured: at least one window; several of one length count each
    """
    points = [one for one in measured if one.seconds > 0.0]
    if not points:
        raise ValueError('nothing was measured')
    most = max(one.mib for one in points)
    if most < _NOTHING_MIB:
        return HotSet(0.0, 0.0, 0.0)
    weights = [
        1.0 / ((one.mib * _NOISE) ** 2 + _SAMPLE_MIB * (one.mib + _SAMPLE_MIB))
        for one in points
    ]
    longest = max(one.seconds for one in points)
    best = (math.inf, 0.0, 0.0, 0.0)
    for knee in _knees(points):
        rate, cold = _least_squares(points, weights, knee)
        error = sum(
            weight
            * (rate * min(one.seconds, knee) + cold * one.seconds - one.mib)
            ** 2
            for one, weight in zip(points, weights, strict=True)
        )
        plain = cold / (rate + cold) if rate + cold > 0.0 else 1.0
        best = min(best, (error + _PLAINNESS * plain, knee, rate, cold))
    _, knee, rate, cold = best
    if knee >= longest or rate <= 0.0:
        # as much as was seen, and who knows how much more
        return HotSet(rate + cold, memory_in_use_mib, 0.0)
    hot = min(rate * knee, memory_in_use_mib)
    cold = _unsaturated(cold, longest, memory_in_use_mib - hot)
    return HotSet(rate + cold, hot, cold)


def _knees(
    points: collections.abc.Sequence[Dirtied],
) -> collections.abc.Iterator[float]:
    """Return what is tried: from half the first window to the longest."""
    first = min(one.seconds for one in points) / 2.0
    longest = max(one.seconds for one in points)
    if longest <= 2.0 * first:
        # a single window shows no knee
        yield longest
        return
    steps = math.ceil(math.log2(longest / first) * _KNEES_PER_DOUBLING)
    for step in range(steps + 1):
        yield min(first * (longest / first) ** (step / steps), longest)


def _least_squares(
    points: collections.abc.Sequence[Dirtied],
    weights: collections.abc.Sequence[float],
    knee: float,
) -> tuple[float, float]:
    """Return rate and cold rate for one knee, neither below 0."""
    aa = ab = bb = ay = by = 0.0
    for one, weight in zip(points, weights, strict=True):
        a, b = min(one.seconds, knee), one.seconds
        aa += weight * a * a
        ab += weight * a * b
        bb += weight * b * b
        ay += weight * a * one.mib
        by += weight * b * one.mib
    determinant = aa * bb - ab * ab
    if determinant > 1e-9 * aa * bb:
        rate = (ay * bb - by * ab) / determinant
        cold = (by * aa - ay * ab) / determinant
        if rate >= 0.0 and cold >= 0.0:
            return rate, cold
        if rate < 0.0:
            return 0.0, by / bb
    return ay / aa, 0.0


def _unsaturated(cold: float, seconds: float, rest_mib: float) -> float:
    """Return the rate of writes that left so much of the rest dirty.

    The fit is of what got dirty; some pages were hit twice.
    """
    if cold <= 0.0 or rest_mib <= 0.0:
        return 0.0
    share = min(cold * seconds / rest_mib, _MOST_OF_REST)
    return -math.log1p(-share) * rest_mib / seconds
