"""How much may be moved in an hour: of the fleet, of a host, over a NIC.

A :class:`Ledger` keeps what was begun within the last hour. A plan is given
what is left of the budgets when it is made; each of its moves is held
against them again when its turn comes. Pure: time comes in as ``now``, in
seconds since the epoch.
"""

import collections
import collections.abc
import dataclasses
from typing import Final

import numpy as np

from kvm_balancer.filters import base
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement
from kvm_balancer.model import plan

_HOUR_SECONDS: Final = 3600.0
_MIB_PER_GIB: Final = 1024.0


@dataclasses.dataclass(frozen=True, slots=True)
class Params:
    """Budgets of any hour; 0 for no limit.

    :ivar moves: of the fleet
    :ivar gib: that all migrations copy
    :ivar host_moves: from and to one host together
    :ivar nic_gib: into one host, and out of it: each by itself
    """

    moves: int = 0
    gib: float = 0.0
    host_moves: int = 0
    nic_gib: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Allowance:
    """What is left of the budgets; infinite where there is no limit.

    :ivar host_moves: shape ``(hosts,)``, as the next two
    :ivar incoming_mib: into each host
    :ivar outgoing_mib: out of each host
    """

    moves: float
    mib: float
    host_moves: columns.Floats
    incoming_mib: columns.Floats
    outgoing_mib: columns.Floats

    @property
    def spent(self) -> str:
        """Say which budget of the fleet is used up; empty for none."""
        if not self.moves:
            return 'no move is left of [budgets] moves_per_hour'
        return '' if self.mib else 'no GiB are left of [budgets] gib_per_hour'


@dataclasses.dataclass(frozen=True, slots=True)
class _Entry:
    at: float
    source: str
    destination: str
    mib: float


class Ledger:
    """What was begun within the last hour."""

    def __init__(self, params: Params) -> None:
        self._params = params
        self._entries: collections.deque[_Entry] = collections.deque()

    @property
    def limited(self) -> bool:
        """True where there is any budget to keep."""
        return self._params != Params()

    def note(
        self, source: str, destination: str, mib: float, at: float
    ) -> None:
        """Take down that a migration began."""
        if self.limited:
            self._entries.append(_Entry(at, source, destination, mib))

    def allowance(self, fleet: columns.Fleet, now: float) -> Allowance | None:
        """Return what is left; None where there is no budget."""
        if not self.limited:
            return None
        entries = self._latest(now)
        rows = fleet.host_row
        count = len(fleet.hosts)
        moves, incoming, outgoing = np.zeros((3, count))
        for one in entries:
            for name, column in (
                (one.source, outgoing),
                (one.destination, incoming),
            ):
                row = rows.get(name)
                if row is not None:
                    column[row] += one.mib
                    moves[row] += 1.0
        most = self._params
        carried = sum(one.mib for one in entries)
        nic_mib = most.nic_gib * _MIB_PER_GIB
        return Allowance(
            moves=_left(most.moves, float(len(entries))),
            mib=_left(most.gib * _MIB_PER_GIB, carried),
            host_moves=_all_left(most.host_moves, moves),
            incoming_mib=_all_left(nic_mib, incoming),
            outgoing_mib=_all_left(nic_mib, outgoing),
        )

    def objection(
        self,
        moves: collections.abc.Iterable[plan.Move],
        now: float,
        promised: collections.abc.Iterable[plan.Move] = (),
    ) -> str:
        """Say which budget *moves* together would be over; empty for none.

        :param promised: moves that are about to begin
        """
        if not self.limited:
            return ''
        begun = self._latest(now) + [_entry(one, now) for one in promised]
        for move in moves:
            wanted = _entry(move, now)
            said = self._over(wanted, begun)
            if said:
                return said
            begun.append(wanted)
        return ''

    def _over(
        self, wanted: _Entry, entries: collections.abc.Sequence[_Entry]
    ) -> str:
        """Say which budget one more is over, after *entries*."""
        most = self._params
        source, destination = wanted.source, wanted.destination
        if most.moves and len(entries) >= most.moves:
            return f'{len(entries)} of {most.moves} moves were begun this hour'
        carried = sum(one.mib for one in entries)
        if _over(carried, wanted.mib, most.gib):
            return _gib_text('the fleet has copied', carried, most.gib)
        for host, verb, of_nic in (
            (source, 'sent', [e.mib for e in entries if e.source == source]),
            (
                destination,
                'received',
                [e.mib for e in entries if e.destination == destination],
            ),
        ):
            touched = sum(host in (e.source, e.destination) for e in entries)
            if most.host_moves and touched >= most.host_moves:
                return (
                    f'{host} has had {touched} of {most.host_moves} moves '
                    'this hour'
                )
            if _over(sum(of_nic), wanted.mib, most.nic_gib):
                return _gib_text(
                    f'{host} has {verb}', sum(of_nic), most.nic_gib
                )
        return ''

    def _latest(self, now: float) -> list[_Entry]:
        """Return what began within the hour before *now*."""
        while self._entries and self._entries[0].at <= now - _HOUR_SECONDS:
            self._entries.popleft()
        return [one for one in self._entries if one.at > now - _HOUR_SECONDS]


