"""Room for the failure of hosts stays where it is.

What runs on the enabled hosts of a zone has to fit on them without the
largest, so that whoever restarts a failed host's instances finds room. What
moves among those hosts changes nothing of it; what comes to them from a
draining or disabled host does.
"""

import dataclasses

import numpy as np

from kvm_balancer.filters import base
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement

#: sums of floats are compared with this slack, in MiB, vCPUs and GiB
_SLACK = 1e-6


@dataclasses.dataclass(frozen=True, slots=True)
class HeadroomParams(base.Params):
    """Options of the headroom filter.

    :ivar failures: hosts of every zone for whose failure room is left
    """

    failures: int = 1


class HeadroomFilter(base.Filter):
    """Lets instances come to a zone's hosts while room for failures stays."""

    name = 'headroom'
    dynamic = True
    params_class = HeadroomParams
    params: HeadroomParams

    def passes(
        self,
        state: placement.Placement,
        instances: columns.Ints,
        hosts: columns.Ints,
    ) -> columns.Bools:
        return self._stays(
            state, state.host[instances], state.need[:, instances], hosts
        )

    def passes_together(
        self,
        state: placement.Placement,
        members: columns.Ints,
        first: columns.Ints,
        hosts: columns.Ints,
    ) -> columns.Bools:
        need = np.add.reduceat(state.need[:, members], first, axis=1)
        return self._stays(state, state.host[members[first]], need, hosts)

    def _stays(
        self,
        state: placement.Placement,
        homes: columns.Ints,
        wanted: columns.Floats,
        hosts: columns.Ints,
    ) -> columns.Bools:
        """Say where room for failures stays if so much comes.

        :param homes: where it comes from, shape ``(n,)``
        :param wanted: shape ``(3, n)``
        """
        fleet = state.fleet
        passed = np.ones((len(homes), len(hosts)), np.bool_)
        staying = fleet.hosts.counted_on
        coming = np.flatnonzero(~staying[homes])
        if not len(coming):
            return passed
        need = wanted[:, coming] - _SLACK
        for zone in np.unique(fleet.hosts.zone[hosts]).tolist():
            spare = self._spare(state, staying & (fleet.hosts.zone == zone))
            fits: columns.Bools = np.all(need <= spare[:, None], axis=0)
            there = np.flatnonzero(fleet.hosts.zone[hosts] == zone)
            passed[coming[:, None], there[None, :]] = fits[:, None]
        return passed

    def _spare(
        self, state: placement.Placement, inside: columns.Bools
    ) -> columns.Floats:
        """Return what more may come to the hosts *inside* a zone, ``(3,)``."""
        hosts = state.fleet.hosts
        offered = np.stack(
            (
                hosts.memory_capacity_mib[inside],
                hosts.vcpu_capacity[inside],
                hosts.disk_capacity_gib[inside],
            )
        )
        kept = np.sort(offered, axis=1)
        kept = kept[:, : max(0, kept.shape[1] - self.params.failures)]
        with np.errstate(invalid='ignore'):
            used = (offered - state.room[:, inside]).sum(axis=1)
        spare: columns.Floats = kept.sum(axis=1) - used
        # of disk that nobody counts there is enough
        return np.where(np.isnan(spare), np.inf, spare)

    def reason(self, state: placement.Placement, instance: int) -> str:
        return (
            'would have no room left for the failure of '
            f'{self.params.failures} of their zone'
        )

    def remedy(
        self, state: placement.Placement, instance: int, hosts: columns.Ints
    ) -> str:
        every = state.fleet.hosts
        inside = every.counted_on & np.isin(every.zone, every.zone[hosts])
        lacking = state.need[placement.MEMORY_MIB, instance]
        lacking -= self._spare(state, inside)[placement.MEMORY_MIB]
        if lacking <= 0:
            return 'lower [headroom_filter] failures'
        return (
            f'free {lacking:.0f} MiB there, or lower [headroom_filter] '
            'failures'
        )
