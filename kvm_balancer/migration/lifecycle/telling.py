"""What is told of a migration whose ends were looked at, and what follows.

An end is told once the marks are off; that it is unknown, once for each
finding, and both ends are looked at again until it is known.
"""

from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from kvm_balancer.migration.lifecycle import aftermath
from kvm_balancer.migration.lifecycle import arbiter
from kvm_balancer.migration.lifecycle import course
from kvm_balancer.migration.lifecycle import reasons
from kvm_balancer.migration.lifecycle import states
from kvm_balancer.migration.lifecycle import verdicts

#: Ends that have not settled are looked at again after this long at first,
#: twice as long each time, and every so often in the end.
FIRST_DELAY_SECONDS = 0.1
LONGEST_DELAY_SECONDS = 5.0
#: Once it is said to be unknown they are looked at after this long, more and
#: more seldom.
FIRST_UNKNOWN_SECONDS = 5.0
LONGEST_UNKNOWN_SECONDS = 60.0
#: Where one copy runs and the other end may run another one, this often: two
#: of them damage their disk from the moment on in which both have it.
LONGEST_AT_RISK_SECONDS = 5.0


def say(
    life: course.Course, event: events.EndsSeen, verdict: verdicts.Verdict
) -> course.Wishes:
    """Say how it ended, or that nobody can say."""
    if not reasons.end(verdict).ended:
        unknown = be_unknown(
            life, event, reasons.unknown(life, verdict), verdict.reason
        )
        if arbiter.is_vacant(event.source, event.destination):
            return (*life.give_room_back(), *unknown)
        return unknown
    end, reason = reasons.end_of(
        life, verdict, event.source, event.destination
    )
    life.after.settled = aftermath.Settled(end, reason, event.at)
    if life.marked:
        stayed = end is not states.State.COMPLETED
        return (
            instructions.Unmark(
                clean=stayed and life.after.owned,
                never_left=not (life.switched or life.after.ran_there),
                ran_there=life.after.ran_there,
            ),
        )
    return conclude(life, event)


def conclude(life: course.Course, event: events.Event) -> course.Wishes:
    """End it as both hosts agree, if they do."""
    settled = life.after.settled
    if settled is None:
        return ()
    return life.conclude(settled.end, event, settled.reason)


def be_unknown(
    life: course.Course,
    event: events.Event,
    reason: str,
    finding: str = '',
) -> course.Wishes:
    """Tell that it is unknown, if that was not told, and look again later.

    :param finding: what tells it from another reason; empty for all of it
    """
    told = life.after.told
    if life.state is not states.State.UNKNOWN:
        life.enter(states.State.UNKNOWN, event, reason)
    elif told and told != (finding or reason):
        life.tell(event, reason)
    return (
        *life.tell_unknown(event, finding or reason, reason),
        *look_again(life),
    )


def look_again(life: course.Course) -> course.Wishes:
    """Look once more, after a while that grows."""
    after = life.after
    if life.state is states.State.UNKNOWN and not after.hasty:
        grown = FIRST_UNKNOWN_SECONDS * 1.5 ** min(after.unknown_looks, 20)
        after.unknown_looks += 1
        longest = LONGEST_UNKNOWN_SECONDS
        if after.at_risk:
            longest = LONGEST_AT_RISK_SECONDS
        return after.look(min(grown, longest))
    delay = FIRST_DELAY_SECONDS * 2.0 ** min(after.looks, 10)
    after.looks += 1
    return after.look(min(delay, LONGEST_DELAY_SECONDS))
