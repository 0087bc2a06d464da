"""Whether moves still make sense when their turn comes.

Between the making of a plan and the turn of a move the fleet goes on: hosts
fall silent, instances are moved or deleted by others, loads change, and what
the move was made for is over. Moves are held against the fleet as it is, by
the same filters that allowed them, and against whatever was begun before
them in the same step.
"""

import collections.abc
import functools

import numpy as np

from kvm_balancer.filters import base as filter_base
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement
from kvm_balancer.model import plan as plans
from kvm_balancer.planner import admission
from kvm_balancer.planner import dispatch
from kvm_balancer.planner import gauges
from kvm_balancer.planner import rules

#: Loads are never quite what they were when the plan was made.
_DRIFT = 0.05

Moves = collections.abc.Sequence[plans.Move]

#: Says why the first are not to begin now, with the second about to begin;
#: empty where they may.
HeldBack = collections.abc.Callable[[Moves, Moves], str]


def _never(moves: Moves, promised: Moves) -> str:
    return ''


class Review(dispatch.Review):
    """Holds moves against the fleet as it is, and what runs in it.

    :param fleet: as it is now
    :param in_flight: migrations under way; they hold room on both ends
    :param held_back: asked before any filter is
    """

    def __init__(
        self,
        fleet: columns.Fleet,
        filters: collections.abc.Sequence[filter_base.Filter],
        in_flight: collections.abc.Iterable[placement.InFlight] = (),
        held_back: HeldBack = _never,
    ) -> None:
        self._fleet = fleet
        self._filters = filters
        self._running = list(in_flight)
        self._held_back = held_back
        self._promised: list[plans.Move] = []
        self._gauges: dict[plans.Reading, gauges.Gauge] = {}

    def _gauge(self, reading: plans.Reading) -> gauges.Gauge:
        """Return a reading of the hosts; made when first asked for."""
        if reading not in self._gauges:
            self._gauges[reading] = gauges.Gauge(self._fleet, reading)
        return self._gauges[reading]

    @functools.cached_property
    def _state(self) -> placement.Placement:
        """Where everything is; made when first asked for.

        Most steps of a large fleet ask nothing, as no slot is free.
        """
        return placement.Placement(self._fleet, self._running)

    @functools.cached_property
    def _asked(self) -> admission.Admission:
        return admission.Admission(self._state, self._filters, by_class=False)

    def take(self, move: plans.Move) -> None:
        """Count *move* as running from now on."""
        self._promised.append(move)
        self._bring(move)

    def _bring(self, move: plans.Move) -> None:
        row = self._fleet.instance_row.get(move.instance)
        destination = self._fleet.host_row.get(move.destination)
        if row is not None and destination is not None:
            self._state.begin(row, destination)
            self._running.append(placement.InFlight(row, destination))

    def misfit(self, move: plans.Move) -> dispatch.Objection | None:
        """Say why the instance cannot go where *move* brings it."""
        reason = self._out_of_date(move) or self._refused(move)
        return dispatch.Objection(reason) if reason else None

    def objection(self, moves: Moves) -> dispatch.Objection | None:
        """Say why *moves*, all or none of which are made, are not.

        :param moves: of a unit: from one host to another
        """
        for move in moves:
            reason = self._out_of_date(move)
            if reason:
                return _of_unit(moves, move, reason)
        reason = self._held_back(
            moves, tuple(self._promised)
        ) or self._caused_no_more(moves)
        if reason:
            return dispatch.Objection(reason)
        refused = self._no_room(moves)
        if refused is not None:
            return refused
        reason = self._uphill(moves)
        return dispatch.Objection(reason) if reason else self._unwished(moves)

    def _out_of_date(self, move: plans.Move) -> str:
        """Say so where the fleet is not what *move* was planned for."""
        fleet = self._fleet
        row = fleet.instance_row.get(move.instance)
        if row is None:
            return 'the instance is not in the fleet any more'
        where = fleet.hosts.name[fleet.instances.host[row]]
        if where != move.source:
            return f'the instance is on {where} now'
        if not fleet.instances.movable[row]:
            return 'the instance may not be moved now'
        if move.destination not in fleet.host_row:
            return f'{move.destination} is not in the fleet any more'
        if self._state.in_flight[row]:
            return 'the instance is in a migration already'
        return ''

    def _no_room(self, moves: Moves) -> dispatch.Objection | None:
        """Let the members of a unit arrive one after the other."""
        if len(moves) == 1:
            reason = self._refused(moves[0])
            return dispatch.Objection(reason) if reason else None
        trial = Review(self._fleet, self._filters, self._running)
        for move in moves:
            reason = trial._refused(move)
            if reason:
                return _of_unit(moves, move, reason)
            trial._bring(move)
        return None

    def _refused(self, move: plans.Move) -> str:
        row, hosts = self._rows(move)
        asked = self._asked
        if asked.allowed(np.array((row,), np.int32), hosts, wishes=False)[
            0, 0
        ]:
            return ''
        reason = asked.refusal(row, hosts, wishes=False)
        return f'{move.destination} is refused: {reason}'

    def _rows(self, move: plans.Move) -> tuple[int, columns.Ints]:
        """Return the row of the instance, and of its destination."""
        destination = self._fleet.host_row[move.destination]
        row = self._fleet.instance_row[move.instance]
        return row, np.array((destination,), np.int32)

    def _members(self, moves: Moves) -> columns.Ints:
        rows = self._fleet.instance_row
        return np.array([rows[one.instance] for one in moves], np.int32)

    def _unwished(self, moves: Moves) -> dispatch.Objection | None:
        """Heed wishes that the plan heeded.

        What has to go goes where no other host of its zone heeds them. Moves
        that come before may change what is wished for.
        """
        if not all(move.wished for move in moves):
            return None
        asked, members = self._asked, self._members(moves)
        row, hosts = self._rows(moves[0])
        if asked.wished(self._state, members, int(hosts[0])):
            return None
        if moves[0].profile is plans.Profile.DRAIN:
            fleet = self._fleet
            inside = fleet.hosts.zone == fleet.hosts.zone[hosts[0]]
            inside[fleet.host_row[moves[0].source]] = False
            others = np.flatnonzero(inside).astype(np.int32)
            if not asked.allowed(members, others).all(axis=0).any():
                return None
        reason = asked.refusal(row, hosts) or 'a wish of its unit'
        return dispatch.Objection(
            f'{moves[0].destination} is refused: {reason}', passing=True
        )

    def _caused_no_more(self, moves: Moves) -> str:
        """Say so where what the moves were planned for is over."""
        cause, source = moves[0].cause, moves[0].source
        if cause is None:
            return ''
        state, hosts = self._state, self._fleet.hosts
        row = self._fleet.host_row[source]
        if cause.kind is plans.CauseKind.DRAINING:
            if hosts.state[row] != columns.HostState.DRAINING:
                return f'{source} is not drained any more'
        elif cause.kind is plans.CauseKind.RULE:
            if not any(
                rules.breaks(self._fleet, state.host, one)
                for one in self._members(moves).tolist()
            ):
                return 'all rules that it was to mend hold by now'
        elif hosts.state[row] == columns.HostState.DRAINING:
            # What has to go, goes whatever the loads are.
            return ''
        else:
            return self._relieved(cause, row)
        return ''

    def _relieved(self, cause: plans.Cause, source: int) -> str:
        """Say so where the load is gone that the moves were to take away."""
        hosts, name = self._fleet.hosts, cause.reading.words
        loads = self._gauge(cause.reading).load(self._state)
        if cause.kind is plans.CauseKind.ZONE_LOAD:
            zone = (hosts.zone == hosts.zone[source]) & ~hosts.silent
            if (loads[zone] > cause.load).any():
                return ''
            return f'no host is over {cause.load:.2f} {name} by now'
        load = float(loads[source])
        if np.isnan(load):
            return f'{hosts.name[source]} does not tell its {name} any more'
        if load > cause.load:
            return ''
        return (
            f'{hosts.name[source]} is at {load:.2f} {name} by now, and was to '
            f'be brought to {cause.load:.2f}'
        )

    def _uphill(self, moves: Moves) -> str:
        """Say so where the destination would end hotter than the source is.

        Unless the plan meant it to: one half of a swap does that, and so
        does whoever empties a host. What has to go, goes whatever the loads
        are.
        """
        state, hosts = self._state, self._fleet.hosts
        move = moves[0]
        source = self._fleet.host_row[move.source]
        destination = self._fleet.host_row[move.destination]
        draining = hosts.state[source] == columns.HostState.DRAINING
        if draining or move.profile is plans.Profile.DRAIN:
            return ''
        usage = self._fleet.instances.cpu_usage[self._members(moves)].sum()
        before = state.cores[source] / hosts.cpus[source]
        after = (state.cores[destination] + usage) / hosts.cpus[destination]
        meant = 0.0
        if move.load_gap is not None and move.load_gap > 0.0:
            meant = move.load_gap + _DRIFT
        if after - before <= meant:
            return self._worse_off(moves, source, destination)
        return (
            f'{move.destination} would be at {after:.2f} CPU, and '
            f'{move.source} is at {before:.2f} by now'
        )

    def _worse_off(self, moves: Moves, source: int, destination: int) -> str:
        """Say the same of what the moves relieve, where that is not CPU.

        A host that does not tell is no worse than any.
        """
        cause = moves[0].cause
        if (
            cause is None
            or cause.kind is not plans.CauseKind.SOURCE_LOAD
            or cause.reading is plans.Reading.CPU
        ):
            return ''
        gauge = self._gauge(cause.reading)
        loads = gauge.load(self._state)
        before, after = float(loads[source]), float(loads[destination])
        if gauge.adds_up:
            usage = float(gauge.usage[self._members(moves)].sum())
            after += usage * float(gauge.slope[destination])
        if not after > before:
            return ''
        return (
            f'{moves[0].destination} would be at {after:.2f} '
            f'{cause.reading.words}, and {moves[0].source} is at '
            f'{before:.2f} by now'
        )


def _of_unit(
    moves: Moves, culprit: plans.Move, reason: str
) -> dispatch.Objection:
    """Say of a whole unit what one of it cannot do."""
    if len(moves) > 1:
        reason = f'{culprit.instance}, of its affinity group: {reason}'
    return dispatch.Objection(reason)
