"""Which end has the instance: the truth table over what both ends say.

Pure, and a function of what was seen only. The call that carries a migration
may come back with an error after it succeeded, or never; the ends are the
truth. An end that cannot be asked says nothing: it is never taken for one
that has nothing. What a verdict says is in :mod:`.cases`.
"""

import dataclasses

from kvm_balancer.migration import events
from kvm_balancer.migration.lifecycle import cases
from kvm_balancer.migration.lifecycle import verdicts


@dataclasses.dataclass(frozen=True, slots=True)
class Known:
    """What is known beside what the ends say now.

    :ivar switched: the guest may have been stopped on the source. Where it
        was not, a destination that cannot be asked cannot run it either
    :ivar across: all of the memory is on the destination
    :ivar ran_there: the guest was seen to run on the destination: what the
        source has is older than that
    :ivar ran_back: the source went on after its memory was on the
        destination, or the guest ran there: where it ran last is not known
    :ivar watched: the destination was looked at ever since the guest may have
        been stopped: where it was not seen to run there, it did not
    :ivar copies_disks: images were made for it on the destination: worth
        waiting for, so that nothing of them stays behind
    """

    switched: bool = True
    across: bool = False
    ran_there: bool = False
    ran_back: bool = False
    watched: bool = True
    copies_disks: bool = False


_Case = cases.Case
_K, _C, _P = (
    _Case.KEPT,
    _Case.COMPLETE,
    _Case.ARRIVED_PAUSED,
)
_R, _A, _S = (
    _Case.REMNANT,
    _Case.ARRIVED,
    _Case.STOPPED,
)
_D, _B, _H = (
    _Case.STOPPED_AT_DESTINATION,
    _Case.BROKEN,
    _Case.HALF_GONE,
)
_2, _T, _X = (
    _Case.STOPPED_TWICE,
    _Case.TWICE,
    _Case.STRANGE,
)
_L, _U, _E = _Case.LOST, _Case.BLIND, _Case.ENDED
_W, _N, _M = (
    _Case.POST_COPY_UNDER_WAY,
    _Case.STOPPED_BOTH,
    _Case.LEFT_BEHIND,
)
_F, _G = _Case.LEFT_AHEAD, _Case.HALF_MISSING
_O, _Q, _V = (
    _Case.ARRIVED_OFF,
    _Case.LEFT_BEHIND_PAUSED,
    _Case.ENDED_TWICE,
)

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

TABLE: dict[tuple[events.EndState, events.EndState], verdicts.Verdict] = {
    (source, destination): case.value
    for source, row in _ROWS.items()
    for destination, case in zip(events.EndState, row, strict=True)
}

#: The verdict over a job that still runs.
UNDER_WAY = _Case.UNDER_WAY.value
POST_COPY_UNDER_WAY = _Case.POST_COPY_UNDER_WAY.value
#: What two copies that ran, and were suspended, mean from then on.
STOPPED_TWICE = _Case.STOPPED_TWICE.value

#: What is meant by the same ends where the guest ran on the destination: what
#: the source has is older, and a copy that waits for a migration there is not
#: one that was never started.
_LATER = {
    _K.value: _Case.RAN_ON_BOTH.value,
    _F.value: _Case.RAN_ON_BOTH.value,
    _R.value: _Case.RAN_ON_BOTH.value,
    _N.value: _Case.STOPPED_LATER.value,
    _D.value: _Case.STOPPED_LATER.value,
    _S.value: _Case.OUTRUN.value,
    _E.value: _Case.ENDED_AFTER_ALL.value,
    _L.value: _Case.LOST_THERE.value,
}

#: What is meant by the same ends where the source went on since: neither has
#: the last there is for sure.
_AFTER_BOTH = {
    _V.value: _Case.ENDED_SOMEWHERE.value,
    _O.value: _Case.ENDED_SOMEWHERE.value,
    _E.value: _Case.ENDED_UNWATCHED.value,
    _L.value: _L.value,
    _G.value: _X.value,
    _H.value: _X.value,
    _A.value: _Case.OUTDATED.value,
    _D.value: _Case.OUTDATED.value,
    _N.value: _Case.OUTDATED.value,
    _S.value: _Case.OUTDATED.value,
}

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
) -> verdicts.Verdict:
    """Say what the two ends mean together."""
    verdict = TABLE[source.state, destination.state]
    if _is_held(source, destination) and verdict not in _WHATEVER_THE_JOB:
        return _Case.UNDER_WAY.value
    verdict = _refined(verdict, known, source)
    if (
        source.state is events.EndState.RUNNING
        and destination.state is events.EndState.UNREACHABLE
        and not (known.switched or known.ran_there)
        and not source.job_active
    ):
        if known.copies_disks:
            return _Case.NEVER_SWITCHED_WITH_DISKS.value
        return _Case.NEVER_SWITCHED.value
    return verdict


def _refined(
    verdict: verdicts.Verdict, known: Known, source: events.End
) -> verdicts.Verdict:
    """Take into account what the ends do not show any more."""
    later = _later(verdict, known)
    if later is not None:
        return later
    arrived = known.across or known.ran_there
    match verdict:
        case _S.value if not known.watched:
            return _Case.UNWATCHED.value
        case _D.value if not known.across:
            return _Case.INCOMPLETE.value
        case _V.value if arrived and source.migrated:
            return _Case.LEFT_BEHIND_OFF.value
        case _V.value if arrived or not known.watched:
            # Out of sight, the source may have gone on as well, and ended
            # last; a hypervisor that was restarted cannot tell any more.
            return _Case.ENDED_SOMEWHERE.value
        case _E.value if known.across or not known.watched:
            return _Case.ENDED_UNWATCHED.value
        case _K.value if known.switched and not known.watched:
            return _Case.KEPT_UNWATCHED.value
        case _F.value if known.switched and not known.watched:
            return _Case.LEFT_AHEAD_UNWATCHED.value
        case _:
            return verdict


def _later(verdict: verdicts.Verdict, known: Known) -> verdicts.Verdict | None:
    """Say what it means by where the guest was seen, if that differs."""
    if known.ran_back and verdict in _AFTER_BOTH:
        return _AFTER_BOTH[verdict]
    return _LATER.get(verdict) if known.ran_there else None


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
