"""What may follow what in the life of a migration, as data.

:data:`TABLE` is both what :mod:`.machine` runs by and what the documentation
is drawn from. A pair of state and event that is not in it is impossible, and
raises. What hypervisors really do send late, twice or in another order is in
it, as a row that stays where it is.

A handler ends in one of the row's states and nowhere else; the machine sees
to it.
"""

import collections.abc
import dataclasses
from typing import Any

from kvm_balancer.migration import events
from kvm_balancer.migration.lifecycle import copying
from kvm_balancer.migration.lifecycle import course
from kvm_balancer.migration.lifecycle import deciding
from kvm_balancer.migration.lifecycle import ending
from kvm_balancer.migration.lifecycle import recovering
from kvm_balancer.migration.lifecycle import starting
from kvm_balancer.migration.lifecycle import states
from kvm_balancer.migration.lifecycle import switching

_S = states.State

#: Takes the migration and the event, of the kind that the row names.
Handler = collections.abc.Callable[[course.Course, Any], course.Wishes]


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """What one event does in one state.

    :ivar handler: what is done; its first line says it in the documentation
    :ivar to: the states it may lead to
    """

    handler: Handler
    to: tuple[states.State, ...]


#: Every event that can reach a machine.
EVENTS: tuple[type[events.Event], ...] = (
    events.Accepted,
    events.Adopted,
    events.Checked,
    events.Reserved,
    events.BandwidthShared,
    events.Progressed,
    events.PassEnded,
    events.SourceStopped,
    events.Arrived,
    events.PostCopyBegun,
    events.PostCopyBroke,
    events.Refused,
    events.CallReturned,
    events.JobSettled,
    events.EndsSeen,
    events.Mended,
    events.Unmarked,
    events.Noted,
    events.Stumbled,
    events.SettledByHand,
    events.CancelAsked,
    events.Ticked,
)

_Row = dict[type[events.Event], Rule]


def _stays(state: states.State, *kinds: type[events.Event]) -> _Row:
    """Rows for events that come late or twice, and change nothing."""
    return {kind: Rule(switching.note, (state,)) for kind in kinds}


_REQUESTED: _Row = {
    events.Accepted: Rule(starting.check, (_S.PRE_FLIGHT,)),
    events.Adopted: Rule(deciding.adopt, (_S.VERIFYING,)),
    events.CancelAsked: Rule(starting.cancel, (_S.CANCELLED,)),
}

_PRE_FLIGHT: _Row = {
    events.Checked: Rule(starting.reserve, (_S.PRE_FLIGHT, _S.FAILED)),
    events.Reserved: Rule(
        starting.start, (_S.PRE_FLIGHT, _S.PREPARING, _S.FAILED)
    ),
    events.BandwidthShared: Rule(starting.share, (_S.PRE_FLIGHT,)),
    events.Refused: Rule(starting.fail, (_S.FAILED,)),
    events.CancelAsked: Rule(starting.cancel, (_S.CANCELLED,)),
    events.Ticked: Rule(starting.limit, (_S.PRE_FLIGHT, _S.FAILED)),
}

#: What can happen to any job that has not yet stopped the guest.
_COPYING: _Row = {
    events.SourceStopped: Rule(switching.switch, (_S.SWITCHOVER,)),
    events.PostCopyBegun: Rule(switching.run_on_destination, (_S.POST_COPY,)),
    events.PostCopyBroke: Rule(
        switching.pause_post_copy, (_S.POST_COPY_PAUSED,)
    ),
    events.JobSettled: Rule(switching.finish, (_S.FINISHING,)),
    events.CallReturned: Rule(ending.verify, (_S.VERIFYING,)),
}

#: A job that appears shows what it copies, and how far it is.
_APPEARED = (_S.COPYING_STORAGE, _S.PRE_COPY, _S.VERIFYING)

_PREPARING: _Row = {
    **_COPYING,
    events.Progressed: Rule(copying.appear, _APPEARED),
    events.PassEnded: Rule(copying.appear, _APPEARED),
    events.BandwidthShared: Rule(copying.share, (_S.PREPARING,)),
    events.Refused: Rule(ending.refuse, (_S.PREPARING, _S.VERIFYING)),
    events.CancelAsked: Rule(copying.cancel, (_S.PREPARING,)),
    events.Ticked: Rule(copying.limit, (_S.PREPARING, _S.VERIFYING)),
}

_COPYING_STORAGE: _Row = {
    **_COPYING,
    events.Progressed: Rule(copying.appear, _APPEARED),
    events.PassEnded: Rule(copying.appear, _APPEARED),
    events.BandwidthShared: Rule(copying.share, (_S.COPYING_STORAGE,)),
    events.Refused: Rule(ending.refuse, (_S.COPYING_STORAGE,)),
    events.CancelAsked: Rule(copying.cancel, (_S.COPYING_STORAGE,)),
    events.Ticked: Rule(copying.limit, (_S.COPYING_STORAGE, _S.VERIFYING)),
}

