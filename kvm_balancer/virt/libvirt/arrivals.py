"""Which instances are arriving at a host just now.

Read off states alone: an arriving domain answers no other question before
it runs, and whoever asked would wait for it.
"""

import libvirt

from kvm_balancer.virt.libvirt import connection

_FLAGS = (
    libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE
    | libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
)
_ARRIVING = frozenset(
    (
        (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_MIGRATION),
        (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_STARTING_UP),
        (libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_POSTCOPY),
    )
)
_KIB_PER_MIB = 1024.0


def arriving_mib(handle: connection.Handle) -> dict[str, float]:
    """Return names and memory of the instances that are arriving.

    A domain that is about to leave by a switch looks the same for a moment.
    """
    told = handle.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE, _FLAGS)
    return {
        domain.name(): domain.maxMemory() / _KIB_PER_MIB
        for domain, fields in told or ()
        if (fields.get('state.state'), fields.get('state.reason')) in _ARRIVING
    }
