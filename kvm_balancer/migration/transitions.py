"""What may follow what in the life of a migration, as data.

:data:`TABLE` is both what :mod:`.machine` runs by and what the documentation
is drawn from. A pair of state and event that is not in it is impossible, and
raises. What hypervisors really do send late, twice or in another order is in
it, as a row that stays where it is.

The handlers are named; they are methods of :class:`.machine.Machine`. A
handler ends in one of the row's states and nowhere else.
"""

import dataclasses

from kvm_balancer.migration import events
from kvm_balancer.migration import states

_S = states.State


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """What one event does in one state.

    :ivar handler: the method that carries it out
    :ivar to: the states it may lead to
    """

    handler: str
    to: tuple[states.State, ...]


#: Every event that can reach a machine.
EVENTS: tuple[type[events.Event], ...] = (
    events.Accepted,
    events.Checked,
    events.Progressed,
    events.PassEnded,
    events.SourceStopped,
    events.PostCopyBegun,
    events.PostCopyBroke,
    events.Refused,
    events.CallReturned,
    events.JobSettled,
    events.EndsSeen,
    events.CancelAsked,
    events.Ticked,
)

_Row = dict[type[events.Event], Rule]


def _stays(state: states.State, *kinds: type[events.Event]) -> _Row:
    """Rows for events that come late or twice, and change nothing."""
    return {kind: Rule('note', (state,)) for kind in kinds}


_REQUESTED: _Row = {
    events.Accepted: Rule('check', (_S.PRE_FLIGHT,)),
    events.CancelAsked: Rule('cancel_unstarted', (_S.CANCELLED,)),
}

_PRE_FLIGHT: _Row = {
    events.Checked: Rule('start', (_S.PREPARING, _S.FAILED)),
    events.Refused: Rule('fail_unstarted', (_S.FAILED,)),
    events.CancelAsked: Rule('cancel_unstarted', (_S.CANCELLED,)),
    events.Ticked: Rule('limit_pre_flight', (_S.PRE_FLIGHT, _S.FAILED)),
}

#: What can happen to any job that has not yet stopped the guest.
_COPYING: _Row = {
    events.SourceStopped: Rule('switch', (_S.SWITCHOVER,)),
    events.PostCopyBegun: Rule('run_on_destination', (_S.POST_COPY,)),
    events.PostCopyBroke: Rule('pause_post_copy', (_S.POST_COPY_PAUSED,)),
    events.JobSettled: Rule('finish', (_S.FINISHING,)),
    events.CallReturned: Rule('verify', (_S.VERIFYING,)),
}

_PREPARING: _Row = {
    **_COPYING,
    events.Progressed: Rule('appear', (_S.COPYING_STORAGE, _S.PRE_COPY)),
    events.PassEnded: Rule('appear', (_S.PRE_COPY, _S.COPYING_STORAGE)),
    events.Refused: Rule('refuse', (_S.PREPARING, _S.VERIFYING)),
    events.CancelAsked: Rule('cancel', (_S.PREPARING,)),
    events.Ticked: Rule('limit_copy', (_S.PREPARING, _S.VERIFYING)),
}

_COPYING_STORAGE: _Row = {
    **_COPYING,
    events.Progressed: Rule('appear', (_S.COPYING_STORAGE, _S.PRE_COPY)),
    events.PassEnded: Rule('appear', (_S.PRE_COPY, _S.COPYING_STORAGE)),
    events.Refused: Rule('refuse', (_S.COPYING_STORAGE, _S.VERIFYING)),
    events.CancelAsked: Rule('cancel', (_S.COPYING_STORAGE,)),
    events.Ticked: Rule('limit_copy', (_S.COPYING_STORAGE, _S.VERIFYING)),
}

_PRE_COPY: _Row = {
    **_COPYING,
    events.Progressed: Rule('judge', (_S.PRE_COPY,)),
    events.PassEnded: Rule('judge', (_S.PRE_COPY,)),
    events.Refused: Rule('refuse', (_S.PRE_COPY, _S.VERIFYING)),
    events.CancelAsked: Rule('cancel', (_S.PRE_COPY,)),
    events.Ticked: Rule('limit_pre_copy', (_S.PRE_COPY, _S.VERIFYING)),
}

_SWITCHOVER: _Row = {
    # a switch that took too long may fall back to copying inside the
    # hypervisor; it is then told by the figures alone
    events.Progressed: Rule('watch', (_S.SWITCHOVER,)),
    events.PassEnded: Rule('watch', (_S.SWITCHOVER,)),
    events.PostCopyBegun: Rule('run_on_destination', (_S.POST_COPY,)),
    events.PostCopyBroke: Rule('pause_post_copy', (_S.POST_COPY_PAUSED,)),
    events.JobSettled: Rule('finish', (_S.FINISHING,)),
    events.CallReturned: Rule('verify', (_S.VERIFYING,)),
    events.Refused: Rule('refuse', (_S.SWITCHOVER, _S.VERIFYING)),
    events.CancelAsked: Rule('cancel_late', (_S.SWITCHOVER,)),
    events.Ticked: Rule('limit_switchover', (_S.SWITCHOVER, _S.VERIFYING)),
    **_stays(_S.SWITCHOVER, events.SourceStopped),
}

