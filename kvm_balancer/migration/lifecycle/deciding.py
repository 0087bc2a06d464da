"""What both ends say, and what is done about it.

The verdict is the truth table's (:mod:`.arbiter`). A job that runs on is
followed, broken post-copy recovered (:mod:`.recovering`), a copy that was
left behind mended; what nobody can tell is said to be unknown, once for each
finding, and looked into from time to time until it is known. A finding that
is another than the one that was told is made sure of at once.

Nothing is done to a migration that is not in the journal, and nothing that
cannot be undone before both ends have said the same several times; the
driver reads them again right before it, and refuses where they changed.
"""

from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from kvm_balancer.migration.lifecycle import aftermath
from kvm_balancer.migration.lifecycle import arbiter
from kvm_balancer.migration.lifecycle import course
from kvm_balancer.migration.lifecycle import ending
from kvm_balancer.migration.lifecycle import reasons
from kvm_balancer.migration.lifecycle import recovering
from kvm_balancer.migration.lifecycle import sighting
from kvm_balancer.migration.lifecycle import states
from kvm_balancer.migration.lifecycle import telling
from kvm_balancer.migration.lifecycle import verdicts

#: However often the ends change their minds, this many looks are all before
#: it is said to be unknown.
LOOKS_AT_MOST = 40
#: So many looks that say the same for so long are all before it is said to be
#: unknown where each of them takes its time.
SLOW_LOOKS = 3
SLOW_SECONDS = 75.0

#: So often something is tried before it is said to be unknown; afterwards
#: with every look.
MENDS_AT_MOST = 3
RECOVERIES_AT_MOST = 5

#: A look whose answer does not come, though a silent host is given up by its
#: connection long before this: something else that is done to the instance
#: holds it up.
LOOK_SECONDS = 300.0

#: Marks that cannot be taken off hold up no outcome for longer.
UNMARK_SECONDS = 15.0

_Action = verdicts.Action
_TOLD_ONLY = (_Action.NONE, _Action.WAIT, _Action.CALL_A_PERSON)


def adopt(life: course.Course, event: events.Adopted) -> course.Wishes:
    """Look at both ends, to find out what became of it."""
    life.after.adopted = True
    life.after.owned = event.owned
    life.after.told_unknown = event.told_unknown
    life.after.told = event.known.told
    life.after.across = event.known.across
    life.after.ran_there = event.known.ran_there
    life.after.ran_back = event.known.ran_back
    life.after.guest_paused = event.known.guest_paused
    life.after.unwatched = True
    life.marked = True
    # An earlier run may have had it promised.
    life.holds_lease = event.owned
    # What was seen by whoever carried it is lost.
    life.switched = True
    said = 'the executor ended while it was under way'
    if not event.owned:
        said = 'only the mark of the instance tells of it'
    return ending.look(life, event, said)


def doubt(life: course.Course, event: events.Stumbled) -> course.Wishes:
    """Say that it is unknown, as what was believed of it cannot be trusted.

    Nothing is done to the job: it runs on as the hypervisors have it. Both
    ends are looked at anew, as after a crash, and a job that runs is followed
    again.
    """
    after = life.after
    after.lost = life.switched = after.unwatched = True
    after.looks = after.agreed = 0
    after.verdict = after.mending = after.settled = None
    return telling.be_unknown(
        life,
        event,
        f'{event.text}: a defect, of which the log of the executor says more; '
        'nothing is ended for it, and both ends are looked at until they tell '
        'what became of it',
    )


def decide(life: course.Course, event: events.EndsSeen) -> course.Wishes:
    """Read off both ends how it ended, do what helps, or look again."""
    after = life.after
    if after.settled is not None or after.mending is not None:
        # somebody else asked
        return ()
    sighting.take(life, event)
    verdict = arbiter.judge(
        event.source,
        event.destination,
        arbiter.Known(
            life.switched,
            after.across,
            after.ran_there,
            after.ran_back,
            watched=not after.unwatched,
            copies_disks=bool(life.disks),
        ),
    )
    if after.take(verdict, event.at):
        _make_haste(life)
        life.tell(
            event,
            f'source {reasons.said(event.source)}, destination'
            f' {reasons.said(event.destination)}: {verdict.reason}',
        )
    if after.owned and recovering.can_follow(life, event):
        return recovering.follow(life, event)
    believed = _is_believed(life, event, verdict)
    if believed or after.looks >= LOOKS_AT_MOST:
        after.hasty = False
    if after.owned and believed:
        if verdict.action is _Action.RECOVER_POST_COPY and (
            after.recoveries < RECOVERIES_AT_MOST or after.has_told(verdict)
        ):
            return recovering.recover(life, event)
        if _is_mended(life, verdict):
            return _mend(life, event, verdict)
    if believed or not (
        # What was told still holds, as far as anybody knows.
        after.told_unknown or (after.owned and after.looks < LOOKS_AT_MOST)
    ):
        return telling.say(life, event, verdict)
    return telling.look_again(life)


def _is_believed(
    life: course.Course, event: events.EndsSeen, verdict: verdicts.Verdict
) -> bool:
    """Say whether both ends have said the same often enough.

    Or for long enough, where nothing is done for it but to tell: a look at a
    hypervisor that hangs takes longer than looks are apart.
    """
    after = life.after
    if after.agreed >= verdict.looks:
        return True
    return (
        verdict.action in _TOLD_ONLY
        and after.agreed >= SLOW_LOOKS
        and event.at - after.agreed_at >= SLOW_SECONDS
    )