def _entry(move: plan.Move, at: float) -> _Entry:
    return _Entry(at, move.source, move.destination, move.prediction.total_mib)


def _over(carried: float, mib: float, gib: float) -> bool:
    """Say whether *mib* more is too much."""
    return bool(gib) and carried + mib > gib * _MIB_PER_GIB


def _gib_text(who: str, carried: float, gib: float) -> str:
    return f'{who} {carried / _MIB_PER_GIB:.1f} of {gib:.1f} GiB this hour'


def _left(most: float, spent: float) -> float:
    return max(0.0, most - spent) if most else float('inf')


def _all_left(most: float, spent: columns.Floats) -> columns.Floats:
    left: columns.Floats = (
        np.maximum(0.0, most - spent) if most else np.full_like(spent, np.inf)
    )
    return left


class Budget(base.Filter):
    """Lets instances go while both of their ends have budget left.

    It is asked as the filters are, where hosts have budgets.
    """

    name = 'budget'
    dynamic = True

    def __init__(
        self, allowance: Allowance, copied_mib: columns.Floats
    ) -> None:
        """Prepare.

        :param copied_mib: what the migration of each instance copies, shape
            ``(instances,)``
        """
        super().__init__()
        self._allowance = allowance
        self._copied_mib = copied_mib

    @staticmethod
    def needed(allowance: Allowance | None) -> bool:
        """Say whether any host has a budget."""
        return allowance is not None and bool(
            np.isfinite(allowance.host_moves).any()
            or np.isfinite(allowance.incoming_mib).any()
        )

    def passes(
        self,
        state: placement.Placement,
        instances: columns.Ints,
        hosts: columns.Ints,
    ) -> columns.Bools:
        return self._within(
            state,
            state.host[instances],
            self._copied_mib[instances],
            np.ones(len(instances)),
            hosts,
        )

    def passes_together(
        self,
        state: placement.Placement,
        members: columns.Ints,
        first: columns.Ints,
        hosts: columns.Ints,
    ) -> columns.Bools:
        return self._within(
            state,
            state.host[members[first]],
            np.add.reduceat(self._copied_mib[members], first),
            np.diff(first, append=len(members)).astype(np.float64),
            hosts,
        )

    def _within(
        self,
        state: placement.Placement,
        homes: columns.Ints,
        mib: columns.Floats,
        count: columns.Floats,
        hosts: columns.Ints,
    ) -> columns.Bools:
        """Say where so many moves of so many MiB are within the budgets.

        :param homes: where they come from; all three of shape ``(n,)``
        """
        left = self._allowance
        sent, received, moves = self._spent(state)
        leaves = (left.host_moves[homes] >= moves[homes] + count) & (
            left.outgoing_mib[homes] >= sent[homes] + mib
        )
        room = left.incoming_mib[hosts] - received[hosts]
        moves_left = left.host_moves[hosts] - moves[hosts]
        passed: columns.Bools = (
            leaves[:, None]
            & (count[:, None] <= moves_left[None, :])
            & (mib[:, None] <= room[None, :])
        )
        return passed

    def _spent(
        self, state: placement.Placement
    ) -> tuple[columns.Floats, columns.Floats, columns.Floats]:
        """Return what the new moves spend of the budgets of each host.

        :returns: MiB out of it, MiB into it, moves; shape ``(hosts,)``
        """
        began = state.fleet.instances.host
        gone = np.flatnonzero((state.host != began) & ~state.in_flight)
        ends = began[gone], state.host[gone]
        count = len(state.fleet.hosts)
        mib = self._copied_mib[gone]
        sent, received = (
            np.bincount(one, weights=mib, minlength=count).astype(np.float64)
            for one in ends
        )
        moves = np.bincount(np.concatenate(ends), minlength=count)
        return sent, received, moves.astype(np.float64)

    def reason(self, state: placement.Placement, instance: int) -> str:
        return 'would be over what may be moved in an hour, at either end'

    def remedy(
        self, state: placement.Placement, instance: int, hosts: columns.Ints
    ) -> str:
        return 'wait, or raise the budgets in [budgets]'
