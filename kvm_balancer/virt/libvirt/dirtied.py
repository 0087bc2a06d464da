"""How much of its memory a domain dirties within a window, by libvirt.

``startDirtyRateCalc`` takes the domain's job (``VIR_JOB_MODIFY``) for a
moment and returns, or waits up to 30 s where another job holds it: so it is
asked only where there is none. QEMU then samples by itself. It hashes 512
random pages a GiB, and again at the end of the window, and tells the share
that differs: a page that was written twice counts once, and one that was
written with the same content not at all. It calls that a rate, in whole MiB
a second, cut off: rate x window is the memory that got dirty within the
window (seen with QEMU 7.2). Blocks of memory under 128 MiB are passed over;
of a guest without any other QEMU tells -1.

A window under way cannot be ended: neither QEMU nor libvirt has a call for
it. It hinders no migration that begins meanwhile: sampling takes no dirty log,
which other ways to measure do, and holds no lock until it looks again
(migration/dirtyrate.c); libvirt's job ends when the window has begun. What it
then tells is of a guest that was migrated, and for whoever asked to throw
away.
"""

import libvirt

from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import statistics

#: What QEMU looks at, at least.
LEAST_MIB = 128.0

_KIB_A_MIB = 1024.0


def begin(
    handle: connection.Handle, instance: str, window_seconds: int
) -> bool:
    """Let QEMU measure, unless it would not."""
    domain = handle.lookupByUUIDString(instance)
    state, most_kib, *_ = domain.info()
    if state not in (statistics.RUNNING, statistics.BLOCKED):
        return False
    if most_kib < LEAST_MIB * _KIB_A_MIB:
        return False
    if domain.jobInfo()[0] != libvirt.VIR_DOMAIN_JOB_NONE:
        return False
    domain.startDirtyRateCalc(window_seconds, 0)
    return True


def told(handle: connection.Handle, instance: str) -> float | None:
    """Return the MiB of the last window; None while it is not over."""
    domain = handle.lookupByUUIDString(instance)
    for _, fields in handle.domainListGetStats(
        [domain],
        libvirt.VIR_DOMAIN_STATS_DIRTYRATE,
        libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT,
    ):
        return statistics.dirtied_mib(fields)
    return None
