"""The options of relieve, and the limits that hosts have by them.

Each host has limits of its own: those of its zone or its aggregates, where
these set any.
"""

import dataclasses

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import plan
from kvm_balancer.planner import gauges
from kvm_balancer.policies import base
from kvm_balancer.policies import scopes

_Reading = plan.Reading

#: the option that limits each reading, in the order of their turn
_OPTIONS = {
    _Reading.CPU: 'limit',
    _Reading.MEMORY: 'memory_limit',
    _Reading.ALLOCATION: 'allocation_limit',
    _Reading.STEAL: 'steal_limit',
    _Reading.CPU_PRESSURE: 'cpu_pressure_limit',
    _Reading.MEMORY_PRESSURE: 'memory_pressure_limit',
    _Reading.IO_PRESSURE: 'io_pressure_limit',
}


def _lower_limit(
    first: columns.Floats, second: columns.Floats
) -> columns.Floats:
    """Return the lower one of two limits; 0 is none."""
    lowest: columns.Floats = np.minimum(
        np.where(first > 0.0, first, np.inf),
        np.where(second > 0.0, second, np.inf),
    )
    return lowest


@dataclasses.dataclass(frozen=True, slots=True)
class RelieveParams(base.Params):
    """Options of the policy; but for CPU, a limit of 0 is none.

    :ivar limit: CPU load over which a host is relieved
    :ivar margin: how far under the limit it is brought, and destinations
        stay, so that the slightest change does not make them hot again
    :ivar memory_limit: share of its memory in use over which it is
    :ivar allocation_limit: the same of what may be allocated of its memory
    :ivar steal_limit: cores that its instances wait for, by its cores
    :ivar cpu_pressure_limit: share of time in which something on it waits
        for a core; *memory_pressure_limit* and *io_pressure_limit* likewise
    :ivar places: what zones and aggregates have otherwise
    """

    limit: float = 0.8
    margin: float = 0.05
    memory_limit: float = 0.97
    allocation_limit: float = 1.0
    steal_limit: float = 0.1
    cpu_pressure_limit: float = 0.8
    memory_pressure_limit: float = 0.2
    io_pressure_limit: float = 0.8
    places: scopes.Scopes = dataclasses.field(default_factory=scopes.Scopes)

    def __post_init__(self) -> None:
        """Refuse what would take everything off a host.

        :raises ValueError: where a margin is not under the limit
        """
        self._check('', {})
        for kind, places in (
            ('zone', self.places.zones),
            ('aggregate', self.places.aggregates),
        ):
            for name, said in places.items():
                self._check(f' of {kind} {name}', said)

    def _check(self, where: str, said: scopes.Overrides) -> None:
        limit = said.get('limit', self.limit)
        margin = said.get('margin', self.margin)
        if margin >= limit:
            raise ValueError(
                f'margin{where} is {margin}: it has to be under the limit, '
                f'{limit}'
            )

    def limits(self, fleet: columns.Fleet) -> tuple[gauges.Limit, ...]:
        """Return the limits that hosts have, in the order of their turn.

        Of shares of what a host has, the margin is a share as well; of
        waiting it is as much of the limit as it is of that of CPU. Memory is
        allocated up to its limit by whoever starts instances: relief has no
        margin there.
        """
        margin = self.places.column(fleet, 'margin', self.margin, np.maximum)
        cpu = self._most(fleet, 'limit')
        part = np.minimum(margin / cpu, 1.0)
        found: list[gauges.Limit] = []
        for reading, option in _OPTIONS.items():
            most = self._most(fleet, option)
            if reading is not _Reading.CPU and np.isinf(most).all():
                continue
            if reading is _Reading.ALLOCATION:
                aim = most
            elif reading in (_Reading.CPU, _Reading.MEMORY):
                aim = np.maximum(most - margin, 0.0)
            else:
                aim = most - part * most
            found.append(gauges.Limit(reading, most, aim))
        return tuple(found)

    def _most(self, fleet: columns.Fleet, option: str) -> columns.Floats:
        """Return one limit of every host; infinite where it has none."""
        most = self.places.column(
            fleet, option, getattr(self, option), _lower_limit
        )
        return np.where(most > 0.0, most, np.inf)
