"""How a migration is brought to its end, and how it ended.

The end is read off both ends of it (:mod:`.arbiter`), never off the call
that carried it. Nothing here removes or resumes a copy.
"""

from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from kvm_balancer.migration.lifecycle import arbiter
from kvm_balancer.migration.lifecycle import course
from kvm_balancer.migration.lifecycle import states

#: Ends that have not settled are looked at again after this long at first,
#: twice as long each time, and every so often in the end.
FIRST_DELAY_SECONDS = 0.1
LONGEST_DELAY_SECONDS = 5.0
#: However often the ends change their minds, this many looks are all.
LOOKS_AT_MOST = 40

#: A call that fails after nothing went across for so long failed for that:
#: the hypervisor's words tell of a connection only.
DEAD_LINK_SECONDS = 5.0

_UNDER_WAY = (arbiter.UNDER_WAY, arbiter.POST_COPY_UNDER_WAY)


def give_up(
    life: course.Course, reason: str, event: events.Event
) -> course.Wishes:
    """End the job; the guest stays where it is."""
    life.decide(event, f'given up: {reason}')
    return end_job(life, states.State.FAILED, reason, event.at)


def end_job(
    life: course.Course, end: states.State, reason: str, at: float
) -> course.Wishes:
    """Abort, and remember why; who asked first is why."""
    if life.stop is None:
        life.stop = course.Stop(end, reason, at)
    life.stop.due = True
    return abort_if_due(life, at)


def abort_if_due(life: course.Course, at: float) -> course.Wishes:
    """Tell the hypervisor to end the job, unless there is no way back."""
    stop = life.stop
    if stop is None or life.no_way_back:
        return ()
    if not stop.due:
        return ()
    stop.due = False
    stop.at = at
    return (instructions.Abort(),)


def limit_stop(life: course.Course, event: events.Event) -> course.Wishes:
    """Do not wait for ever for an abort."""
    if life.stop is None or event.at - life.stop.at < course.CALL_SECONDS:
        return ()
    return look(
        life,
        event,
        f'no word {course.CALL_SECONDS:g} s after the job was aborted',
    )


def refuse(life: course.Course, event: events.Refused) -> course.Wishes:
    """Take in what the hypervisor would not do."""
    life.tell(event, f'{event.instruction} refused: {event.text}')
    match event.instruction:
        case instructions.Start.__name__:
            if life.state is states.State.PREPARING:
                return look(life, event, event.text)
        case instructions.Abort.__name__:
            # the job is not there yet, or over; if it is, once more
            if life.stop is not None:
                life.stop.due = True
        case instructions.StartPostCopy.__name__:
            _take_post_copy_back(life, event.text)
        case instructions.LookAtEnds.__name__:
            if life.state is states.State.VERIFYING:
                return _decide_blindly(life, event)
        case _:
            pass
    return ()


def _take_post_copy_back(life: course.Course, text: str) -> None:
    """Believe that post-copy never began.

    Only of the first refusal, and before anything was seen of a switch: a
    wish that was repeated may be refused because the first was granted.
    """
    if life.state is states.State.PRE_COPY and life.post_copy_asks == 1:
        life.post_copy_asked_at = None
        life.policy.post_copy_refused(text)


def adopt(life: course.Course, event: events.Adopted) -> course.Wishes:
    """Look at both ends, to find out what became of it."""
    life.adopted = True
    # An earlier run may have had it promised.
    life.holds_lease = True
    # What was seen by whoever carried it is lost.
    life.switched = True
    return look(life, event, 'the executor ended while it was under way')


def verify(life: course.Course, event: events.CallReturned) -> course.Wishes:
    """Look at both ends, whatever the call says."""
    life.switched |= event.events_lost
    error = event.error
    if error and life.state is states.State.PRE_COPY:
        error = with_fault(life, error)
    return look(life, event, error)


def with_fault(life: course.Course, error: str) -> str:
    """Say of what failed that nothing went across, where that was seen."""
    quiet = life.pulse.quiet_seconds
    if quiet < DEAD_LINK_SECONDS:
        return error
    return (
        f'nothing went across for {quiet:.0f} s: a fault of the network;'
        f' {error}'
    )


def return_late(
    life: course.Course, event: events.CallReturned
) -> course.Wishes:
    """Take a call in that was no longer waited for."""
    life.switched |= event.events_lost
    life.call_error = life.call_error or event.error
    life.tell(event, f'the call came back: {event.error or "success"}')
    return ()


def look(
    life: course.Course, event: events.Event, error: str
) -> course.Wishes:
    """Look at both ends for the first time."""
    life.call_error = error
    life.enter(
        states.State.VERIFYING,
        event,
        f'the call ended: {error}' if error else 'the call succeeded',
    )
    return (
        instructions.LookAtEnds(),
        *life.report('both ends are looked at'),
    )


def _look_again(life: course.Course) -> course.Wishes:
    delay = FIRST_DELAY_SECONDS * 2.0 ** min(life.looks, 10)
    life.looks += 1
    return (instructions.LookAtEnds(min(delay, LONGEST_DELAY_SECONDS)),)


def _decide_blindly(
    life: course.Course, event: events.Refused
) -> course.Wishes:
    blind = events.End(events.EndState.UNREACHABLE, detail=event.text)
    return decide(
        life,
        events.EndsSeen(
            at=event.at, cause=event.cause, source=blind, destination=blind
        ),
    )


def decide(life: course.Course, event: events.EndsSeen) -> course.Wishes:
    """Read off both ends how it ended, or look again."""
    verdict = arbiter.judge(
        event.source, event.destination, switched=life.switched
    )
    if verdict != life.verdict:
        life.verdict, life.agreed = verdict, 0
        life.tell(
            event,
            f'source {_said(event.source)}, destination'
            f' {_said(event.destination)}: {verdict.reason}',
        )
    life.agreed += 1
    life.carried_on = (
        life.adopted
        and event.source.state is events.EndState.RUNNING
        and event.source.job_active
    )
    if life.adopted and verdict in _UNDER_WAY:
        # The hypervisors carry it on by themselves, for as long as it takes.
        return _look_again(life)
    if life.agreed < verdict.looks and life.looks < LOOKS_AT_MOST:
        return _look_again(life)
    end, reason = _end_of(life, verdict)
    return life.conclude(end, event, reason)


def _end_of(
    life: course.Course, verdict: arbiter.Verdict
) -> tuple[states.State, str]:
    end = states.State(verdict.outcome.value)
    parts = [verdict.reason]
    if end is states.State.FAILED:
        if life.stop is not None:
            end = life.stop.end
            parts.insert(0, life.stop.reason)
        elif life.call_error:
            parts.insert(0, life.call_error)
    elif life.stop is not None:
        parts.append(f'it was too late for: {life.stop.reason}')
    elif life.call_error:
        parts.append(f'although the call ended with: {life.call_error}')
    if verdict.advice:
        parts.append(verdict.advice)
    return end, '; '.join(parts)


def _said(end: events.End) -> str:
    said = end.state.value
    if end.job_active:
        said += ', job active'
    return f'{said} ({end.detail})' if end.detail else said
