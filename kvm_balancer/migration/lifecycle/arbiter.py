"""Which end has the instance: the truth table over what both ends say.

Pure, and a function of what was seen only. The call that carries a migration
may come back with an error after it succeeded, or never; the ends are the
truth. An end that cannot be asked says nothing: it is never taken for one
that has nothing.

A verdict that needs an action (say, to resume the source) is believed only
after the ends were looked at several times, since the two are never seen at
the same moment; and libvirt tidies up by itself first, where it can.
"""

import dataclasses
import enum

from kvm_balancer.migration import events
from kvm_balancer.model import outcome


class Action(enum.StrEnum):
    """What has to be done about a pair of ends."""

    NONE = 'nothing'
    WAIT = 'wait'
    RESUME_SOURCE = 'resume the source'
    DESTROY_SOURCE = 'remove what is left on the source'
    DESTROY_DESTINATION = 'remove the unstarted copy on the destination'
    RESUME_DESTINATION = 'resume the destination'
    RECOVER_POST_COPY = 'recover post-copy'
    SUSPEND_BOTH = 'suspend both copies and call a person'
    CALL_A_PERSON = 'call a person'


#: What a driver may be told to do, by :class:`..instructions.Mend`.
MENDABLE = frozenset(
    {
        Action.RESUME_SOURCE,
        Action.DESTROY_SOURCE,
        Action.DESTROY_DESTINATION,
        Action.RESUME_DESTINATION,
        Action.SUSPEND_BOTH,
    }
)


@dataclasses.dataclass(frozen=True, slots=True)
class Known:
    """What is known beside what the ends say now.

    :ivar switched: the guest may have been stopped on the source. Where it
        was not, a destination that cannot be asked cannot run it either
    :ivar across: all of the memory is on the destination
    :ivar ran_there: the guest was seen to run on the destination: what the
        source has is older than that
    :ivar watched: the destination was looked at ever since the guest may have
        been stopped: where it was not seen to run there, it did not
    """

    switched: bool = True
    across: bool = False
    ran_there: bool = False
    watched: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """What a pair of ends means.

    :ivar outcome: how the migration ended, if the ends stay as they are
    :ivar looks: how often in a row the ends must say so before it is
        believed; 1 for what is settled at once
    :ivar reason: what was found, for the operator
    :ivar advice: what to do about it; empty where there is nothing to do
    """

    outcome: outcome.OutcomeKind
    action: Action
    looks: int
    reason: str
    advice: str = ''


_COMPLETED = outcome.OutcomeKind.COMPLETED
_FAILED = outcome.OutcomeKind.FAILED
_UNKNOWN = outcome.OutcomeKind.UNKNOWN

#: Looks 0.1 s apart at first and 5 s in the end: 20 of them outlast the 30 s
#: after which libvirt's keepalive gives a connection up, and what follows.
_PATIENT = 20
#: Two running copies damage their disk; three looks exclude that the ends
#: were merely seen on either side of the switch.
_QUICK = 3
#: A guest that stands still, and of which no job is left: a few seconds.
_SOON = 6


