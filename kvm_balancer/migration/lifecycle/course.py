"""Where one migration is, and what was done about it so far.

What the handlers (:mod:`.starting`, :mod:`.copying`, :mod:`.switching`,
:mod:`.ending`, :mod:`.deciding`, :mod:`.recovering`) share; it decides
nothing.
"""

import dataclasses

from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import contract
from kvm_balancer.migration.foresight import outlook
from kvm_balancer.migration.lifecycle import aftermath
from kvm_balancer.migration.lifecycle import chronicle
from kvm_balancer.migration.lifecycle import disk_gain
from kvm_balancer.migration.lifecycle import pulse
from kvm_balancer.migration.lifecycle import states
from kvm_balancer.migration.options import forgone
from kvm_balancer.model import outcome
from kvm_balancer.model import plan

Wishes = tuple[instructions.Instruction, ...]

#: After an abort, a broken stream or the job's end the call comes back soon;
#: one that does not (the hypervisor's monitor is dead) is not waited for.
CALL_SECONDS = 60.0


@dataclasses.dataclass(slots=True)
class Stop:
    """Why the job is being ended.

    :ivar end: what it ends as, if the guest is then still on the source
    :ivar at: when the hypervisor was last told
    :ivar due: it has to be told, or told again
    """

    end: states.State
    reason: str
    at: float
    due: bool = True


