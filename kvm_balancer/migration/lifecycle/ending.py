"""How a migration is brought to its end: the job is over, or is to be.

How it ended is read off both ends of it (:mod:`.deciding`), never off the
call that carried it.
"""

from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from kvm_balancer.migration.lifecycle import course
from kvm_balancer.migration.lifecycle import states

#: A call that fails after nothing went across for so long failed for that:
#: the hypervisor's words tell of a connection only.
DEAD_LINK_SECONDS = 5.0

#: A recovery that failed is tried again after this long at first, twice as
#: long each time, and every so often in the end.
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0

_BEFORE_THE_SWITCH = (
    states.State.PREPARING,
    states.State.COPYING_STORAGE,
    states.State.PRE_COPY,
)


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
    life.after.deaf = True
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
            if life.state is states.State.PRE_COPY:
                return _doubt_post_copy(life, event)
        case instructions.Recover.__name__:
            if life.state is states.State.RECOVERING:
                return look(life, event, event.text)
        case _:
            pass
    return ()


def _doubt_post_copy(
    life: course.Course, event: events.Refused
) -> course.Wishes:
    """Believe that post-copy never began, or look.

    The first refusal is believed, before anything was seen of a switch. A
    wish that was repeated may be refused because the first was granted.
    """
    if life.post_copy_asks <= 1:
        life.take_post_copy_back(event.text)
        return ()
    life.after.post_copy_refused = event.text
    return look(life, event, f'post-copy was refused: {event.text}')


def verify(life: course.Course, event: events.CallReturned) -> course.Wishes:
    """Look at both ends, whatever the call says."""
    if event.events_lost and life.state in _BEFORE_THE_SWITCH:
        # It may have been stopped right after it was last seen.
        seen = max(life.pulse.seen_at, life.entered_at)
        life.take_switch(min(seen, event.at))
    life.switched |= event.events_lost
    life.after.lost = event.events_lost
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
    life.after.call_error = life.after.call_error or event.error
    life.tell(event, f'the call came back: {event.error or "success"}')
    return ()


def look(
    life: course.Course, event: events.Event, error: str
) -> course.Wishes:
    """Look at both ends for the first time."""
    pause = 0.0
    if life.after.attempted:
        life.after.attempted = False
        pause = _pause(life)
    life.after.call_error = error
    life.after.looks = life.after.agreed = 0
    life.after.verdict = life.after.mending = None
    life.enter(
        states.State.VERIFYING,
        event,
        f'the call ended: {error}' if error else 'the call succeeded',
    )
    return (
        *life.after.look(pause),
        *life.report('both ends are looked at'),
    )


def _pause(life: course.Course) -> float:
    """Say how long to wait before a recovery is tried again."""
    doubled = FIRST_PAUSE_SECONDS * 2.0 ** min(life.after.recoveries, 10)
    life.after.recoveries += 1
    return min(doubled, LONGEST_PAUSE_SECONDS)
