"""The machine: facts of one migration in, wishes out.

Feed it each event as it comes; carry out what it answers. It has no clock:
time is that of the events. What may follow what is in :mod:`.transitions`;
the methods here say what is done on the way. Four rules hold throughout:

- the guest is never aborted once it was told to run on the destination;
- the job is started once;
- how it ended is read off both ends (:mod:`.arbiter`), never off the call
  that carried it;
- it only reads and gives up: nothing here removes or resumes a copy.
"""

import collections.abc
import dataclasses
from typing import Any

from kvm_balancer import errors
from kvm_balancer.migration import arbiter
from kvm_balancer.migration import chronicle
from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from kvm_balancer.migration import request
from kvm_balancer.migration import states
from kvm_balancer.migration import transitions
from kvm_balancer.migration.convergence import contract
from kvm_balancer.model import outcome
from kvm_balancer.model import plan

Wishes = tuple[instructions.Instruction, ...]

#: A switch takes milliseconds; one that takes this long hangs on something.
SWITCHOVER_SECONDS = 60.0
#: After an abort, a broken stream or the job's end the call comes back soon;
#: one that does not (the hypervisor's monitor is dead) is not waited for.
CALL_SECONDS = 60.0
#: Ends that have not settled are looked at again after this long at first,
#: twice as long each time, and every so often in the end.
FIRST_DELAY_SECONDS = 0.1
LONGEST_DELAY_SECONDS = 5.0
#: However often the ends change their minds, this many looks are all.
LOOKS_AT_MOST = 40


@dataclasses.dataclass(frozen=True, slots=True)
class _Stop:
    """Why the job is being ended.

    :ivar end: what it ends as, if the guest is then still on the source
    """

    end: states.State
    reason: str
    at: float


