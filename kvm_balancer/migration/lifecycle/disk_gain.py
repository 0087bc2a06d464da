"""Whether the copy of disks gets anywhere.

Pure. A guest that writes to its disks faster than they are copied leaves as
much to be copied as before, and the copy has no end: unlike the memory's it
has no passes by which that would be seen. What tells is that what is left
does not fall; that it is the guest's doing, that something was copied
meanwhile.
"""

from kvm_balancer.migration import events

#: What falls by less than this share of what is left may as well be the
#: guest's mood; so much is a gain in any case, as a slow link takes for a
#: share of a large disk longer than anybody waits.
LEAST_SHARE = 0.001
LEAST_MIB, MOST_MIB = 1.0, 64.0
#: Disks set out one after the other: what is left rises meanwhile.
SETTING_OUT_SECONDS = 60.0


class DiskGain:
    """What is left of disks, and since when that has not fallen.

    :ivar left_mib: the least that was seen to be left
    :ivar copied_mib: what was copied since then
    """

    def __init__(self) -> None:
        self.left_mib = self.copied_mib = 0.0
        self._copied_before = 0.0
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
        copied = seen.disk_total_mib - left
        least = self.left_mib
        worth = min(max(LEAST_MIB, LEAST_SHARE * least), MOST_MIB)
        if at - self._begun_at < SETTING_OUT_SECONDS or least - left >= worth:
            self.left_mib, self._gained_at = left, at
            self._copied_before = copied
        self.copied_mib = copied - self._copied_before

    @property
    def is_outrun(self) -> bool:
        """It is copied, and the guest writes as much again meanwhile."""
        return self.copied_mib >= LEAST_MIB

    @property
    def idle_seconds(self) -> float:
        """For how long nothing has been gained, as far as was seen."""
        if self._begun_at is None:
            return 0.0
        return self._seen_at - self._gained_at
