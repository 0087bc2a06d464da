"""What happens before the job is started: nothing is touched yet."""

from kvm_balancer.migration import course
from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from kvm_balancer.migration import states


def check(life: course.Course, event: events.Accepted) -> course.Wishes:
    """Look at both ends before anything is touched."""
    life.enter(states.State.PRE_FLIGHT, event)
    return (instructions.Check(), *life.report('both ends are asked'))


def start(life: course.Course, event: events.Checked) -> course.Wishes:
    """Start the job, unless a check failed.

    A check that could not tell does not hinder; it is told.
    """
    failed = []
    for found in event.checks:
        if found.verdict is events.Verdict.PASSED:
            continue
        said = f'{found.name}: {found.reason}'
        if found.remedy:
            said += f' - {found.remedy}'
        life.tell(event, f'check {found.verdict.value}: {said}')
        if found.verdict is events.Verdict.FAILED:
            failed.append(said)
    if failed:
        return life.conclude(states.State.FAILED, event, '; '.join(failed))
    settings = life.policy.begin(
        life.request.options, life.request.predicted, event.at
    )
    life.downtime_ms = life.allowed_ms(settings.downtime_ms)
    ready = (
        f'{len(event.checks)} checks, none failed; downtime limit'
        f' {life.downtime_ms} ms to begin with'
    )
    life.enter(states.State.PREPARING, event, ready)
    return (
        instructions.SetDowntime(life.downtime_ms),
        instructions.Start(settings.options),
        *life.report(ready),
    )


def fail(life: course.Course, event: events.Refused) -> course.Wishes:
    """End where the checks could not even be made."""
    return life.conclude(
        states.State.FAILED,
        event,
        f'the checks could not be made: {event.text}',
    )


def cancel(life: course.Course, event: events.CancelAsked) -> course.Wishes:
    """End before anything was touched."""
    return life.conclude(
        states.State.CANCELLED,
        event,
        f'cancelled before it was started: {event.cause}',
    )


def limit(life: course.Course, event: events.Ticked) -> course.Wishes:
    """End where the checks took all the time there was."""
    if not life.over_time(event.at):
        return ()
    return life.conclude(
        states.State.FAILED,
        event,
        'the time limit passed before it was started',
    )
