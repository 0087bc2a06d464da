"""Which policies look after which hosts.

A host is looked after by the policies of one place: those that the first of
its aggregates (by name) has, of those that have any; else those of its zone;
else those of all other hosts. Policies of a place move instances among the
hosts of that place alone.
"""

import collections.abc
import dataclasses

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.policies import base

#: Names of policies, in order of precedence.
Names = tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Hosts of a fleet, and who looks after them.

    :ivar name: of the place, for people; empty where it is all other hosts
    :ivar hosts: shape ``(hosts,)``
    :ivar strictness: how many times the gain of a move a policy has to see,
        by its name; once where nothing is said
    """

    name: str
    policies: tuple[base.Policy, ...]
    hosts: columns.Bools
    strictness: collections.abc.Mapping[str, float] = dataclasses.field(
        default_factory=dict
    )


def unattended(
    parts: collections.abc.Iterable[Part], fleet: columns.Fleet
) -> columns.Bools:
    """Return the hosts that no policy looks after, shape ``(hosts,)``."""
    found = np.ones(len(fleet.hosts), np.bool_)
    for part in parts:
        if part.policies:
            found &= ~part.hosts
    return found


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Assignment:
    """Names of policies by place.

    :ivar default: of all hosts of which nothing else is said
    :ivar zones: by name of a zone
    :ivar aggregates: by name of an aggregate
    """

    default: Names = ()
    zones: collections.abc.Mapping[str, Names] = dataclasses.field(
        default_factory=dict
    )
    aggregates: collections.abc.Mapping[str, Names] = dataclasses.field(
        default_factory=dict
    )

    @property
    def names(self) -> Names:
        """All policies that run anywhere, each once."""
        found = [self.default, *self.zones.values()]
        found += self.aggregates.values()
        return tuple(dict.fromkeys(name for names in found for name in names))

    def parts(
        self,
        fleet: columns.Fleet,
        policies: collections.abc.Mapping[str, base.Policy],
    ) -> tuple[Part, ...]:
        """Split a fleet by who looks after its hosts.

        :param policies: by name; one that is missing does not run
        :returns: places with hosts; all other hosts, if any, come last
        """
        left = np.ones(len(fleet.hosts), np.bool_)
        found: list[Part] = []
        for name, names, hosts in self._places(fleet):
            mine = hosts & left
            left &= ~mine
            known = tuple(policies[one] for one in names if one in policies)
            if mine.any() or not (found or name):
                found.append(Part(name, known, mine))
        return tuple(found)

    def _places(
        self, fleet: columns.Fleet
    ) -> collections.abc.Iterator[tuple[str, Names, columns.Bools]]:
        """Go through the places, the narrowest first."""
        columns_of = {
            name: column for column, name in enumerate(fleet.aggregates)
        }
        for name in sorted(self.aggregates):
            if name in columns_of:
                inside = fleet.hosts.aggregates[:, columns_of[name]]
                yield f'aggregate {name}', self.aggregates[name], inside
        for number, name in enumerate(fleet.zones):
            if name in self.zones:
                inside = fleet.hosts.zone == number
                yield f'zone {name}', self.zones[name], inside
        yield '', self.default, np.ones(len(fleet.hosts), np.bool_)
