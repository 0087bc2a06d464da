"""What happens before the job is started: nothing is touched yet.

Both ends are looked at first, and then the executor of the destination is
asked: it alone can reserve memory, and knows what no hypervisor tells.
"""

import collections.abc
import dataclasses

from kvm_balancer.migration import events
from kvm_balancer.migration import headroom
from kvm_balancer.migration import instructions
from kvm_balancer.migration import reservation
from kvm_balancer.migration.lifecycle import course
from kvm_balancer.migration.lifecycle import states

#: Checks that are told where they passed, too.
_REMARKED = frozenset(
    (
        reservation.CHECK,
        headroom.SOURCE,
        headroom.DESTINATION,
        'storage',
    )
)

#: Pre-flight asks both hosts many things, and one of them after the other: a
#: host that falls silent is given up by its connection long before this.
CHECK_SECONDS = 600.0

#: An executor answers within seconds, or whoever asks gives it up.
RESERVATION_SECONDS = 60.0


@dataclasses.dataclass(frozen=True, slots=True)
class _Finding:
    """A check, and who made it."""

    check: events.Check
    cause: str


_Findings = collections.abc.Sequence[_Finding]

_ASKED = {
    instructions.Check.__name__: 'the checks',
    instructions.Reserve.__name__: 'the reservation',
}


def check(life: course.Course, event: events.Accepted) -> course.Wishes:
    """Look at both ends before anything is touched."""
    life.enter(states.State.PRE_FLIGHT, event)
    life.asked_at = event.at
    return (instructions.Check(), *life.report('both ends are asked'))


def reserve(life: course.Course, event: events.Checked) -> course.Wishes:
    """Have memory reserved at the destination, unless a check failed."""
    if life.holds_lease:
        # it was checked before
        return ()
    found = _found(event.checks, event.cause)
    if _failed(found):
        return _refuse(life, event, found)
    life.checks, life.checked_by = event.checks, event.cause
    life.disks = event.disks
    life.disk_mib = event.disk_mib
    life.holds_lease = True
    life.asked_at = event.at
    text = f'no check failed of {len(event.checks)}; memory is reserved next'
    life.tell(event, text)
    return (instructions.Reserve(event.images), *life.report(text))


def start(life: course.Course, event: events.Reserved) -> course.Wishes:
    """Start the job, unless a lease was refused, or not spoken of.

    A check that could not tell does not hinder; it is told.
    """
    if not life.holds_lease:
        # nobody asked
        return ()
    found = _completed(
        _found(life.checks, life.checked_by),
        (
            *_found(_with_reservation(event), event.cause),
            *_found(event.here, f'the executor of {life.request.source}'),
        ),
    )
    if _failed(found):
        return _refuse(life, event, found)
    _tell_open(life, event, found)
    life.forgo(tuple(one.check for one in found))
    settings = life.begin_policy(event.at)
    if dropped := life.policy.manner.dropped(life.request.options):
        life.tell(
            dataclasses.replace(event, cause='its options'),
            f'its policy decides without {", ".join(dropped)}',
        )
    life.marked = True
    ready = (
        f'nothing stands in the way: downtime limit {life.downtime_ms} ms to'
        f' begin with'
    )
    life.enter(states.State.PREPARING, event, ready)
    return (
        instructions.SetDowntime(life.downtime_ms),
        *life.limit_bandwidth(),
        instructions.Start(settings.options),
        *life.report(ready),
    )


def _with_reservation(event: events.Reserved) -> tuple[events.Check, ...]:
    """Return what was said; what names no reservation has none."""
    if any(one.name == reservation.CHECK for one in event.checks):
        return event.checks
    missing = events.Check(
        reservation.CHECK,
        events.Verdict.FAILED,
        f'{event.cause} did not say whether it was made',
        'see whether the executors of both hosts are of one release',
    )
    return (missing, *event.checks)


def _found(
    checks: collections.abc.Iterable[events.Check], cause: str
) -> list[_Finding]:
    return [_Finding(one, cause) for one in checks]


def _completed(seen: _Findings, told: _Findings) -> _Findings:
    """Return both, where a later word settles what was open.

    What pre-flight could tell stands: it has seen the instance.
    """
    found = {one.check.name: one for one in seen}
    for one in told:
        before = found.get(one.check.name, one).check.verdict
        if before in (events.Verdict.UNKNOWN, one.check.verdict):
            found[one.check.name] = one
    return tuple(found.values())


def _failed(found: _Findings) -> list[_Finding]:
    return [one for one in found if one.check.verdict is events.Verdict.FAILED]


def _refuse(
    life: course.Course, event: events.Event, found: _Findings
) -> course.Wishes:
    _tell_open(life, event, found)
    failed = _failed(found)
    reason = '; '.join(_said(one.check) for one in failed)
    causes = dict.fromkeys(one.cause for one in failed)
    event = dataclasses.replace(event, cause=', '.join(causes))
    return life.conclude(states.State.FAILED, event, reason)


def _tell_open(
    life: course.Course, event: events.Event, found: _Findings
) -> None:
    """Tell what did not pass, and what the destination reserved."""
    for one in found:
        check = one.check
        made = dataclasses.replace(event, cause=one.cause)
        if check.verdict is not events.Verdict.PASSED:
            life.tell(made, f'check {check.verdict.value}: {_said(check)}')
        elif check.reason and check.name in _REMARKED:
            life.tell(made, _said(check))


def _said(one: events.Check) -> str:
    said = f'{one.name}: {one.reason}'
    return f'{said} - {one.remedy}' if one.remedy else said


def share(life: course.Course, event: events.BandwidthShared) -> course.Wishes:
    """Keep in mind what the stream may use, once there is one."""
    life.take_share(event)
    return ()


def fail(life: course.Course, event: events.Refused) -> course.Wishes:
    """End where what has to be known could not even be asked."""
    return life.conclude(
        states.State.FAILED,
        event,
        f'{_ASKED.get(event.instruction, event.instruction)} could not be'
        f' made: {event.text}',
    )


def cancel(life: course.Course, event: events.CancelAsked) -> course.Wishes:
    """End before anything was touched."""
    return life.conclude(
        states.State.CANCELLED,
        event,
        f'cancelled before it was started: {event.cause}',
    )


def limit(life: course.Course, event: events.Ticked) -> course.Wishes:
    """End where the time is up, or what was asked is not answered."""
    asked, seconds = 'the checks', CHECK_SECONDS
    if life.holds_lease:
        asked, seconds = 'the reservation', RESERVATION_SECONDS
    if life.over_time(event.at):
        reason = 'the time limit passed before it was started'
    elif event.at - life.asked_at >= seconds:
        reason = f'{asked} did not come to an end within {seconds:g} s'
    else:
        return ()
    return life.conclude(states.State.FAILED, event, reason)