class _Case(enum.Enum):
    """The verdicts of the table."""

    COMPLETE = Verdict(
        _COMPLETED, Action.NONE, 1, 'the instance runs on the destination'
    )
    ARRIVED_PAUSED = Verdict(
        _COMPLETED,
        Action.NONE,
        1,
        'the instance is on the destination, paused by someone',
    )
    ARRIVED_OFF = Verdict(
        _COMPLETED,
        Action.NONE,
        _QUICK,
        'the instance was moved, and is shut off on the destination: it ended'
        ' there',
        'start it where it is wanted',
    )
    KEPT = Verdict(_FAILED, Action.NONE, 1, 'the instance is on the source')
    ENDED = Verdict(
        _FAILED,
        Action.NONE,
        2,
        'the instance is shut off on the source and is not on the'
        ' destination: it ended meanwhile',
        'start it where it is wanted',
    )
    UNDER_WAY = Verdict(
        _UNKNOWN,
        Action.WAIT,
        _PATIENT,
        'a migration job still holds the instance',
        'look at both hosts again when the job is over',
    )
    POST_COPY_UNDER_WAY = Verdict(
        _UNKNOWN,
        Action.WAIT,
        _PATIENT,
        'post-copy is still under way',
        'leave both copies alone until it is over',
    )
    LEFT_BEHIND = Verdict(
        _COMPLETED,
        Action.DESTROY_SOURCE,
        _QUICK,
        'the instance runs on the destination, and its definition is left on'
        ' the source',
        'see whose the definition on the source is, and never start it there',
    )
    LEFT_BEHIND_PAUSED = Verdict(
        _COMPLETED,
        Action.DESTROY_SOURCE,
        _QUICK,
        'the instance is on the destination, paused by someone, and its'
        ' definition is left on the source',
        'see whose the definition on the source is, and never start it there',
    )
    LEFT_BEHIND_OFF = Verdict(
        _COMPLETED,
        Action.DESTROY_SOURCE,
        _QUICK,
        'the instance was moved, and is shut off on the destination: it ended'
        ' there; its definition is left on the source',
        'start it where it is wanted, but never on the source',
    )
    ENDED_TWICE = Verdict(
        _FAILED,
        Action.DESTROY_DESTINATION,
        _QUICK,
        'the instance is shut off on the source: it ended meanwhile; its'
        ' definition is left on the destination',
        'start it where it is wanted, but never on the destination',
    )
    ENDED_SOMEWHERE = Verdict(
        _UNKNOWN,
        Action.CALL_A_PERSON,
        _SOON,
        'the instance is shut off on both ends, and where it ran last is not'
        ' known',
        'see which of its disks are the latest, start it there, and remove'
        ' the other definition; either will do where both share the disks',
    )
    LEFT_AHEAD = Verdict(
        _FAILED,
        Action.DESTROY_DESTINATION,
        _QUICK,
        'the instance is on the source, and its definition is left on the'
        ' destination',
        'see whose the definition on the destination is, and never start it'
        ' there',
    )
    REMNANT = Verdict(
        _UNKNOWN,
        Action.DESTROY_DESTINATION,
        _SOON,
        'the instance is on the source, and an unstarted copy is left on the'
        ' destination',
        'make sure that it runs on the source, then destroy the paused copy'
        ' on the destination',
    )
    ARRIVED = Verdict(
        _UNKNOWN,
        Action.DESTROY_SOURCE,
        _SOON,
        'the instance runs on the destination, and its stopped copy is left'
        ' on the source',
        'never resume the source; destroy the paused copy there',
    )
    STOPPED = Verdict(
        _UNKNOWN,
        Action.RESUME_SOURCE,
        _SOON,
        'the instance is stopped on the source and is not on the destination',
        'make sure that no host runs it, then resume it on the source',
    )
    OUTRUN = Verdict(
        _UNKNOWN,
        Action.CALL_A_PERSON,
        _PATIENT,
        'the instance is stopped on the source; it ran on the destination'
        ' since, and is not there any more',
        'never resume the source: its memory is older than the disks; start'
        ' the instance anew from its disks, once no host runs it',
    )
    UNWATCHED = Verdict(
        _UNKNOWN,
        Action.CALL_A_PERSON,
        _SOON,
        'the instance is stopped on the source and does not run on the'
        ' destination, which was out of sight meanwhile: it may have run'
        ' there, or have gone on from there',
        'make sure that no host runs it; resume it on the source only if it'
        ' never ran anywhere since, else start it anew from its disks',
    )
    STOPPED_AT_DESTINATION = Verdict(
        _UNKNOWN,
        Action.RESUME_DESTINATION,
        _SOON,
        'the source has let go of the instance, and the destination has not'
        ' started it',
        'make sure that no host runs it, then resume it on the destination',
    )
    INCOMPLETE = Verdict(
        _UNKNOWN,
        Action.CALL_A_PERSON,
        _PATIENT,
        'the source has let go of the instance, and whether all of its memory'
        ' is on the destination, where it was not started, is not known',
        'resume it on the destination only if the source says that it'
        ' migrated; else start it anew from its disks, once no host runs it',
    )
    BROKEN = Verdict(
        _UNKNOWN,
        Action.RECOVER_POST_COPY,
        _QUICK,
        'post-copy broke: the memory is on both ends',
        'mend the network and resume post-copy; neither resume the source'
        ' nor destroy either copy',
    )
    HALF_GONE = Verdict(
        _UNKNOWN,
        Action.CALL_A_PERSON,
        _SOON,
        'post-copy had begun and one end is gone: no copy is whole, and the'
        ' memory of the instance is lost',
        'destroy what is left of it, and start it anew from its disks once no'
        ' host runs it',
    )
    HALF_MISSING = Verdict(
        _UNKNOWN,
        Action.CALL_A_PERSON,
        _PATIENT,
        'post-copy was under way and one end is gone: unless the other one has'
        ' all of the memory, it is lost',
        'if the instance does not go on, destroy what is left of it, and start'
        ' it anew from its disks once no host runs it',
    )
    STOPPED_BOTH = Verdict(
        _UNKNOWN,
        Action.DESTROY_DESTINATION,
        _SOON,
        'the instance is stopped on the source, and the copy on the'
        ' destination was not started',
        'destroy the copy on the destination, which never ran, then resume'
        ' the source',
    )
    STOPPED_TWICE = Verdict(
        _UNKNOWN,
        Action.CALL_A_PERSON,
        _PATIENT,
        'the instance is paused on both ends',
        'decide which copy is the last one, resume it, destroy the other',
    )
    TWICE = Verdict(
        _UNKNOWN,
        Action.SUSPEND_BOTH,
        _QUICK,
        'the instance runs on both ends',
        'suspend both copies now, before they damage the disk; then decide'
        ' which one stays',
    )
    STRANGE = Verdict(
        _UNKNOWN,
        Action.CALL_A_PERSON,
        _PATIENT,
        'the two ends contradict each other',
        'look at both hosts before touching either copy',
    )
    LOST = Verdict(
        _UNKNOWN,
        Action.CALL_A_PERSON,
        _QUICK,
        'the instance is on neither end',
        'look for it on other hosts; start it anew from its disks if no host'
        ' runs it',
    )
    BLIND = Verdict(
        _UNKNOWN,
        Action.WAIT,
        _PATIENT,
        'an end cannot be asked, and what it has is not known',
        'do nothing to the other copy until that host is seen again or fenced',
    )
    NEVER_SWITCHED = Verdict(
        _FAILED,
        Action.NONE,
        _QUICK,
        'the instance runs on the source and was never stopped there; the'
        ' destination cannot be asked',
        'look for an unstarted copy on the destination when it is back',
    )


