"""What hosts offer, and what of it is in use."""

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement


def capacities(fleet: columns.Fleet, limit: float) -> columns.Floats:
    """Return what hosts offer, shape ``(4, hosts)``, CPU last.

    :param limit: CPU load that no host is brought over
    """
    hosts = fleet.hosts
    return np.stack(
        (
            hosts.memory_capacity_mib,
            hosts.vcpu_capacity,
            hosts.disk_capacity_gib,
            limit * hosts.cpus,
        )
    )


def used(state: placement.Placement) -> columns.Floats:
    """Return what is in use of it; its shape is the same."""
    hosts = state.fleet.hosts
    need = np.stack(
        [
            np.bincount(state.host, weights=row, minlength=len(hosts))
            for row in state.need
        ]
    )
    return np.vstack((need, state.cores))