_PRE_COPY: _Row = {
    **_COPYING,
    events.Progressed: Rule(copying.judge, (_S.PRE_COPY, _S.VERIFYING)),
    events.PassEnded: Rule(copying.judge, (_S.PRE_COPY, _S.VERIFYING)),
    events.BandwidthShared: Rule(copying.share, (_S.PRE_COPY,)),
    events.Refused: Rule(ending.refuse, (_S.PRE_COPY, _S.VERIFYING)),
    events.CancelAsked: Rule(copying.cancel, (_S.PRE_COPY,)),
    events.Ticked: Rule(copying.limit_pre_copy, (_S.PRE_COPY, _S.VERIFYING)),
}

_SWITCHOVER: _Row = {
    events.Progressed: Rule(switching.watch, (_S.SWITCHOVER, _S.VERIFYING)),
    events.PassEnded: Rule(switching.watch, (_S.SWITCHOVER, _S.VERIFYING)),
    events.PostCopyBegun: Rule(switching.run_on_destination, (_S.POST_COPY,)),
    events.PostCopyBroke: Rule(
        switching.pause_post_copy, (_S.POST_COPY_PAUSED,)
    ),
    events.JobSettled: Rule(switching.finish, (_S.FINISHING,)),
    events.CallReturned: Rule(ending.verify, (_S.VERIFYING,)),
    events.BandwidthShared: Rule(copying.share_late, (_S.SWITCHOVER,)),
    events.Refused: Rule(ending.refuse, (_S.SWITCHOVER,)),
    events.CancelAsked: Rule(copying.cancel_late, (_S.SWITCHOVER,)),
    events.Ticked: Rule(switching.limit_switch, (_S.SWITCHOVER, _S.VERIFYING)),
    **_stays(_S.SWITCHOVER, events.SourceStopped),
}

_POST_COPY: _Row = {
    events.Progressed: Rule(switching.watch, (_S.POST_COPY, _S.VERIFYING)),
    events.PassEnded: Rule(switching.watch, (_S.POST_COPY, _S.VERIFYING)),
    events.PostCopyBroke: Rule(
        switching.pause_post_copy, (_S.POST_COPY_PAUSED,)
    ),
    events.JobSettled: Rule(switching.finish, (_S.FINISHING,)),
    events.CallReturned: Rule(ending.verify, (_S.VERIFYING,)),
    events.BandwidthShared: Rule(copying.share, (_S.POST_COPY,)),
    events.Refused: Rule(ending.refuse, (_S.POST_COPY,)),
    events.CancelAsked: Rule(copying.cancel_late, (_S.POST_COPY,)),
    events.Ticked: Rule(
        recovering.pause_dead_stream, (_S.POST_COPY, _S.VERIFYING)
    ),
    # both ends tell of it, and the source's stop is told in its wake
    **_stays(_S.POST_COPY, events.SourceStopped, events.PostCopyBegun),
}

_POST_COPY_PAUSED: _Row = {
    events.Progressed: Rule(switching.watch, (_S.POST_COPY_PAUSED,)),
    # someone mended it
    events.PostCopyBegun: Rule(switching.run_on_destination, (_S.POST_COPY,)),
    events.JobSettled: Rule(switching.finish, (_S.FINISHING,)),
    events.CallReturned: Rule(ending.verify, (_S.VERIFYING,)),
    events.BandwidthShared: Rule(copying.share, (_S.POST_COPY_PAUSED,)),
    events.Refused: Rule(ending.refuse, (_S.POST_COPY_PAUSED,)),
    events.CancelAsked: Rule(copying.cancel_late, (_S.POST_COPY_PAUSED,)),
    events.Ticked: Rule(
        switching.limit_wait, (_S.POST_COPY_PAUSED, _S.VERIFYING)
    ),
    **_stays(
        _S.POST_COPY_PAUSED,
        events.PassEnded,
        events.SourceStopped,
        events.PostCopyBroke,
    ),
}

_RECOVERING: _Row = {
    events.PostCopyBegun: Rule(recovering.go_on, (_S.POST_COPY,)),
    events.Progressed: Rule(switching.watch, (_S.RECOVERING,)),
    events.JobSettled: Rule(switching.finish, (_S.FINISHING,)),
    events.CallReturned: Rule(ending.verify, (_S.VERIFYING,)),
    events.BandwidthShared: Rule(copying.share_late, (_S.RECOVERING,)),
    events.Refused: Rule(ending.refuse, (_S.RECOVERING, _S.VERIFYING)),
    events.CancelAsked: Rule(copying.cancel_late, (_S.RECOVERING,)),
    events.Ticked: Rule(recovering.limit, (_S.RECOVERING, _S.VERIFYING)),
    # of the stream that broke before, or of the new one: the call tells
    **_stays(
        _S.RECOVERING,
        events.PassEnded,
        events.SourceStopped,
        events.PostCopyBroke,
    ),
}

