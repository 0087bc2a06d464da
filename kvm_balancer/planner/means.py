"""Whether an instance may be migrated, and where to, by its options alone.

One that would not converge within its limits, or whose wishes are not
understood, stays; one that would need means which a destination does not
grant, or a faster network than there is to it, does not go there. It is asked
as the filters are, before all of them.
"""

import numpy as np

from kvm_balancer.filters import base
from kvm_balancer.migration.foresight import correction
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement
from kvm_balancer.planner import outlook
from kvm_balancer.planner import terms as termed

#: Instances that are named where many have wishes nobody understands.
_MOST_NAMED = 3
#: Instances at most that are told apart by what they need of networks: what
#: is kept of each takes a byte a host.
_MOST_APART = 4096


class Means(base.Filter):
    """Lets instances go where they can be migrated to.

    :ivar movable: instances that can go anywhere, shape ``(instances,)``
    :ivar core_seconds: what their migrations cost over the full bandwidth of
        their hosts, of the same shape
    :ivar mib: what they copy then
    :ivar forecast: of what they cost over others
    :ivar networks: between the hosts
    """

    name = 'means'

    def __init__(
        self,
        fleet: columns.Fleet,
        terms: termed.Terms,
        corrections: correction.Corrections | None = None,
    ) -> None:
        super().__init__()
        self._fleet = fleet
        self._terms = terms
        self.forecast = outlook.Forecast(fleet, terms, corrections)
        self.networks = self.forecast.networks
        found = self.forecast.outlook()
        self._least = found.least_mib_s
        self.core_seconds, self.mib = found.core_seconds, found.mib
        possible = np.isfinite(self._least)
        self.movable: columns.Bools = np.any(possible, axis=1)
        #: who does not converge over every network that it may meet
        self._picky: columns.Bools = np.any(
            possible & (self._least > 0.0), axis=1
        )

    @property
    def needed(self) -> bool:
        """True where destinations differ in what they let anybody do."""
        first = self._least[:, :1]
        return bool(self._picky.any() or (self._least != first).any())

    def classes(self, fleet: columns.Fleet) -> columns.Ints | None:
        if np.count_nonzero(self._picky) > _MOST_APART:
            return None
        home = np.where(self._picky, fleet.instances.host, -1)
        asked = np.column_stack((self._least, home))
        _, found = np.unique(asked, axis=0, return_inverse=True)
        return found.reshape(-1).astype(np.int32)

    def passes(
        self,
        state: placement.Placement,
        instances: columns.Ints,
        hosts: columns.Ints,
    ) -> columns.Bools:
        least = self._least[instances][:, self._terms.kind[hosts]]
        passed: columns.Bools = np.isfinite(least)
        picky = np.flatnonzero(self._picky[instances])
        if len(picky):
            homes = self._fleet.instances.host[instances[picky]]
            carried = self.networks.between(homes, hosts)
            passed[picky] &= least[picky] <= carried
        return passed

    def reason(self, state: placement.Placement, instance: int) -> str:
        return (
            'do not grant what its migration needs to converge, or are behind '
            'too slow a network'
        )

    def why(self, instance: int) -> str:
        """Say why *instance* goes nowhere; empty where it may go."""
        if self.movable[instance]:
            return ''
        term = self._term(instance)
        if term.refused:
            return term.refused
        options = term.options
        throttle = options.max_throttle_percent if options.auto_converge else 0
        rate = float(self._fleet.instances.dirty_rate_mib_s[instance])
        return (
            f'it writes {rate:.0f} MiB/s, and its migration would not '
            f'converge: it may stand still for {options.max_downtime_ms} ms, '
            f'be slowed down by {throttle} %, and '
            f'{"use" if options.post_copy else "not use"} post-copy'
        )

    def warning(self, movable: columns.Bools) -> str:
        """Say which of *movable* stay as their wishes cannot be heeded."""
        asks = movable & ~self.movable & (self._fleet.instances.wish > 0)
        named = [
            f'{self._fleet.instances.name[row]}: {refused}'
            for row in np.flatnonzero(asks).tolist()
            if (refused := self._term(row).refused)
        ]
        if not named:
            return ''
        more = len(named) - _MOST_NAMED
        return (
            f'{len(named)} instances stay where they are for what they ask '
            f'of migrations: {"; ".join(named[:_MOST_NAMED])}'
            f'{f"; and {more} more" if more > 0 else ""}'
        )

    def _term(self, instance: int) -> termed.Term:
        """Return what holds where both ends are of its host's kind."""
        kind = int(self._terms.kind[self._fleet.instances.host[instance]])
        wish = int(self._fleet.instances.wish[instance])
        return self._terms.term(kind, kind, wish)
