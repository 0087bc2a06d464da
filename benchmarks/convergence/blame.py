"""What a policy made of a network that changed, and whether it was right.

Nobody can know what a network will do. A decision is judged by what was
known when it was taken: as if all stayed as it was then, and a fault that is
still waited for healed at once. While there is a fault post-copy is not to be
had: it neither should be started nor limits what pre-copy may take.
"""

import enum

from benchmarks.convergence import cases
from benchmarks.convergence import drive
from benchmarks.convergence import faults
from benchmarks.convergence import oracle
from kvm_balancer.migration.convergence import patience

#: A fault is seen after so many looks at the latest, and so is its end.
LOOKS = 4.0
#: So much later than it is due a dead link may be given up.
SLACK_SECONDS = 6.0


class Wrong(enum.StrEnum):
    """What a policy got wrong."""

    SENT_OFF = 'post-copied by a fault'
    POST_COPIED = 'post-copied'
    GAVE_UP = 'gave up'
    UNTOLD = 'fault untold'
    LATE = 'late'


def granted(case: cases.Case, at: float) -> float:
    """Return how long it may take to converge, as known at a moment."""
    options = case.options
    lost = faults.lost_seconds(case, at)
    budget = patience.granted_seconds(options, case.full_seconds)
    limit = options.time_limit_seconds or budget + lost
    if not options.post_copy or faults.fault_at(case, at) is not None:
        return limit
    hasty = oracle.hasty(faults.mended(case))
    return min(limit, options.post_copy_patience * hasty.seconds + lost)


def converges(case: cases.Case, at: float) -> bool:
    """Say whether it converges in time, as known at a moment.

    Who stopped before the network changed the last time, for longer than was
    worth it, was lucky; and so was who stopped over a link that carried next
    to nothing.
    """
    known = faults.known(case, at)
    limit = granted(known, at)
    ran = oracle.patient(known, limit)
    stopped_at = ran.seconds - ran.downtime_ms / 1000.0
    changed_at = max((one.begins for one in faults.faults(known)), default=0.0)
    changed_at = max((changed_at, *(at for at, _ in known.shares)))
    over = faults.fault_at(known, stopped_at)
    return (
        ran.end == drive.SWITCHED
        and (over is None or not over.broken)
        and stopped_at > changed_at
        and ran.seconds <= oracle.GRACE * limit
    )


def judge(case: cases.Case, ran: drive.Ran) -> frozenset[Wrong]:
    """Say what was wrong about a run."""
    if ran.end == drive.STUCK and not ran.sent_off:
        return frozenset({Wrong.LATE})
    if ran.sent_off:
        return frozenset(_sent_off(case, ran.decided_at))
    if ran.end == drive.GIVEN_UP:
        return frozenset(_gave_up(case, ran))
    return frozenset()


def _seen_after(case: cases.Case) -> float:
    return LOOKS * drive.look_seconds(case)


def _sent_off(case: cases.Case, at: float) -> set[Wrong]:
    fault = faults.fault_at(case, at)
    if fault is not None and at - fault.begins > _seen_after(case):
        return {Wrong.SENT_OFF}
    return {Wrong.POST_COPIED} if converges(case, at) else set()


def _gave_up(case: cases.Case, ran: drive.Ran) -> set[Wrong]:
    at, limit = ran.decided_at, case.options.time_limit_seconds
    fault = faults.fault_at(case, at)
    if ran.stopped:
        # it stands still: that is not waited for as long as a copy is
        named = fault is None or 'network' in ran.reason
        return set() if named else {Wrong.UNTOLD}
    over = 0.0 < limit <= at
    found = set()
    if fault is not None and at - fault.begins >= fault.patient:
        if 'network' not in ran.reason:
            found.add(Wrong.UNTOLD)
        if fault.broken:
            due_at = fault.begins + fault.patient
            if at > due_at + SLACK_SECONDS + _seen_after(case):
                found.add(Wrong.LATE)
            return found
    sound = _sound_for(case, at) > SLACK_SECONDS + _seen_after(case)
    due = case.options.post_copy and bool(ran.passes) and fault is None
    if over:
        due = due and sound
    if due or converges(case, at):
        found.add(Wrong.GAVE_UP)
    return found


def _sound_for(case: cases.Case, at: float) -> float:
    """Return how long the network has had no fault."""
    return min(
        (at - one.ends for one in faults.faults(case) if one.ends <= at),
        default=at,
    )