_FINISHING: _Row = {
    events.CallReturned: Rule(ending.verify, (_S.VERIFYING,)),
    events.JobSettled: Rule(switching.settle, (_S.FINISHING,)),
    events.BandwidthShared: Rule(copying.share_late, (_S.FINISHING,)),
    events.Refused: Rule(ending.refuse, (_S.FINISHING,)),
    events.CancelAsked: Rule(copying.cancel_late, (_S.FINISHING,)),
    events.Ticked: Rule(switching.limit_wait, (_S.FINISHING, _S.VERIFYING)),
    events.SourceStopped: Rule(switching.stop_late, (_S.FINISHING,)),
    events.PostCopyBegun: Rule(switching.stop_late, (_S.FINISHING,)),
    events.PostCopyBroke: Rule(switching.stop_late, (_S.FINISHING,)),
    **_stays(_S.FINISHING, events.Progressed, events.PassEnded),
}

_OVER = (_S.COMPLETED, _S.FAILED, _S.CANCELLED)

_DECIDED = (
    _S.PREPARING,
    _S.SWITCHOVER,
    _S.POST_COPY,
    _S.RECOVERING,
    *_OVER,
    _S.UNKNOWN,
)


def _looking(state: states.State) -> _Row:
    """Rows for the two states in which both ends are looked at."""
    return {
        events.EndsSeen: Rule(
            deciding.decide, tuple(dict.fromkeys((state, *_DECIDED)))
        ),
        events.Mended: Rule(
            deciding.mended, tuple(dict.fromkeys((state, _S.UNKNOWN)))
        ),
        events.Unmarked: Rule(deciding.unmarked, (state, *_OVER)),
        # ends that could not be looked at are ends that cannot be asked
        events.Refused: Rule(
            deciding.refuse, tuple(dict.fromkeys((state, *_DECIDED)))
        ),
        events.Ticked: Rule(
            deciding.limit, tuple(dict.fromkeys((state, *_OVER, _S.UNKNOWN)))
        ),
        events.JobSettled: Rule(switching.settle, (state,)),
        events.BandwidthShared: Rule(copying.share_late, (state,)),
        events.CallReturned: Rule(ending.return_late, (state,)),
        events.CancelAsked: Rule(copying.cancel_blindly, (state,)),
        # the hypervisor's events travel on another thread than its answers
        events.SourceStopped: Rule(switching.stop_late, (state,)),
        events.PostCopyBegun: Rule(switching.stop_late, (state,)),
        events.PostCopyBroke: Rule(switching.stop_late, (state,)),
        **_stays(state, events.Progressed, events.PassEnded),
    }


#: What is over stays over, whatever still comes in.
_ENDED: dict[states.State, _Row] = {
    end: {
        kind: Rule(switching.ignore, (end,))
        for kind in EVENTS
        if kind not in (events.Accepted, events.Adopted)
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
        _S.RECOVERING: _RECOVERING,
        _S.FINISHING: _FINISHING,
        _S.VERIFYING: _looking(_S.VERIFYING),
        _S.UNKNOWN: _looking(_S.UNKNOWN),
        **_ENDED,
    }.items()
    for kind, rule in row.items()
}

#: After a stumble that came before the start these are answers to what was
#: asked before it.
TABLE.update(
    {
        (_S.UNKNOWN, kind): Rule(switching.note, (_S.UNKNOWN,))
        for kind in (events.Checked, events.Reserved)
    }
)

#: Whatever could not be answered, nothing but a look at both ends tells where
#: the instance is.
TABLE.update(
    {
        (state, events.Stumbled): Rule(deciding.doubt, (_S.UNKNOWN,))
        for state in states.State
        if not state.ended
    }
)

#: A person may be late; before the start there is nothing to settle.
TABLE.update(
    {
        (state, events.SettledByHand): Rule(
            deciding.settle_by_hand,
            (state, *_OVER[:2]) if state is _S.UNKNOWN else (state,),
        )
        for state in states.State
        if state is not _S.REQUESTED and not state.ended
    }
)

#: The destination's word travels on another connection than the source's.
TABLE.update(
    {
        (state, events.Arrived): Rule(switching.arrive, (state,))
        for state in states.State
        if state not in (_S.REQUESTED, _S.PRE_FLIGHT) and not state.ended
    }
)

#: What a carrier did or saw besides is told, whenever it comes.
TABLE.update(
    {
        (state, events.Noted): Rule(switching.remark, (state,))
        for state in states.State
        if state is not _S.REQUESTED and not state.ended
    }
)
