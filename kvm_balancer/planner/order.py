"""Which moves have to wait for which.

A move takes room on its destination from the moment it starts, and frees it
on its source when it has completed. Every move is therefore paid for: out of
the room that is free at the start, or out of what named departures free, and
then it comes after those. No room is spent twice. Whatever else runs at the
same time, and in whichever order, the room on a host cannot run out: what
has arrived was paid for by what was free and by departures that have
completed. Since moves wait for moves earlier in the list only, there are no
cycles.

Places for members of an anti-affinity group on a host are paid for in the
same coin. A host that is overfilled at the start is in debt: the first
departures settle it.
"""

import collections.abc
import dataclasses

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement
from kvm_balancer.planner import workspace

#: sums of floats are compared with this slack
_SLACK = 1e-6


@dataclasses.dataclass(slots=True)
class _Account:
    """What is free of one resource on one host.

    :ivar free: what was free at the start and is not spent
    :ivar freed: departures that have something left to spend, and how much
    """

    free: float
    freed: dict[int, float] = dataclasses.field(default_factory=dict)

    def deposit(self, move: int, amount: float) -> None:
        """Add what *move* frees; a debt is settled first."""
        if self.free < 0:
            settled = min(-self.free, amount)
            self.free += settled
            amount -= settled
        if amount > 0:
            self.freed[move] = amount

    def withdraw(
        self, amount: float, known: collections.abc.Set[int]
    ) -> list[int]:
        """Pay *amount*; return the departures it was taken from.

        Departures that are waited for anyway (*known*) pay first, then
        what was free at the start, then the departures that free most, so
        that few are waited for.
        """
        for move in sorted(known & self.freed.keys()):
            amount = self._spend(move, amount)
        paid = max(0.0, min(self.free, amount))
        self.free -= paid
        amount -= paid
        waited: list[int] = []
        for move in sorted(
            self.freed, key=lambda one: (-self.freed[one], one)
        ):
            if amount <= _SLACK:
                break
            amount = self._spend(move, amount)
            waited.append(move)
        return waited

    def _spend(self, move: int, amount: float) -> float:
        left = self.freed[move]
        paid = min(left, amount)
        if left - paid > _SLACK:
            self.freed[move] = left - paid
        else:
            del self.freed[move]
        return amount - paid


@dataclasses.dataclass(frozen=True, slots=True)
class Ordered:
    """One instance's way, and the moves it waits for.

    :ivar step: the step of the search it belongs to, by index
    """

    instance: int
    source: int
    destination: int
    step: int
    after: tuple[int, ...]


class _Books:
    """The accounts of all hosts, opened as they are needed."""

    def __init__(self, start: placement.Placement) -> None:
        self._start = start
        self._groups = start.fleet.groups
        self._accounts: dict[tuple[int, int], _Account] = {}

    def room(self, resource: int, host: int) -> _Account:
        """Return the account of a resource on a host."""
        key = (-1 - resource, host)
        if key not in self._accounts:
            free = float(self._start.room[resource, host])
            self._accounts[key] = _Account(free)
        return self._accounts[key]

    def place(self, group: int, host: int) -> _Account:
        """Return the account of a group's places on a host."""
        key = (group, host)
        if key not in self._accounts:
            members = self._groups.members(group)
            there = self._start.hosts_of(members) == host
            most = float(self._groups.max_per_host[group])
            self._accounts[key] = _Account(most - float(there.sum()))
        return self._accounts[key]

    def rules(self, instance: int) -> list[int]:
        """Return the anti-affinity groups of *instance*."""
        return [
            group
            for group in self._start.fleet.groups_of.get(instance, ())
            if self._groups.policy[group] == columns.GroupPolicy.ANTI_AFFINITY
        ]

    def arrive(self, instance: int, host: int) -> tuple[int, ...]:
        """Pay for *instance* on *host*; return what it waits for."""
        waited: set[int] = set()
        for resource, need in enumerate(self._start.need[:, instance]):
            if need > 0:
                account = self.room(resource, host)
                waited.update(account.withdraw(float(need), waited))
        for group in self.rules(instance):
            waited.update(self.place(group, host).withdraw(1.0, waited))
        return tuple(sorted(waited))

    def leave(self, move: int, instance: int, host: int) -> None:
        """Take in what *instance* frees on *host* when *move* completes."""
        for resource, need in enumerate(self._start.need[:, instance]):
            if need > 0:
                self.room(resource, host).deposit(move, float(need))
        for group in self.rules(instance):
            self.place(group, host).deposit(move, 1.0)


def arrange(
    start: placement.Placement, work: workspace.Workspace
) -> list[Ordered]:
    """Say for every move which earlier ones it waits for.

    :param start: the placement before the first step
    :param work: a workspace whose steps are possible one after the other
    :returns: the moves of all instances; those of a unit stand together
    """
    books = _Books(start)
    moves: list[Ordered] = []
    for index, step in enumerate(work.steps):
        members = work.units.of(step.unit).tolist()
        for instance in members:
            moves.append(
                Ordered(
                    instance=instance,
                    source=step.source,
                    destination=step.destination,
                    step=index,
                    after=books.arrive(instance, step.destination),
                )
            )
        first = len(moves) - len(members)
        for offset, instance in enumerate(members):
            books.leave(first + offset, instance, step.source)
    return moves