def _make_haste(life: course.Course) -> None:
    """Make sure soon of what is another thing than what was told.

    Once: ends that change their minds without end are not worth that.
    """
    after = life.after
    if life.state is not states.State.UNKNOWN or after.hasty:
        return
    after.hasty = True
    after.looks = after.unknown_looks = after.mends = 0


def _is_mended(life: course.Course, verdict: verdicts.Verdict) -> bool:
    """Say whether to try what the verdict asks for (once more)."""
    after = life.after
    if verdict.action not in verdicts.MENDABLE:
        return False
    if reasons.end(verdict).ended:
        return not after.refused
    return after.mends < MENDS_AT_MOST or after.has_told(verdict)


def _mend(
    life: course.Course, event: events.EndsSeen, verdict: verdicts.Verdict
) -> course.Wishes:
    after = life.after
    after.mends += 1
    after.mending, after.mending_at = verdict.action, event.at
    life.decide(event, f'{verdict.action.value}: {verdict.reason}')
    return (
        instructions.Mend(
            verdict.action,
            event.source.state,
            event.destination.state,
            event.source.job_active,
            event.destination.job_active,
        ),
        *life.report(verdict.action.value),
    )


def mended(life: course.Course, event: events.Mended) -> course.Wishes:
    """See what came of what was done to a copy."""
    after = life.after
    done, after.mending, after.refused = after.mending, None, ''
    after.mended.append(event.text)
    life.tell(event, event.text)
    after.verdict, after.agreed = None, 0
    if done is _Action.SUSPEND_BOTH:
        # That both ran is so no more, and contradicts no person.
        after.seen = None
        # Each time: somebody has let both run again.
        after.told = done.value
        return telling.be_unknown(
            life,
            event,
            f'the instance ran on both ends; {event.text}; decide which copy '
            'stays, destroy the other one, and resume the first; its disks '
            'may be damaged',
            arbiter.STOPPED_TWICE.reason,
        )
    if done is _Action.DESTROY_DESTINATION:
        # What was seen to wait there waits no more, and did not run since.
        after.destination_seen_at = event.at
        if after.seen is not None:
            after.seen = after.seen[0], events.EndState.ABSENT
    _make_haste(life)
    return telling.look_again(life)


def refuse(life: course.Course, event: events.Refused) -> course.Wishes:
    """Take in what could not be done to either end."""
    after = life.after
    match event.instruction:
        case instructions.Mend.__name__ if after.mending is not None:
            life.tell(event, f'{after.mending.value}: refused: {event.text}')
            after.mending, after.refused = None, event.text
            return telling.look_again(life)
        case instructions.Unmark.__name__:
            life.tell(
                event, f'a mark is left, which hinders nothing: {event.text}'
            )
            return telling.conclude(life, event)
        case instructions.LookAtEnds.__name__:
            blind = events.End(events.EndState.UNREACHABLE, detail=event.text)
            return decide(
                life,
                events.EndsSeen(
                    at=event.at,
                    cause=event.cause,
                    source=blind,
                    destination=blind,
                ),
            )
        case _:
            return ending.refuse(life, event)


def unmarked(life: course.Course, event: events.Unmarked) -> course.Wishes:
    """End it, now that no trace of it is left."""
    return telling.conclude(life, event)


def limit(life: course.Course, event: events.Ticked) -> course.Wishes:
    """Do not wait for ever for what was to be done."""
    after = life.after
    if after.settled is not None:
        if event.at - after.settled.since >= UNMARK_SECONDS:
            life.tell(
                event,
                f'no word within {UNMARK_SECONDS:g} s that the marks are off: '
                'they may come off later, and hinder nothing where they stay',
            )
            return telling.conclude(life, event)
    elif after.mending is not None and (
        event.at - after.mending_at >= course.CALL_SECONDS
    ):
        life.tell(event, f'{after.mending.value}: no word of it')
        after.mending, after.refused = None, 'the hypervisor did not answer'
        return telling.look_again(life)
    elif life.state is states.State.VERIFYING:
        return _limit_look(life, event)
    return ()


def _limit_look(life: course.Course, event: events.Ticked) -> course.Wishes:
    """Say that it is unknown where no look comes to an end.

    One was asked for, and is taken in whenever it comes.
    """
    since = max(life.after.seen_at, life.entered_at)
    if event.at - since < LOOK_SECONDS:
        return ()
    reason = (
        f'no look at both ends came to an end within {LOOK_SECONDS:g} s, as '
        'where a QEMU hangs; see whether it answers: virsh '
        'qemu-monitor-command DOMAIN --hmp info status'
    )
    life.enter(states.State.UNKNOWN, event, reason)
    return life.tell_unknown(event, reason, reason)


def settle_by_hand(
    life: course.Course, event: events.SettledByHand
) -> course.Wishes:
    """Believe a person where it is unknown and nothing says otherwise."""
    after = life.after
    if life.state is not states.State.UNKNOWN or after.settled is not None:
        life.tell(event, 'settled by hand, too late: more is known by now')
        return ()
    objection = after.objection(event.completed)
    if objection:
        life.tell(event, f'settled by hand, in vain: {objection}')
        return ()
    end = states.State.COMPLETED if event.completed else states.State.FAILED
    life.decide(event, f'settled by hand as {end.value}')
    after.mending = None
    after.settled = aftermath.Settled(
        end, f'settled by hand: {event.cause}', event.at
    )
    if life.marked:
        return (instructions.Unmark(),)
    return telling.conclude(life, event)