_POST_COPY: _Row = {
    events.Progressed: Rule('watch', (_S.POST_COPY,)),
    events.PassEnded: Rule('watch', (_S.POST_COPY,)),
    events.PostCopyBroke: Rule('pause_post_copy', (_S.POST_COPY_PAUSED,)),
    events.JobSettled: Rule('finish', (_S.FINISHING,)),
    events.CallReturned: Rule('verify', (_S.VERIFYING,)),
    events.Refused: Rule('refuse', (_S.POST_COPY, _S.VERIFYING)),
    events.CancelAsked: Rule('cancel_late', (_S.POST_COPY,)),
    # both ends tell of it, and the source's stop is told in its wake
    **_stays(
        _S.POST_COPY,
        events.SourceStopped,
        events.PostCopyBegun,
        events.Ticked,
    ),
}

_POST_COPY_PAUSED: _Row = {
    events.Progressed: Rule('watch', (_S.POST_COPY_PAUSED,)),
    # someone mended it
    events.PostCopyBegun: Rule('run_on_destination', (_S.POST_COPY,)),
    events.JobSettled: Rule('finish', (_S.FINISHING,)),
    events.CallReturned: Rule('verify', (_S.VERIFYING,)),
    events.Refused: Rule('refuse', (_S.POST_COPY_PAUSED, _S.VERIFYING)),
    events.CancelAsked: Rule('cancel_late', (_S.POST_COPY_PAUSED,)),
    events.Ticked: Rule('limit_wait', (_S.POST_COPY_PAUSED, _S.VERIFYING)),
    **_stays(
        _S.POST_COPY_PAUSED,
        events.PassEnded,
        events.SourceStopped,
        events.PostCopyBroke,
    ),
}

_FINISHING: _Row = {
    events.CallReturned: Rule('verify', (_S.VERIFYING,)),
    events.JobSettled: Rule('settle', (_S.FINISHING,)),
    events.Refused: Rule('refuse', (_S.FINISHING, _S.VERIFYING)),
    events.CancelAsked: Rule('cancel_late', (_S.FINISHING,)),
    events.Ticked: Rule('limit_wait', (_S.FINISHING, _S.VERIFYING)),
    events.SourceStopped: Rule('stop_late', (_S.FINISHING,)),
    events.PostCopyBegun: Rule('stop_late', (_S.FINISHING,)),
    events.PostCopyBroke: Rule('stop_late', (_S.FINISHING,)),
    **_stays(_S.FINISHING, events.Progressed, events.PassEnded),
}

_VERIFYING: _Row = {
    events.EndsSeen: Rule(
        'decide',
        (_S.VERIFYING, _S.COMPLETED, _S.FAILED, _S.CANCELLED, _S.UNKNOWN),
    ),
    events.JobSettled: Rule('settle', (_S.VERIFYING,)),
    events.Refused: Rule('refuse', (_S.VERIFYING,)),
    events.CallReturned: Rule('return_late', (_S.VERIFYING,)),
    events.CancelAsked: Rule('cancel_late', (_S.VERIFYING,)),
    # the hypervisor's events travel on another thread than its answers
    events.SourceStopped: Rule('stop_late', (_S.VERIFYING,)),
    events.PostCopyBegun: Rule('stop_late', (_S.VERIFYING,)),
    events.PostCopyBroke: Rule('stop_late', (_S.VERIFYING,)),
    **_stays(_S.VERIFYING, events.Progressed, events.PassEnded, events.Ticked),
}

#: What is over stays over, whatever still comes in.
_ENDED: dict[states.State, _Row] = {
    end: {
        kind: Rule('ignore', (end,))
        for kind in EVENTS
        if kind is not events.Accepted
    }
    for end in sorted(states.ENDS)
}

TABLE: dict[tuple[states.State, type[events.Event]], Rule] = {
    (state, kind): rule
    for state, row in {
        _S.REQUESTED: _REQUESTED,
        _S.PRE_FLIGHT: _PRE_FLIGHT,
        _S.PREPARING: _PREPARING,
        _S.COPYING_STORAGE: _COPYING_STORAGE,
        _S.PRE_COPY: _PRE_COPY,
        _S.SWITCHOVER: _SWITCHOVER,
        _S.POST_COPY: _POST_COPY,
        _S.POST_COPY_PAUSED: _POST_COPY_PAUSED,
        _S.FINISHING: _FINISHING,
        _S.VERIFYING: _VERIFYING,
        **_ENDED,
    }.items()
    for kind, rule in row.items()
}
