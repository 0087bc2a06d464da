"""Whether the copy of disks gets anywhere.

Pure. A guest that writes to its disks faster than they are copied leaves as
much to be copied as before, and the copy has no end: unlike the memory's it
has no passes by which that would be seen. What tells is that what is left
does not fall.
"""

from kvm_balancer.migration import events

#: What falls by less than this share of what is left, and by less than so
#: much, may as well be the guest's mood.
LEAST_SHARE = 0.001
LEAST_MIB = 1.0
#: Disks set out one after the other: what is left rises meanwhile.
SETTING_OUT_SECONDS = 60.0


class DiskGain:
    """What is left of disks, and since when that has not fallen.

    :ivar left_mib: the least that was seen to be left
    """

    def __init__(self) -> None:
        self.left_mib = 0.0
        self._begun_at: float | None = None
        self._gained_at = self._seen_at = 0.0

    def take(self, seen: events.Statistics, at: float) -> None:
        """Take in a look at a job that copies disks."""
        left, self._seen_at = seen.disk_remaining_mib, at
        if left <= 0.0:
            # none of them has set out, or all are across
            self._begun_at = None
            return
        if self._begun_at is None:
            self._begun_at = at
        least = self.left_mib
        if at - self._begun_at < SETTING_OUT_SECONDS or least - left >= max(
            LEAST_MIB, LEAST_SHARE * least
        ):
            self.left_mib, self._gained_at = left, at

    @property
    def idle_seconds(self) -> float:
        """For how long nothing has been gained, as far as was seen."""
        if self._begun_at is None:
            return 0.0
        return self._seen_at - self._gained_at
