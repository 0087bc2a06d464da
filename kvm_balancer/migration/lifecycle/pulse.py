"""Whether anything of a migration goes across, and how fast.

Pure. A hypervisor's own figure of the bandwidth freezes when the network
does: QEMU reckons it where it sends, and who waits to send reckons nothing.
What was transferred between two looks cannot lie. A look that shows what the
one before showed, the time of the job included, is none: it is repeated
while the hypervisor does not answer.
"""

import collections
import math

from kvm_balancer.migration import events
from kvm_balancer.migration import qemu

#: Over so long at least a stream is looked at before it is said to be slow.
SUSTAINED_SECONDS = 0.5


class Pulse:
    """What two looks at a job show of its stream.

    :ivar seen_at: when something new was last seen, seconds since the epoch
    :ivar beat_at: when it last showed that something had gone across
    :ivar beats: the newest of these looks showed it
    :ivar cleared_mib_s: by how much less memory was left to be sent, in the
        same pass: far more than was sent where its pages are zeros
    :ivar waiting_mib: the most that was seen to wait for being sent, where
        a pass ended between these looks; infinite elsewhere
    """

    def __init__(self) -> None:
        self.seen_at = 0.0
        self.beat_at = 0.0
        self.beats = False
        self.cleared_mib_s = 0.0
        self.waiting_mib = math.inf
        self._last: events.Statistics | None = None
        self._since: events.Statistics | None = None
        self._since_at = 0.0
        #: what had been transferred when, oldest first
        self._carried: collections.deque[tuple[float, float]] = (
            collections.deque()
        )

    @property
    def quiet_seconds(self) -> float:
        """How long nothing has gone across, as far as was seen."""
        return self.seen_at - self.beat_at

    @property
    def sustained_mib_s(self) -> float:
        """What went over the network for half a second at least.

        Between two looks that follow each other closely a hypervisor may not
        have had its turn.
        """
        (began, before), (ended, now) = self._carried[0], self._carried[-1]
        return (now - before) / (ended - began) if ended > began else 0.0

    def is_new(self, seen: events.Statistics) -> bool:
        """Say whether *seen* tells anything that was not told before."""
        return seen != self._last

    def take(self, seen: events.Statistics, at: float) -> bool:
        """Take in a look.

        :returns: whether it says anew how fast the stream is; not where it
            is the first, is not new, or comes too soon after the last
        """
        if not self.is_new(seen):
            return False
        self._last = seen
        self.seen_at = max(self.seen_at, at)
        before = self._since
        if before is None or seen.transferred_mib < before.transferred_mib:
            self._begin(seen, at)
            self._carried.clear()
            self._carried.append((0.0, seen.transferred_mib))
            self.beat_at = self.seen_at
            return False
        seconds = self._seconds(before, seen, at)
        if seconds < qemu.BANDWIDTH_SECONDS:
            return False
        sent = seen.transferred_mib - before.transferred_mib
        cleared, self.waiting_mib = 0.0, math.inf
        if seen.iteration == before.iteration:
            cleared = max(0.0, before.remaining_mib - seen.remaining_mib)
        else:
            self.waiting_mib = max(before.remaining_mib, seen.remaining_mib)
        self.cleared_mib_s = cleared / seconds
        self._keep(seen.transferred_mib, seconds)
        self.beats = sent > 0.0
        if self.beats:
            self.beat_at = self.seen_at
        self._begin(seen, at)
        return True

    def _keep(self, transferred_mib: float, seconds: float) -> None:
        carried = self._carried
        ended = carried[-1][0] + seconds
        carried.append((ended, transferred_mib))
        while ended - carried[1][0] >= SUSTAINED_SECONDS:
            carried.popleft()

    def _begin(self, seen: events.Statistics, at: float) -> None:
        self._since, self._since_at = seen, at

    def _seconds(
        self, before: events.Statistics, seen: events.Statistics, at: float
    ) -> float:
        """Return the time between two looks, by the job's clock if it has one.

        The end of a pass is told with statistics of a while after it.
        """
        if before.elapsed_ms > 0.0:
            return (seen.elapsed_ms - before.elapsed_ms) / 1000.0
        return at - self._since_at
