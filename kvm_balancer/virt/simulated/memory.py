"""A guest's memory, and a hypervisor that copies it pass by pass.

Pure, and in stretches of time: who owns the clock asks how long the stretch
takes that is under way, lets as much of it go by as it likes, and says when
its end is reached. A pass carries what is dirty; what the guest writes
meanwhile is left to the next one. As QEMU does it, a pass ends as soon as
what is left of it would fit the downtime: only then does it look for what
got dirty. Where the guest writes is :mod:`.habits`' to say.
"""

import dataclasses
import math

from kvm_balancer.migration import events
from kvm_balancer.migration import qemu
from kvm_balancer.migration import request
from kvm_balancer.virt.simulated import habits


@dataclasses.dataclass(frozen=True, slots=True)
class Guest:
    """What the copy of a guest's memory depends on.

    :ivar memory_mib: what it was given
    :ivar in_use_mib: what a first pass carries
    :ivar working_set_mib: what it writes to, over and over, at random
    :ivar regions: what else it writes to
    :ivar tempo: None for a guest that always writes at its rates
    :ivar delta: share of a page that xbzrle sends of one that was sent
        before
    """

    memory_mib: float
    in_use_mib: float
    dirty_rate_mib_s: float = 0.0
    working_set_mib: float = 0.0
    regions: tuple[habits.Region, ...] = ()
    tempo: habits.Tempo | None = None
    delta: float = 1.0

    @property
    def written(self) -> tuple[habits.Region, ...]:
        """All that it writes to."""
        hot = habits.Region(
            min(self.working_set_mib, self.in_use_mib), self.dirty_rate_mib_s
        )
        return (hot, *self.regions)

    def dirtied_mib(self, seconds: float) -> float:
        """Return what of clean memory is dirty after so long."""
        return sum(
            region.mib * region.dirty_share(region.rate_mib_s * seconds)
            for region in self.written
        )

    def at_speed(self, factor: float) -> 'Guest':
        """Return the same guest on hardware so many times as fast."""
        return dataclasses.replace(
            self,
            dirty_rate_mib_s=self.dirty_rate_mib_s * factor,
            regions=tuple(
                dataclasses.replace(one, rate_mib_s=one.rate_mib_s * factor)
                for one in self.regions
            ),
        )


