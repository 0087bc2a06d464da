"""How a guest writes to its memory: where, how much, and when. Pure."""

import bisect
import dataclasses
import itertools
import math

#: Of a region that is dirty to this share, a sweep may be anywhere.
NEARLY_ALL = 0.95


@dataclasses.dataclass(frozen=True, slots=True)
class Region:
    """A part of the memory that is written to, over and over.

    :ivar sequential: it is swept from end to end, and not hit at random
    """

    mib: float
    rate_mib_s: float
    sequential: bool = False

    def dirty_share(self, written_mib: float) -> float:
        """Return which share of it is dirty after so much was written.

        What is written at random hits some pages twice, so that the share
        approaches the whole and never exceeds it.
        """
        if self.mib <= 0.0:
            return 0.0
        swept = written_mib / self.mib
        return min(1.0, swept) if self.sequential else -math.expm1(-swept)

    def dirty_mib(
        self, stays_mib: float, written_mib: float, was_mib: float
    ) -> float:
        """Return what of it is dirty after a pass in which so much is written.

        A sweep goes on where it stopped: past what the pass has not come to.
        Where nearly all was dirty before, it may be anywhere (seen with
        QEMU 7.2).

        :param stays_mib: what was dirty, and was not carried by the pass
        :param was_mib: what was dirty when the pass began
        """
        clean = max(0.0, self.mib - stays_mib)
        if not self.sequential:
            return stays_mib + clean * self.dirty_share(written_mib)
        swept = min(self.mib, written_mib)
        if was_mib >= NEARLY_ALL * self.mib > 0.0:
            swept *= clean / self.mib
        return min(self.mib, stays_mib + swept)


@dataclasses.dataclass(frozen=True, slots=True)
class Tempo:
    """How the rates of a guest change with time.

    :ivar steps: seconds, and the factor of all rates meanwhile
    :ivar repeats: it begins anew after its last step, which otherwise goes
        on for ever
    """

    steps: tuple[tuple[float, float], ...]
    repeats: bool = False

    def written(self, start: float, seconds: float) -> float:
        """Return the time of full rate that a stretch of time is worth."""
        return self._until(start + seconds) - self._until(start)

    def _until(self, at: float) -> float:
        ends = list(itertools.accumulate(one[0] for one in self.steps))
        worth = list(
            itertools.accumulate(
                (one[0] * one[1] for one in self.steps), initial=0.0
            )
        )
        rounds = 0.0
        if self.repeats:
            rounds, at = divmod(at, ends[-1])
        step = min(bisect.bisect_right(ends, at), len(ends) - 1)
        begun = ends[step] - self.steps[step][0]
        into = (at - begun) * self.steps[step][1]
        return rounds * worth[-1] + worth[step] + into
