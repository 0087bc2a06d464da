"""A guest's memory, and a hypervisor that copies it pass by pass.

Pure, and in stretches of time: who owns the clock asks how long the stretch
takes that is under way, lets as much of it go by as it likes, and says when
its end is reached. A pass carries what is dirty; what the guest writes
meanwhile is left to the next one. A guest that writes at random over its
working set writes some pages twice, so that what gets dirty in a pass
approaches the working set and never exceeds it.
"""

import dataclasses
import math

from kvm_balancer.migration import events
from kvm_balancer.migration import request

#: QEMU's defaults where a request leaves them open; 99 % is its highest.
FIRST_THROTTLE_PERCENT = 20
THROTTLE_STEP_PERCENT = 10
HIGHEST_THROTTLE_PERCENT = 99
#: QEMU looks at most so often whether to throttle, and does when the guest
#: dirtied more than half of what was sent, twice.
THROTTLE_PERIOD_SECONDS = 1.0
THROTTLE_SHARE = 0.5
THROTTLE_LOOKS = 2


@dataclasses.dataclass(frozen=True, slots=True)
class Guest:
    """What the copy of a guest's memory depends on.

    :ivar memory_mib: what it was given
    :ivar in_use_mib: what a first pass carries
    :ivar working_set_mib: what it writes to, over and over
    """

    memory_mib: float
    in_use_mib: float
    dirty_rate_mib_s: float = 0.0
    working_set_mib: float = 0.0

    def dirtied_mib(self, written_mib: float) -> float:
        """Return how much is dirty after so much was written at random."""
        if self.working_set_mib <= 0.0:
            return 0.0
        return -self.working_set_mib * math.expm1(
            -written_mib / self.working_set_mib
        )


class Throttle:
    """Auto-converge: slows the guest down by steps, as QEMU does."""

    def __init__(self, options: request.Options) -> None:
        self._on = options.auto_converge
        self._first = (
            options.auto_converge_initial_percent or FIRST_THROTTLE_PERCENT
        )
        self._step = (
            options.auto_converge_increment_percent or THROTTLE_STEP_PERCENT
        )
        self._seconds = self._sent_mib = self._dirtied_mib = 0.0
        self._looks = 0
        self.percent = 0

    def note(
        self, seconds: float, sent_mib: float, dirtied_mib: float
    ) -> None:
        """Take in one pass; short ones are looked at together."""
        self._seconds += seconds
        self._sent_mib += sent_mib
        self._dirtied_mib += dirtied_mib
        if not self._on or self._seconds < THROTTLE_PERIOD_SECONDS:
            return
        if self._dirtied_mib > THROTTLE_SHARE * self._sent_mib:
            self._looks += 1
        if self._looks >= THROTTLE_LOOKS:
            self._looks = 0
            raised = self.percent + self._step if self.percent else self._first
            self.percent = min(raised, HIGHEST_THROTTLE_PERCENT)
        self._seconds = self._sent_mib = self._dirtied_mib = 0.0


class Copy:
    """The copy of one guest's memory.

    :ivar sent_mib: in all
    :ivar left_mib: of the stretch under way
    :ivar passes: full passes done
    :ivar frozen: the guest writes no more here: it stopped, or went on
        elsewhere
    """

    def __init__(self, guest: Guest, options: request.Options) -> None:
        self.guest = guest
        self.sent_mib = 0.0
        self.left_mib = guest.in_use_mib
        self.passes = 0
        self.frozen = False
        self._throttle = Throttle(options)
        self._stretch_seconds = 0.0
        self._stretch_sent_mib = 0.0
        self._written_mib = 0.0
        self._dirty_rate_mib_s = 0.0

    @property
    def throttle_percent(self) -> int:
        """How much the guest is slowed down."""
        return 0 if self.frozen else self._throttle.percent

    @property
    def pending_mib(self) -> float:
        """What would be left if the guest were stopped now."""
        dirtied = self.guest.dirtied_mib(self._written_mib)
        return min(self.left_mib + dirtied, self.guest.in_use_mib)

    def seconds_left(self, bandwidth_mib_s: float) -> float:
        """Return how long the stretch under way still takes."""
        if self.left_mib <= 0.0:
            return 0.0
        if bandwidth_mib_s <= 0.0:
            return math.inf
        return self.left_mib / bandwidth_mib_s

    def run(self, seconds: float, bandwidth_mib_s: float) -> None:
        """Let time go by, within the stretch under way."""
        sent = min(seconds * bandwidth_mib_s, self.left_mib)
        self.left_mib -= sent
        self.sent_mib += sent
        self._stretch_sent_mib += sent
        self._stretch_seconds += seconds
        if self.frozen:
            return
        share = 1.0 - self._throttle.percent / 100.0
        self._written_mib += self.guest.dirty_rate_mib_s * share * seconds

    def end_pass(self) -> None:
        """Begin the next pass: what got dirty meanwhile is to be sent."""
        dirtied = self.guest.dirtied_mib(self._written_mib)
        seconds = self._stretch_seconds
        self.left_mib = self.pending_mib
        self.passes += 1
        if seconds > 0.0:
            self._dirty_rate_mib_s = dirtied / seconds
        self._throttle.note(seconds, self._stretch_sent_mib, dirtied)
        self._stretch_seconds = self._stretch_sent_mib = 0.0
        self._written_mib = 0.0

    def freeze(self) -> None:
        """Stop the guest: what is left is all that there is to send."""
        self.left_mib = self.pending_mib
        self._written_mib = 0.0
        self.frozen = True

    def thaw(self) -> None:
        """Let the guest run on here: the switch was called off."""
        self.frozen = False

    def statistics(
        self, elapsed_seconds: float, bandwidth_mib_s: float
    ) -> events.Statistics:
        """Return where it stands, in the hypervisor's words."""
        pause = (
            self.left_mib / bandwidth_mib_s * 1000.0
            if bandwidth_mib_s > 0.0
            else 0.0
        )
        return events.Statistics(
            elapsed_ms=elapsed_seconds * 1000.0,
            total_mib=self.guest.memory_mib,
            transferred_mib=self.sent_mib,
            remaining_mib=self.left_mib,
            bandwidth_mib_s=bandwidth_mib_s,
            dirty_rate_mib_s=self._dirty_rate_mib_s,
            iteration=self.passes + 1,
            throttle_percent=self.throttle_percent,
            expected_downtime_ms=pause,
        )