class Course:
    """One migration under way.

    :ivar entered_at: when the present state was entered
    :ivar downtime_ms: the limit that was last asked for
    :ivar storage_seconds: that disks were copied, before the memory's turn
    :ivar checks: what pre-flight found, while memory is reserved,
    :ivar checked_by: and who made them
    :ivar disks: what is copied along before the memory, by name
    :ivar disk_mib: and how large each of them is, as far as it is known
    :ivar asked_at: when what has to be known before the start was asked for
    :ivar holds_lease: memory may be reserved for it at the destination
    :ivar pulse: whether anything goes across
    :ivar disk_gain: whether the copy of its disks gets anywhere
    :ivar share_mib_s: its share of the bandwidth, 0 for all; None while
        nobody shares it out
    :ivar streams: how many share it, itself among them
    :ivar stop: None while nobody wants it to end early
    :ivar post_copy_asked_at: None while there is a way back by abort
    :ivar post_copy_asks: how often the hypervisor was told, since the ends
        were last looked at
    :ivar put_off: post-copy waits for something to go across
    :ivar switched: the guest may have been stopped on the source,
    :ivar switched_at: and since when; None where that was never seen to
        begin
    :ivar marked: the instance may carry the migration's mark
    :ivar begun: the policy was told to begin
    :ivar pause_asked_at: when a dead stream was last to be given up
    :ivar after: what is known and was done once nobody carries it
    """

    def __init__(
        self, wanted: request.Request, policy: contract.Convergence
    ) -> None:
        self.request = wanted
        self.policy = policy
        self.chronicle = chronicle.Chronicle(wanted)
        self.pulse = pulse.Pulse()
        self.disk_gain = disk_gain.DiskGain()
        self._lookout = outlook.Lookout(wanted)
        self._now = wanted.accepted_at
        self.state = states.State.REQUESTED
        self.outcome: outcome.Outcome | None = None
        self.entered_at = wanted.accepted_at
        self.downtime_ms = 0
        self.storage_seconds = 0.0
        self.asked_at = wanted.accepted_at
        self.checks: tuple[events.Check, ...] = ()
        self.checked_by = ''
        self.disks: tuple[str, ...] = ()
        self.disk_mib: tuple[float, ...] = ()
        self.holds_lease = False
        self.share_mib_s: int | None = None
        self.streams = 1
        self.stop: Stop | None = None
        self.post_copy_asked_at: float | None = None
        self.post_copy_asks = 0
        self.put_off = False
        self.switched = False
        self.switched_at: float | None = None
        self.marked = False
        self.begun = False
        self.pause_asked_at: float | None = None
        self.after = aftermath.Aftermath()

    @property
    def statistics(self) -> events.Statistics:
        """What was last seen of the copy."""
        return self.chronicle.statistics

    @property
    def no_way_back(self) -> bool:
        """The guest may run on the destination: never abort."""
        return self.post_copy_asked_at is not None

    def see(self, event: events.Event) -> None:
        """Take the time in, and what it shows of the copy."""
        self._now = event.at
        match event:
            case events.Progressed() | events.PassEnded():
                seen = event.statistics
                self.pulse.take(seen, event.at)
                self.disk_gain.take(seen, event.at)
                self.after.in_vain = False
                self.chronicle.track.take(seen, event.at)
                self._lookout.take(
                    seen, event.at, isinstance(event, events.PassEnded)
                )
            case events.JobSettled():
                self.chronicle.track.take(
                    self.chronicle.settled(event.statistics), event.at
                )

    def enter(
        self, state: states.State, event: events.Event, text: str = ''
    ) -> None:
        """Go over to *state*, and tell why."""
        if state is not self.state:
            if self.state is states.State.COPYING_STORAGE:
                self.storage_seconds += self.waited(event.at)
            self.entered_at = event.at
        self.state = state
        self.chronicle.track.enter(state.value, event.at)
        self.tell(event, text)

    def pass_left_mib(self, seen: events.Statistics) -> float:
        """Return what the pass left that *seen* is the end of."""
        return self._lookout.pass_left_mib(seen)

    def tell(self, event: events.Event, text: str = '') -> None:
        """Add to the story what *event* brought, and what caused it."""
        said = f'{text} ({event.cause})' if text else event.cause
        self.chronicle.tell(self.state, event.at, said)

    def decide(self, event: events.Event, text: str) -> None:
        """Add a decision to the story."""
        self.chronicle.tell_decision(
            self.state, event.at, f'{text} ({event.cause})'
        )

    def report(
        self, text: str, decided: instructions.Decided | None = None
    ) -> Wishes:
        """Let those who watch know how far it is.

        :param decided: what *text* is the reason of
        """
        ahead = outlook.Outlook()
        seen = self.statistics
        if self.state is states.State.COPYING_STORAGE:
            rate = self._lookout.disk_mib_s
            seen = dataclasses.replace(seen, disk_mib_s=rate)
        if self.stop is None:
            ahead = self._lookout.look(self.state, self._now, self.downtime_ms)
        return (
            instructions.ReportProgress(
                self.state.value,
                seen,
                text,
                decision=decided,
                decisions=self.chronicle.decisions,
                remaining_seconds=ahead.remaining_seconds,
                expected_downtime_ms=ahead.expected_downtime_ms,
                downtime_limit_ms=self.downtime_ms,
            ),
        )

    def take_switch(self, at: float) -> None:
        """Take note that the guest was stopped on the source, or may be."""
        self.switched = True
        if self.switched_at is None or at > self.switched_at:
            self.switched_at = at

    def take_post_copy(self, at: float) -> None:
        """Take note that the guest runs on the destination, or may."""
        self.switched = True
        self.after.ran_there = True
        self.post_copy_asked_at = at
        self.chronicle.mode = plan.Mode.POST_COPY

    def take_post_copy_back(self, text: str) -> None:
        """Take note that post-copy never began, and that *text* says why."""
        self.post_copy_asked_at = None
        self.post_copy_asks = 0
        self.after.post_copy_refused = ''
        self.policy.post_copy_refused(text)

    def forgo(self, checks: tuple[events.Check, ...]) -> None:
        """Go without what *checks* say cannot be had, and expect no more."""
        options = forgone.settle(self.request.options, checks)
        if options == self.request.options:
            return
        expected = self.request.predicted
        if expected is not None and expected.mode is plan.Mode.POST_COPY:
            expected = expected.without_post_copy
        self.request = dataclasses.replace(
            self.request, options=options, predicted=expected
        )
        self.policy.no_post_copy = 'post-copy cannot be had'
        self.chronicle.predicted = expected
        self._lookout.expect(expected)

    def begin_policy(self, at: float) -> contract.Settings:
        """Have the policy begin, with the limits as they are."""
        self.begun = True
        settings = self.policy.begin(
            self.request.options, self.request.predicted, at
        )
        self.policy.link_shared(self.streams, at)
        if self.bandwidth_mib_s:
            self.policy.bandwidth_limited(self.bandwidth_mib_s, at)
        self.downtime_ms = self.allowed_ms(settings.downtime_ms)
        return settings

    def tell_unknown(
        self, event: events.Event, finding: str, reason: str
    ) -> Wishes:
        """Tell that its outcome is unknown, once for each finding.

        Its room is kept where the instance may be on the destination.

        :param finding: what *reason* says in full
        """
        after = self.after
        told_before = after.told_unknown and not after.told
        if told_before or (after.told_unknown and after.told == finding):
            after.told = finding
            return ()
        after.told_unknown, after.told = True, finding
        self.outcome = self.chronicle.conclude(
            states.State.UNKNOWN, event.at, reason
        )
        return (instructions.Conclude(self.outcome),)

    def conclude(
        self, end: states.State, event: events.Event, reason: str
    ) -> Wishes:
        """End it, for good.

        The lease is given up first: who hears of the end may ask for it.
        """
        if end is states.State.COMPLETED:
            reason += self.chronicle.stop_too_long
        self.enter(end, event, reason)
        self.outcome = self.chronicle.conclude(end, event.at, reason)
        return (
            *self.give_room_back(),
            instructions.Conclude(self.outcome),
        )

    def give_room_back(self) -> Wishes:
        """Give the lease up, if there may be one."""
        if not self.holds_lease:
            return ()
        self.holds_lease = False
        return (instructions.Release(),)

    def allowed_ms(self, downtime_ms: int) -> int:
        """Cut a limit of downtime to what the guest is allowed."""
        return max(1, min(downtime_ms, self.request.options.max_downtime_ms))

    @property
    def bandwidth_mib_s(self) -> int | None:
        """The limit that its share sets to its stream, and it to itself.

        0 for none; None while its options alone do.
        """
        own = self.request.options.bandwidth_mib_s
        if self.share_mib_s is None or not own:
            return self.share_mib_s
        return min(own, self.share_mib_s or own)

    def take_share(self, event: events.BandwidthShared) -> bool:
        """Take note of another share; say whether the limit changes by it."""
        before = self.bandwidth_mib_s
        self.share_mib_s = event.mib_s
        self.streams = event.streams
        limit = self.bandwidth_mib_s
        if limit == before:
            return False
        self._lookout.limit(limit or 0)
        said = f'limited to {limit} MiB/s' if limit else 'not limited any more'
        self.tell(event, f'bandwidth {said}')
        return True

    def limit_bandwidth(self) -> Wishes:
        """Have the stream keep to its share."""
        limit = self.bandwidth_mib_s
        return () if limit is None else (instructions.SetBandwidth(limit),)

    def over_time(self, at: float) -> bool:
        """Say whether the request's limit in time has passed.

        The time in which disks are copied does not count: it has a limit of
        its own.
        """
        options = self.request.options
        if self.state is states.State.COPYING_STORAGE:
            waited = self.waited(at)
            if self.after.adopted:
                waited = at - self.request.accepted_at
            return 0 < options.storage_time_limit_seconds <= waited
        spent = at - self.request.accepted_at - self.storage_seconds
        return 0 < options.time_limit_seconds <= spent

    def begin_memory(self, at: float) -> Wishes:
        """Let the memory's turn come, after that of the disks.

        What convergence has seen until now is nothing of the memory's, and
        the stream has all of the bandwidth now.
        """
        self.pulse = pulse.Pulse()
        self.begin_policy(at)
        limit = self.bandwidth_mib_s or self.request.options.bandwidth_mib_s
        if not limit:
            return ()
        return (instructions.SetBandwidth(limit),)

    def waited(self, at: float) -> float:
        """Return the seconds spent in the present state."""
        return at - self.entered_at
