"""What memory a host has for instances, and which it has already.

Only questions that no domain can hold up: an arriving one answers nothing
that needs a job, and says what it is all the same.
"""

import contextlib

import libvirt

from kvm_balancer.migration import capacity
from kvm_balancer.virt import host_readings
from kvm_balancer.virt.libvirt import arrivals
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import identity

_KIB_A_MIB = 1024.0
_WHOLE_HOST = -1


def read(
    handle: connection.Handle,
    told: identity.HostIdentity,
    leaving: frozenset[str],
    reading: host_readings.HostReading | None,
) -> capacity.Capacity:
    """Ask a libvirt.

    :param leaving: domains that are being migrated away; at their switch
        they look as if they arrived
    :param reading: stands for the host's own memory, where it is one of
        many on a machine; None for that of the machine
    """
    occupants = _occupants(handle, leaving)
    if reading is not None:
        return capacity.Capacity(
            reading.memory_mib, reading.memory_free_mib, {}, occupants
        )
    stats = handle.getMemoryStats(libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS)
    # Buffers and caches give way to a guest.
    free = sum(stats.get(name, 0) for name in ('free', 'buffers', 'cached'))
    return capacity.Capacity(
        total_mib=stats['total'] / _KIB_A_MIB,
        free_mib=free / _KIB_A_MIB,
        huge_free_mib=_huge_free(handle, list(told.page_kib[1:])),
        occupants=occupants,
    )


def _occupants(
    handle: connection.Handle, leaving: frozenset[str]
) -> tuple[capacity.Occupant, ...]:
    found = []
    for domain, state in arrivals.states(handle):
        uuid = domain.UUIDString()
        arriving = state in arrivals.ARRIVING and uuid not in leaving
        # One that has ended meanwhile holds nothing any more.
        with contextlib.suppress(libvirt.libvirtError):
            _, most, now, _, _ = domain.info()
            found.append(
                capacity.Occupant(
                    uuid,
                    (most if arriving else now) / _KIB_A_MIB,
                    arriving,
                    arriving and state == arrivals.STARTING,
                )
            )
    return tuple(found)


def _huge_free(
    handle: connection.Handle, sizes: list[int]
) -> dict[int, float]:
    if not sizes:
        return {}
    try:
        told = handle.getFreePages(sizes, _WHOLE_HOST, 1, 0)
    except libvirt.libvirtError:
        # A host without them; what is not known to be free is not.
        return {}
    return {
        size: count * size / _KIB_A_MIB
        for size, count in told[_WHOLE_HOST].items()
    }
