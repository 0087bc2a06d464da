"""Hard rules of placement that do not hold, and who breaks them."""

import collections
import dataclasses
import enum

import numpy as np

from kvm_balancer.model import fleet as columns


class Kind(enum.Enum):
    """What is wrong."""

    TOGETHER = 'together'
    APART = 'apart'
    AGGREGATE = 'aggregate'


@dataclasses.dataclass(frozen=True, slots=True)
class Broken:
    """One rule that does not hold, by row numbers.

    :ivar instances: those that could move to mend it: the members of a group
        that are together on a host, those of one that is apart, or the
        instance that is in the wrong place
    :ivar too_many: how many of them have to leave their host
    :ivar group: the group, or -1
    """

    kind: Kind
    instances: tuple[int, ...]
    too_many: int
    group: int = -1

    @property
    def wrong(self) -> int:
        """How much is wrong: a group that is apart counts once."""
        return 1 if self.kind is Kind.APART else self.too_many

    def text(self, fleet: columns.Fleet) -> str:
        """Say in one line what is wrong."""
        if self.kind is Kind.AGGREGATE:
            name = fleet.instances.name[self.instances[0]]
            return f'{name} is on a host without an aggregate it requires'
        name = fleet.groups.name[self.group]
        if self.kind is Kind.APART:
            return f'group {name} is apart and wants to be on one host'
        return f'group {name} has {self.too_many} too many on one host'


def broken(fleet: columns.Fleet, host: columns.Ints) -> list[Broken]:
    """Return the hard rules that do not hold.

    :param host: where every instance is, shape ``(instances,)``
    """
    found: list[Broken] = []
    for group in range(len(fleet.groups)):
        found.extend(of_group(fleet, host, group))
    wanted = fleet.requirements[fleet.instances.requirement]
    lacking = (wanted & ~fleet.hosts.aggregates[host]).any(axis=1)
    found.extend(
        Broken(Kind.AGGREGATE, (one,), 1)
        for one in np.flatnonzero(lacking).tolist()
    )
    return found


def remaining(fleet: columns.Fleet, host: columns.Ints, one: Broken) -> int:
    """Return how many instances still have to leave their host for a rule.

    :param host: where every instance is by now, shape ``(instances,)``
    """
    if one.group < 0:
        return int(breaks(fleet, host, one.instances[0]))
    return sum(left.too_many for left in of_group(fleet, host, one.group))


def breaks(fleet: columns.Fleet, host: columns.Ints, instance: int) -> bool:
    """Say whether *instance* takes part in any rule that does not hold.

    :param host: where every instance is, shape ``(instances,)``
    """
    return misplaced(fleet, host, instance) or any(
        instance in one.instances
        for group in fleet.groups_of.get(instance, ())
        for one in of_group(fleet, host, group)
    )


def misplaced(fleet: columns.Fleet, host: columns.Ints, instance: int) -> bool:
    """Say whether *instance* is on a host without an aggregate it requires.

    :param host: where every instance is, shape ``(instances,)``
    """
    wanted = fleet.requirements[fleet.instances.requirement[instance]]
    return bool((wanted & ~fleet.hosts.aggregates[host[instance]]).any())


def of_group(
    fleet: columns.Fleet, host: columns.Ints, group: int
) -> list[Broken]:
    """Return what is broken of a group; nothing of one that is a wish.

    :param host: where every instance is, shape ``(instances,)``
    """
    policy = columns.GroupPolicy(int(fleet.groups.policy[group]))
    if not policy.hard:
        return []
    on: dict[int, list[int]] = collections.defaultdict(list)
    for one in fleet.groups.members(group).tolist():
        on[int(host[one])].append(one)
    if policy is columns.GroupPolicy.AFFINITY:
        if len(on) < 2:
            return []
        everyone = tuple(one for members in on.values() for one in members)
        most = max(map(len, on.values()))
        return [Broken(Kind.APART, everyone, len(everyone) - most, group)]
    most = int(fleet.groups.max_per_host[group])
    return [
        Broken(Kind.TOGETHER, tuple(members), len(members) - most, group)
        for _, members in sorted(on.items())
        if len(members) > most
    ]
