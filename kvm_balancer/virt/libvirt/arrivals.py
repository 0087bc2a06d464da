"""Which instances are arriving at a host just now.

Read off states alone: an arriving domain answers no other question before
it runs, and whoever asked would wait for it.
"""

import collections.abc
from typing import Any

import libvirt

from kvm_balancer.virt.libvirt import connection

_FLAGS = (
    libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE
    | libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
)
#: State and reason of a domain whose QEMU is being started.
STARTING = (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_STARTING_UP)
ARRIVING = frozenset(
    (
        STARTING,
        (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_MIGRATION),
        (libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_POSTCOPY),
    )
)
_KIB_PER_MIB = 1024.0


def is_arriving(domain: Any) -> bool:
    """Say whether a domain arrives, and answers little before it has."""
    return tuple(domain.state()) in ARRIVING


def arriving_mib(handle: connection.Handle) -> dict[str, float]:
    """Return names and memory of the instances that are arriving.

    A domain that is about to leave by a switch looks the same for a moment.
    """
    return {
        domain.name(): domain.maxMemory() / _KIB_PER_MIB
        for domain, state in states(handle)
        if state in ARRIVING
    }


def states(
    handle: connection.Handle,
) -> collections.abc.Iterator[tuple[Any, tuple[int | None, int | None]]]:
    """Yield the active domains, each with its state and the reason for it."""
    told = handle.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE, _FLAGS)
    for domain, fields in told or ():
        yield domain, (fields.get('state.state'), fields.get('state.reason'))