class Machine:
    """The life of one migration.

    :ivar request: what was asked for
    :ivar state: where it stands
    :ivar outcome: the record of it; None until it ended
    """

    def __init__(
        self, wanted: request.Request, policy: contract.Convergence
    ) -> None:
        self.request = wanted
        self.state = states.State.REQUESTED
        self.outcome: outcome.Outcome | None = None
        self._policy = policy
        self._chronicle = chronicle.Chronicle(wanted)
        self._entered_at = wanted.accepted_at
        self._downtime_ms = 0
        self._stop: _Stop | None = None
        self._abort_due = False
        self._post_copy_asked = False
        self._switched = False
        self._call_error = ''
        self._looks = 0
        self._agreed = 0
        self._verdict: arbiter.Verdict | None = None

    @property
    def story(self) -> tuple[outcome.StoryLine, ...]:
        """What happened so far, oldest first."""
        return self._chronicle.story

    @property
    def statistics(self) -> events.Statistics:
        """What was last seen of the copy."""
        return self._chronicle.statistics

    def begin(self, at: float, cause: str = 'accepted') -> Wishes:
        """Set out: the same as handling :class:`.events.Accepted`."""
        return self.handle(events.Accepted(at=at, cause=cause))

    def handle(self, event: events.Event) -> Wishes:
        """Take *event* in, and say what is to be done about it.

        :raises MigrationError: when the event is impossible here; it
            carries the story so far
        """
        rule = transitions.TABLE.get((self.state, type(event)))
        if rule is None:
            raise self._impossible(event, 'cannot come')
        handler: collections.abc.Callable[[Any], Wishes] = getattr(
            self, f'_{rule.handler}'
        )
        wishes = handler(event)
        if self.state not in rule.to:
            raise self._impossible(event, f'led to {self.state!r}')
        return wishes

    def _impossible(
        self, event: events.Event, what: str
    ) -> errors.MigrationError:
        told = ' > '.join(f'{line.state}: {line.text}' for line in self.story)
        return errors.MigrationError(
            f'migration {self.request.migration_id}:'
            f' {type(event).__name__} ({event.cause}) {what} in state'
            f' {self.state.value!r}; so far: {told or "nothing"}',
            self.story,
        )

    # -- moving on ---------------------------------------------------------

    def _enter(
        self, state: states.State, event: events.Event, text: str = ''
    ) -> None:
        if state is not self.state:
            self._entered_at = event.at
        self.state = state
        self._tell(event, text)

    def _tell(self, event: events.Event, text: str = '') -> None:
        said = f'{text} ({event.cause})' if text else event.cause
        self._chronicle.tell(self.state, event.at, said)

    def _conclude(
        self, end: states.State, event: events.Event, reason: str
    ) -> Wishes:
        self._enter(end, event, reason)
        self.outcome = self._chronicle.conclude(end, event.at, reason)
        return (instructions.Conclude(self.outcome),)

    def _report(self, text: str) -> Wishes:
        return (
            instructions.ReportProgress(
                self.state.value, self._chronicle.statistics, text
            ),
        )

    # -- before the start --------------------------------------------------

    def _check(self, event: events.Accepted) -> Wishes:
        self._enter(states.State.PRE_FLIGHT, event)
        return (instructions.Check(),)

    def _start(self, event: events.Checked) -> Wishes:
        failed = []
        for check in event.checks:
            if check.verdict is events.Verdict.PASSED:
                continue
            said = f'{check.name}: {check.reason}'
            if check.remedy:
                said += f' - {check.remedy}'
            self._tell(event, f'check {check.verdict.value}: {said}')
            if check.verdict is events.Verdict.FAILED:
                failed.append(said)
        if failed:
            return self._conclude(
                states.State.FAILED, event, '; '.join(failed)
            )
        settings = self._policy.begin(
            self.request.options, self.request.predicted, event.at
        )
        self._downtime_ms = self._allowed(settings.downtime_ms)
        self._enter(
            states.State.PREPARING,
            event,
            f'{len(event.checks)} checks, none failed; downtime limit'
            f' {self._downtime_ms} ms to begin with',
        )
        return (
            instructions.SetDowntime(self._downtime_ms),
            instructions.Start(settings.options),
        )

    def _allowed(self, downtime_ms: int) -> int:
        return max(1, min(downtime_ms, self.request.options.max_downtime_ms))

    def _fail_unstarted(self, event: events.Refused) -> Wishes:
        return self._conclude(
            states.State.FAILED,
            event,
            f'the checks could not be made: {event.text}',
        )

    def _cancel_unstarted(self, event: events.CancelAsked) -> Wishes:
        return self._conclude(
            states.State.CANCELLED,
            event,
            f'cancelled before it was started: {event.cause}',
        )

    # -- while memory is copied --------------------------------------------

    def _appear(self, event: events.Progressed | events.PassEnded) -> Wishes:
        self._chronicle.measure(event.statistics)
        wishes: Wishes = ()
        if self.state is states.State.PREPARING:
            # a limit set before the job existed may have been dropped, and
            # an abort that came before it hit nothing
            wishes = (instructions.SetDowntime(self._downtime_ms),)
            self._abort_due = self._stop is not None
        if copies_storage(event.statistics):
            if self.state is states.State.PREPARING:
                self._enter(states.State.COPYING_STORAGE, event)
            return (
                *wishes,
                *self._abort_if_due(event.at),
                *self._report('disks are copied before the memory'),
            )
        self._enter(states.State.PRE_COPY, event, 'memory is copied')
        return (*wishes, *self._judge(event))

    def _judge(self, event: events.Progressed | events.PassEnded) -> Wishes:
        seen = event.statistics
        self._chronicle.measure(seen)
        if self._stop is not None:
            return (
                *self._abort_if_due(event.at),
                *self._report(self._stop.reason),
            )
        if self._post_copy_asked:
            return self._report('post-copy was asked for')
        boundary = isinstance(event, events.PassEnded)
        decision = self._policy.judge(seen, event.at, boundary)
        wishes, text = self._act(decision, event)
        if boundary:
            self._chronicle.tell_pass(
                self.state,
                event.at,
                f'pass {seen.iteration}: {seen.remaining_mib:.1f} MiB left,'
                f' {seen.bandwidth_mib_s:.1f} MiB/s, dirtied'
                f' {seen.dirty_rate_mib_s:.1f} MiB/s, throttle'
                f' {seen.throttle_percent} %: {decision.reason}',
            )
        return (*wishes, *self._report(text))

    def _act(
        self, decision: contract.Decision, event: events.Event
    ) -> tuple[Wishes, str]:
        """Turn a decision into wishes, within what the request allows."""
        if isinstance(decision, contract.RaiseDowntime):
            limit = self._allowed(decision.downtime_ms)
            if limit == self._downtime_ms:
                return (), decision.reason
            self._downtime_ms = limit
            self._tell(event, f'downtime up to {limit} ms: {decision.reason}')
            return (instructions.SetDowntime(limit),), decision.reason
        if isinstance(decision, contract.StartPostCopy):
            return self._start_post_copy(decision, event)
        if isinstance(decision, contract.GiveUp):
            return self._give_up(decision.reason, event), decision.reason
        return (), decision.reason

    def _start_post_copy(
        self, decision: contract.StartPostCopy, event: events.Event
    ) -> tuple[Wishes, str]:
        if not self.request.options.post_copy:
            text = f'post-copy is not allowed: {decision.reason}'
            return self._give_up(text, event), text
        if self._chronicle.statistics.iteration < 2:
            return (), 'post-copy waits for the first full pass'
        self._post_copy_asked = True
        self._switched = True
        self._tell(event, f'post-copy: {decision.reason}')
        return (instructions.StartPostCopy(),), decision.reason

    def _give_up(self, reason: str, event: events.Event) -> Wishes:
        self._tell(event, f'given up: {reason}')
        return self._end_job(states.State.FAILED, reason, event.at)

    def _watch(self, event: events.Progressed | events.PassEnded) -> Wishes:
        self._chronicle.measure(event.statistics)
        return self._report(self.state.value)

    # -- ending the job ----------------------------------------------------

    def _end_job(self, end: states.State, reason: str, at: float) -> Wishes:
        """Abort, unless the guest may run on the destination already."""
        if self._stop is None:
            self._stop = _Stop(end, reason, at)
        self._abort_due = True
        return self._abort_if_due(at)

    def _abort_if_due(self, at: float) -> Wishes:
        if not self._abort_due or self._stop is None or self._post_copy_asked:
            return ()
        self._abort_due = False
        self._stop = dataclasses.replace(self._stop, at=at)
        return (instructions.Abort(),)

    def _cancel(self, event: events.CancelAsked) -> Wishes:
        if self._post_copy_asked:
            return self._cancel_late(event)
        self._tell(event, 'cancel asked for')
        return self._end_job(
            states.State.CANCELLED, f'cancelled: {event.cause}', event.at
        )

    def _cancel_late(self, event: events.CancelAsked) -> Wishes:
        self._tell(event, 'cancel asked for, too late: the switch has begun')
        return ()

    # -- the switch and after ----------------------------------------------

    def _switch(self, event: events.SourceStopped) -> Wishes:
        self._switched = True
        self._enter(
            states.State.SWITCHOVER, event, 'the guest stopped on the source'
        )
        return ()

    def _run_on_destination(self, event: events.PostCopyBegun) -> Wishes:
        self._switched = True
        self._post_copy_asked = True
        self._chronicle.mode = plan.Mode.POST_COPY
        self._enter(
            states.State.POST_COPY,
            event,
            'the guest runs on the destination, its memory follows',
        )
        return ()

    def _pause_post_copy(self, event: events.PostCopyBroke) -> Wishes:
        self._switched = True
        self._post_copy_asked = True
        self._chronicle.mode = plan.Mode.POST_COPY
        self._enter(
            states.State.POST_COPY_PAUSED,
            event,
            'the stream broke, the memory is on both ends',
        )
        return ()

    def _finish(self, event: events.JobSettled) -> Wishes:
        self._chronicle.settle(event)
        self._enter(states.State.FINISHING, event, 'the job is over')
        return ()

    def _settle(self, event: events.JobSettled) -> Wishes:
        self._chronicle.settle(event)
        return ()

    def _stop_late(self, event: events.Event) -> Wishes:
        self._switched = True
        if not isinstance(event, events.SourceStopped):
            self._post_copy_asked = True
            self._chronicle.mode = plan.Mode.POST_COPY
        return self._note(event)

    def _note(self, event: events.Event) -> Wishes:
        told = (events.SourceStopped, events.PostCopyBegun)
        if isinstance(event, (*told, events.PostCopyBroke)):
            self._tell(event, f'{type(event).__name__}, late or once more')
        return ()

    def _ignore(self, event: events.Event) -> Wishes:
        return ()

    # -- what the hypervisor would not do ----------------------------------

    def _refuse(self, event: events.Refused) -> Wishes:
        self._tell(event, f'{event.instruction} refused: {event.text}')
        if event.instruction == instructions.Start.__name__:
            return self._look(event, event.text)
        if event.instruction == instructions.Abort.__name__:
            # the job is not there yet, or over; if it is, once more
            self._abort_due = True
        elif event.instruction == instructions.StartPostCopy.__name__:
            self._take_post_copy_back(event.text)
        elif event.instruction == instructions.LookAtEnds.__name__:
            return self._look_again()
        return ()

    def _take_post_copy_back(self, text: str) -> None:
        if self.state is states.State.PRE_COPY:
            self._post_copy_asked = False
            self._policy.post_copy_refused(text)

    # -- limits in time ----------------------------------------------------

    def _limit_pre_flight(self, event: events.Ticked) -> Wishes:
        if self._over_time(event.at):
            return self._conclude(
                states.State.FAILED,
                event,
                'the time limit passed before it was started',
            )
        return ()

    def _limit_copy(self, event: events.Ticked) -> Wishes:
        if self._stop is not None:
            return self._limit_stop(event)
        if self._over_time(event.at):
            return self._give_up(
                f'the time limit of'
                f' {self.request.options.time_limit_seconds:g} s passed'
                f' while {self.state.value}',
                event,
            )
        return ()

    def _limit_pre_copy(self, event: events.Ticked) -> Wishes:
        if self._stop is not None:
            return self._limit_stop(event)
        if self._post_copy_asked:
            return ()
        decision = self._policy.judge(
            self._chronicle.statistics, event.at, False
        )
        return self._act(decision, event)[0]

    def _limit_stop(self, event: events.Ticked) -> Wishes:
        if self._stop is None or event.at - self._stop.at < CALL_SECONDS:
            return ()
        return self._look(
            event, f'no word {CALL_SECONDS:g} s after the job was aborted'
        )

    def _limit_switchover(self, event: events.Ticked) -> Wishes:
        if event.at - self._entered_at < SWITCHOVER_SECONDS:
            return ()
        if self._post_copy_asked:
            return ()
        if self._stop is not None:
            return self._limit_stop(event)
        return self._give_up(
            f'the switch did not end within {SWITCHOVER_SECONDS:g} s', event
        )

    def _limit_wait(self, event: events.Ticked) -> Wishes:
        if event.at - self._entered_at < CALL_SECONDS:
            return ()
        return self._look(
            event, f'no word for {CALL_SECONDS:g} s in {self.state.value}'
        )

    def _over_time(self, at: float) -> bool:
        limit = self.request.options.time_limit_seconds
        return 0 < limit <= at - self.request.accepted_at

    # -- how it ended ------------------------------------------------------

    def _verify(self, event: events.CallReturned) -> Wishes:
        self._switched |= event.events_lost
        return self._look(event, event.error)

    def _return_late(self, event: events.CallReturned) -> Wishes:
        self._switched |= event.events_lost
        self._call_error = self._call_error or event.error
        self._tell(event, f'the call came back: {event.error or "success"}')
        return ()

    def _look(self, event: events.Event, error: str) -> Wishes:
        self._call_error = error
        self._enter(
            states.State.VERIFYING,
            event,
            f'the call ended: {error}' if error else 'the call succeeded',
        )
        return (instructions.LookAtEnds(),)

    def _look_again(self) -> Wishes:
        self._looks += 1
        delay = FIRST_DELAY_SECONDS * 2.0 ** min(self._looks - 1, 10)
        return (instructions.LookAtEnds(min(delay, LONGEST_DELAY_SECONDS)),)

    def _decide(self, event: events.EndsSeen) -> Wishes:
        verdict = arbiter.judge(
            event.source, event.destination, switched=self._switched
        )
        if verdict != self._verdict:
            self._verdict, self._agreed = verdict, 0
            self._tell(
                event,
                f'source {_said(event.source)}, destination'
                f' {_said(event.destination)}: {verdict.reason}',
            )
        self._agreed += 1
        if self._agreed < verdict.looks and self._looks < LOOKS_AT_MOST:
            return self._look_again()
        return self._conclude(*self._end_of(verdict, event))

    def _end_of(
        self, verdict: arbiter.Verdict, event: events.EndsSeen
    ) -> tuple[states.State, events.EndsSeen, str]:
        end = states.State(verdict.outcome.value)
        parts = [verdict.reason]
        if end is states.State.FAILED:
            if self._stop is not None:
                end = self._stop.end
                parts.insert(0, self._stop.reason)
            elif self._call_error:
                parts.insert(0, self._call_error)
        elif self._stop is not None:
            parts.append(f'it was too late for: {self._stop.reason}')
        elif self._call_error:
            parts.append(f'although the call ended with: {self._call_error}')
        if verdict.advice:
            parts.append(verdict.advice)
        return end, event, '; '.join(parts)


def copies_storage(statistics: events.Statistics) -> bool:
    """Say whether disks are being copied, and the memory's turn is to come.

    Before the memory's first pass a job shows the progress of its disks
    only.
    """
    return statistics.iteration < 1 and statistics.disk_remaining_mib > 0


def _said(end: events.End) -> str:
    said = end.state.value
    if end.job_active:
        said += ', job active'
    return f'{said} ({end.detail})' if end.detail else said