class Throttle:
    """Auto-converge: slows the guest down by steps, as QEMU does."""

    def __init__(self, options: request.Options) -> None:
        self._on = options.auto_converge
        self._first = (
            options.auto_converge_initial_percent
            or qemu.FIRST_THROTTLE_PERCENT
        )
        self._step = (
            options.auto_converge_increment_percent
            or qemu.THROTTLE_STEP_PERCENT
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
        if not self._on or self._seconds < qemu.THROTTLE_PERIOD_SECONDS:
            return
        if self._dirtied_mib > qemu.THROTTLE_SHARE * self._sent_mib:
            self._looks += 1
        if self._looks >= qemu.THROTTLE_LOOKS:
            self._looks = 0
            raised = self.percent + self._step if self.percent else self._first
            self.percent = min(raised, qemu.HIGHEST_THROTTLE_PERCENT)
        self._seconds = self._sent_mib = self._dirtied_mib = 0.0


class Copy:
    """The copy of one guest's memory.

    :ivar sent_mib: in all
    :ivar passes: full passes done
    :ivar frozen: the guest writes no more here: it stopped, or went on
        elsewhere
    """

    def __init__(self, guest: Guest, options: request.Options) -> None:
        self.guest = guest
        self.sent_mib = 0.0
        self.passes = 0
        self.frozen = False
        self._regions = guest.written
        hot = [region.mib for region in self._regions]
        # of each region, and of all that is never written to: what got dirty
        # in the last pass, and what was left by it, which goes first
        self._new = [*hot, max(0.0, guest.in_use_mib - sum(hot))]
        self._old = [0.0] * len(self._new)
        self._was = list(self._new)
        self._written = [0.0] * len(hot)
        self._again = guest.delta if options.compression == 'xbzrle' else 1.0
        self._throttle = Throttle(options)
        self._age = 0.0
        self._stretch_seconds = 0.0
        self._stretch_sent_mib = 0.0
        self._dirty_rate_mib_s = 0.0

    @property
    def throttle_percent(self) -> int:
        """How much the guest is slowed down."""
        return 0 if self.frozen else self._throttle.percent

    @property
    def left_mib(self) -> float:
        """What is left of the stretch under way."""
        return sum(self._old) + sum(self._new)

    @property
    def pending_mib(self) -> float:
        """What would be left if the guest were stopped now."""
        return sum(self._pending())

    def _pending(self) -> list[float]:
        """Unite what was not sent with what was written meanwhile."""
        stays = self._stays()
        return [
            region.dirty_mib(left, written, was)
            for region, left, written, was in zip(
                self._regions, stays, self._written, self._was, strict=False
            )
        ] + stays[-1:]

    def _stays(self) -> list[float]:
        return [
            old + new for old, new in zip(self._old, self._new, strict=True)
        ]

    def seconds_left(
        self, bandwidth_mib_s: float, fits_mib: float = 0.0
    ) -> float:
        """Return how long the stretch under way still takes.

        :param fits_mib: a pass ends when it has no more than this left
        """
        left = self.left_mib
        if left <= 0.0:
            return 0.0
        pace = self._pace(bandwidth_mib_s)
        if pace <= 0.0:
            return math.inf
        if fits_mib <= 0.0:
            return left / pace
        looks = math.ceil(
            (left - fits_mib) / (pace * qemu.LOOK_SECONDS) - 1e-9
        )
        least = 1 if self._stretch_seconds <= 0.0 else 0
        return min(left / pace, max(looks, least) * qemu.LOOK_SECONDS)

    def _pace(self, bandwidth_mib_s: float) -> float:
        """Return how much memory goes while so much is sent.

        What follows the guest is sent as it is.
        """
        again = self.passes > 0 and not self.frozen
        return bandwidth_mib_s / (self._again if again else 1.0)

    def run(self, seconds: float, bandwidth_mib_s: float) -> None:
        """Let time go by, within the stretch under way."""
        left = self.left_mib
        pace = self._pace(bandwidth_mib_s)
        gone = min(seconds * pace, left)
        if left > 0.0:
            self._send(gone)
            sent = gone * bandwidth_mib_s / pace if pace > 0.0 else 0.0
            self.sent_mib += sent
            self._stretch_sent_mib += sent
        self._stretch_seconds += seconds
        if self.frozen:
            return
        tempo = self.guest.tempo
        worth = seconds if tempo is None else tempo.written(self._age, seconds)
        self._age += seconds
        worth *= 1.0 - self._throttle.percent / 100.0
        self._written = [
            written + region.rate_mib_s * worth
            for region, written in zip(
                self._regions, self._written, strict=True
            )
        ]

    def _send(self, mib: float) -> None:
        """Send what was left by the pass before, and then what is new."""
        for some in (self._old, self._new):
            here = sum(some)
            gone = min(mib, here)
            if gone > 0.0:
                some[:] = [one * (1.0 - gone / here) for one in some]
            mib -= gone

    def end_pass(self) -> None:
        """Begin the next pass: what got dirty meanwhile is to be sent."""
        rest = self.left_mib
        self._merge()
        dirtied = self.left_mib - rest
        seconds = self._stretch_seconds
        self.passes += 1
        if seconds > 0.0:
            self._dirty_rate_mib_s = dirtied / seconds
        self._throttle.note(seconds, self._stretch_sent_mib, dirtied)
        self._stretch_seconds = self._stretch_sent_mib = 0.0

    def _merge(self) -> None:
        dirty, self._old = self._pending(), self._stays()
        self._new = [
            all_of_it - old
            for all_of_it, old in zip(dirty, self._old, strict=True)
        ]
        self._was = dirty
        self._written = [0.0] * len(self._regions)

    def freeze(self) -> None:
        """Stop the guest: what is left is all that there is to send."""
        self._merge()
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