_K, _C, _P = _Case.KEPT, _Case.COMPLETE, _Case.ARRIVED_PAUSED
_R, _A, _S = _Case.REMNANT, _Case.ARRIVED, _Case.STOPPED
_D, _B, _H = _Case.STOPPED_AT_DESTINATION, _Case.BROKEN, _Case.HALF_GONE
_2, _T, _X = _Case.STOPPED_TWICE, _Case.TWICE, _Case.STRANGE
_L, _U, _E = _Case.LOST, _Case.BLIND, _Case.ENDED
_W, _N, _M = _Case.POST_COPY_UNDER_WAY, _Case.STOPPED_BOTH, _Case.LEFT_BEHIND
_F, _G = _Case.LEFT_AHEAD, _Case.HALF_MISSING
_O, _Q, _V = _Case.ARRIVED_OFF, _Case.LEFT_BEHIND_PAUSED, _Case.ENDED_TWICE

#: A row for what the source says, in the order of ``EndState``; a column for
#: what the destination says, in the same order: running, paused, paused for
#: migration, in post-copy, post-copy broken, shut off, absent, unreachable.
#: The job, if there still is one, is looked at first.
_ROWS: dict[events.EndState, tuple[_Case, ...]] = {
    events.EndState.RUNNING: (_T, _X, _R, _X, _X, _F, _K, _U),
    events.EndState.PAUSED: (_X, _2, _R, _X, _X, _F, _K, _U),
    events.EndState.PAUSED_MIGRATION: (_A, _2, _N, _B, _B, _S, _S, _U),
    events.EndState.POST_COPY: (_A, _X, _X, _W, _B, _G, _G, _U),
    events.EndState.POST_COPY_FAILED: (_A, _X, _X, _B, _B, _H, _H, _U),
    events.EndState.SHUT_OFF: (_M, _Q, _D, _G, _H, _V, _E, _U),
    events.EndState.ABSENT: (_C, _P, _D, _G, _H, _O, _L, _U),
    events.EndState.UNREACHABLE: (_U, _U, _U, _U, _U, _U, _U, _U),
}

