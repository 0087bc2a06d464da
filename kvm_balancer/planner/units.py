"""What moves as one: an instance, or a hard affinity group on its host.

A row of :class:`Units` is a set of instances of one host that a plan moves
together or not at all. Without affinity groups every instance is its own.
Members of a group that is already torn apart are one unit a host: moving
such a part tears nothing further.
"""

import collections.abc
import dataclasses
import itertools

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement
from kvm_balancer.model import plan


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Units:
    """Sets of instances that move together; one row each.

    :ivar members: rows of instances, those of one unit side by side
    :ivar offset: where each unit's members begin, shape ``(units + 1,)``
    :ivar need: shape ``(3, units)``, as in a placement
    :ivar cpu_usage: cores in use, shape ``(units,)``
    :ivar mib: what migrations have to copy, shape ``(units,)``
    :ivar size: instances of each unit, shape ``(units,)``
    :ivar movable: all members may be moved, shape ``(units,)``
    :ivar single: every unit has one member
    """

    members: columns.Ints
    offset: columns.Ints
    need: columns.Floats
    cpu_usage: columns.Floats
    mib: columns.Floats
    size: columns.Ints
    movable: columns.Bools
    single: bool

    def __len__(self) -> int:
        return len(self.offset) - 1

    def of(self, unit: int) -> columns.Ints:
        """Return the rows of the instances of *unit*."""
        return self.members[self.offset[unit] : self.offset[unit + 1]]

    def of_all(self, units: columns.Ints) -> tuple[columns.Ints, columns.Ints]:
        """Return the instances of *units*, side by side.

        :returns: rows; and where those of each unit begin, shape
            ``(len(units) + 1,)``
        """
        size = self.size[units]
        offset = np.concatenate(((0,), np.cumsum(size))).astype(np.int32)
        shift = self.offset[units] - offset[:-1]
        every = np.arange(offset[-1], dtype=np.int32)
        return self.members[every + np.repeat(shift, size)], offset

    def total(self, column: columns.Floats) -> columns.Floats:
        """Add up a column of the instances over units."""
        if self.single or not len(self):
            return column
        found: columns.Floats = np.add.reduceat(
            column[self.members], self.offset[:-1]
        )
        return found

    def first(self, units: columns.Ints) -> columns.Ints:
        """Return one member of each of *units*."""
        return self.members[self.offset[units]]


def make_units(state: placement.Placement, movable: columns.Bools) -> Units:
    """Gather the instances of a fleet into units.

    :param movable: instances that may be moved, shape ``(instances,)``
    """
    label = _labels(state)
    instances = state.fleet.instances
    if label is None:
        count = len(instances)
        return Units(
            members=np.arange(count, dtype=np.int32),
            offset=np.arange(count + 1, dtype=np.int32),
            need=state.need,
            cpu_usage=instances.cpu_usage,
            mib=instances.memory_usage_mib,
            size=np.ones(count, np.int32),
            movable=movable,
            single=True,
        )
    _, unit = np.unique(label, return_inverse=True)
    members = np.argsort(unit, kind='stable').astype(np.int32)
    size = np.bincount(unit)
    offset = np.concatenate(((0,), np.cumsum(size))).astype(np.int32)

    def total(column: columns.Floats) -> columns.Floats:
        sums: columns.Floats = np.bincount(
            unit, weights=column, minlength=len(size)
        ).astype(np.float64)
        return sums

    return Units(
        members=members,
        offset=offset,
        need=np.stack([total(row) for row in state.need]),
        cpu_usage=total(instances.cpu_usage),
        mib=total(instances.memory_usage_mib),
        size=size.astype(np.int32),
        movable=total((~movable).astype(np.float64)) == 0,
        single=False,
    )


def of_moves(
    fleet: columns.Fleet, moves: collections.abc.Sequence[plan.Move]
) -> list[tuple[int, ...]]:
    """Split moves that stand together into units, by their indexes.

    :param fleet: as it is now: who is in a group no more goes alone
    """
    hard = fleet.groups.policy == columns.GroupPolicy.AFFINITY
    if not hard.any():
        return [(index,) for index in range(len(moves))]
    found: list[tuple[int, ...]] = []
    for _, run in itertools.groupby(
        range(len(moves)),
        lambda one: (moves[one].source, moves[one].destination),
    ):
        joined: list[tuple[tuple[int, ...], frozenset[int]]] = []
        for index in run:
            row = fleet.instance_row.get(moves[index].instance, -1)
            groups = fleet.groups_of.get(row, ())
            mine = frozenset(one for one in groups if hard[one])
            unit: tuple[int, ...] = ()
            apart = []
            for members, theirs in joined:
                if mine & theirs:
                    unit, mine = unit + members, mine | theirs
                else:
                    apart.append((members, theirs))
            joined = [*apart, (tuple(sorted((*unit, index))), mine)]
        found += sorted(members for members, _ in joined)
    return found


def _labels(state: placement.Placement) -> columns.Ints | None:
    """Number instances by unit: a unit has the number of its first member.

    Instances that share a hard affinity group and a host are joined, also
    through a third one (union of the pairs, smallest row first).
    """
    groups = state.fleet.groups
    label = np.arange(len(state.host), dtype=np.int32)
    joined = False
    hard = np.flatnonzero(groups.policy == columns.GroupPolicy.AFFINITY)

    def root(one: int) -> int:
        while label[one] != one:
            one = int(label[one])
        return one

    for group in hard.tolist():
        first_on: dict[int, int] = {}
        for one in groups.members(group).tolist():
            first = first_on.setdefault(int(state.host[one]), one)
            low, high = sorted((root(first), root(one)))
            if low != high:
                label[high] = low
                joined = True
    if not joined:
        return None
    while not np.array_equal(label, label[label]):
        label = label[label]
    return label
