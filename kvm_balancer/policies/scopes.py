"""What zones and aggregates have otherwise of the options of a policy.

An option holds for a host as it is everywhere, over that as its zone sets
it, and over that as its aggregates do: of several the strictest.
"""

import collections.abc
import dataclasses

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.policies import base

#: Names of options, and their values.
Overrides = collections.abc.Mapping[str, float]
#: Values by name of a place.
ByName = collections.abc.Mapping[str, Overrides]
#: Of two columns of values the stricter of each pair.
Stricter = collections.abc.Callable[
    [columns.Floats, columns.Floats], columns.Floats
]


@dataclasses.dataclass(frozen=True, slots=True)
class Scopes:
    """Options by place; none by default.

    :ivar zones: what each zone sets
    :ivar aggregates: what each aggregate sets
    """

    zones: ByName = dataclasses.field(default_factory=dict)
    aggregates: ByName = dataclasses.field(default_factory=dict)

    def without(self, names: collections.abc.Container[str]) -> 'Scopes':
        """Return the same, but for the options called *names*."""

        def kept(places: ByName) -> ByName:
            return {
                place: {
                    name: value
                    for name, value in said.items()
                    if name not in names
                }
                for place, said in places.items()
            }

        return Scopes(kept(self.zones), kept(self.aggregates))

    def column(
        self,
        fleet: columns.Fleet,
        option: str,
        default: float,
        stricter: Stricter,
    ) -> columns.Floats:
        """Return what holds of an option on every host, shape ``(hosts,)``.

        :param default: what holds where no place says anything
        :param stricter: which of two values counts, of several aggregates
        """
        hosts = fleet.hosts
        found = np.full(len(hosts), default, np.float64)
        for number, zone in enumerate(fleet.zones):
            value = self.zones.get(zone, {}).get(option)
            if value is not None:
                found[hosts.zone == number] = value
        said = np.full(len(hosts), np.nan)
        for number, aggregate in enumerate(fleet.aggregates):
            value = self.aggregates.get(aggregate, {}).get(option)
            if value is not None:
                inside = hosts.aggregates[:, number]
                first = inside & np.isnan(said)
                said[first] = value
                both = inside & ~first
                said[both] = stricter(said[both], np.array(value))
        return np.where(np.isnan(said), found, said)


def of_policies(
    policies: collections.abc.Iterable[base.Policy],
) -> dict[str, Scopes]:
    """Return what places have otherwise of each policy that allows for it."""
    found = {one.name: getattr(one.params, 'places', None) for one in policies}
    return {
        name: places
        for name, places in found.items()
        if isinstance(places, Scopes)
    }