TABLE: dict[tuple[events.EndState, events.EndState], Verdict] = {
    (source, destination): case.value
    for source, row in _ROWS.items()
    for destination, case in zip(events.EndState, row, strict=True)
}

#: The verdict over a job that still runs.
UNDER_WAY = _Case.UNDER_WAY.value
POST_COPY_UNDER_WAY = _Case.POST_COPY_UNDER_WAY.value
#: What two copies that ran, and were suspended, mean from then on.
STOPPED_TWICE = _Case.STOPPED_TWICE.value

_GONE = (events.EndState.ABSENT, events.EndState.SHUT_OFF)
_IN_POST_COPY = (
    events.EndState.POST_COPY,
    events.EndState.POST_COPY_FAILED,
)

#: What a job that is still there does not put in doubt.
_WHATEVER_THE_JOB = frozenset(
    {
        *(_C.value, _M.value, _P.value, _Q.value),
        *(_T.value, _B.value, _U.value),
    }
)


def judge(
    source: events.End, destination: events.End, known: Known
) -> Verdict:
    """Say what the two ends mean together."""
    verdict = TABLE[source.state, destination.state]
    if _is_held(source, destination) and verdict not in _WHATEVER_THE_JOB:
        return _Case.UNDER_WAY.value
    verdict = _refined(verdict, known)
    if (
        source.state is events.EndState.RUNNING
        and destination.state is events.EndState.UNREACHABLE
        and not known.switched
        and not source.job_active
    ):
        return _Case.NEVER_SWITCHED.value
    return verdict


def _refined(verdict: Verdict, known: Known) -> Verdict:
    """Take into account what the ends do not show any more."""
    arrived = known.across or known.ran_there
    match verdict:
        case _S.value if known.ran_there:
            return _Case.OUTRUN.value
        case _S.value if not known.watched:
            return _Case.UNWATCHED.value
        case _D.value if not known.across:
            return _Case.INCOMPLETE.value
        case _V.value if arrived:
            return _Case.LEFT_BEHIND_OFF.value
        case _V.value if not known.watched:
            return _Case.ENDED_SOMEWHERE.value
        case _:
            return verdict


def is_vacant(source: events.End, destination: events.End) -> bool:
    """Say whether the destination has nothing, and nothing comes to it."""
    if destination.state not in _GONE or destination.job_active:
        return False
    if source.state is events.EndState.POST_COPY_FAILED:
        # its job waits for ever
        return True
    return (
        not source.job_active
        and source.state is not events.EndState.UNREACHABLE
    )


def _is_held(source: events.End, destination: events.End) -> bool:
    """Say whether a job may still change what is seen.

    That of a source whose post-copy broke waits for a recovery for ever,
    also where the destination has all it needs; and so does that of a
    destination whose source is gone.
    """
    if source.state is events.EndState.POST_COPY_FAILED:
        return destination.job_active
    if source.state in _GONE and destination.state in _IN_POST_COPY:
        return False
    return source.job_active or destination.job_active
