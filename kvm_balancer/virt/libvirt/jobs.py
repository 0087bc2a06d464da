"""The call that migrates, and its statistics: libvirt's words and ours.

Pure: a request becomes flags and typed parameters, a dictionary of job
statistics becomes figures.
"""

import collections.abc
import ipaddress
from typing import Any

import libvirt

from kvm_balancer.migration import events
from kvm_balancer.migration import request

_MIB = 2.0**20

#: libvirt's "no limit" (``QEMU_DOMAIN_MIG_BANDWIDTH_MAX``). Told always: a
#: limit that someone set before stays with the domain otherwise.
UNLIMITED_MIB_S = (2**63 - 1) // 2**20

#: Of libvirt 8.5, and so newer than the oldest that is supported, which is 7.2
#: and refuses them; the numbers are part of its interface.
ABORT_POST_COPY = getattr(libvirt, 'VIR_DOMAIN_ABORT_JOB_POSTCOPY', 1)
RESUME_POST_COPY = getattr(libvirt, 'VIR_MIGRATE_POSTCOPY_RESUME', 1 << 19)
#: What is copied of disks: everything, or what lies over a backing file
#: that the destination has.
ALL_OF_DISKS: int = libvirt.VIR_MIGRATE_NON_SHARED_DISK
TOP_OF_DISKS: int = libvirt.VIR_MIGRATE_NON_SHARED_INC

#: ``VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT``.
_MIGRATION_OUT = 5


def flags(
    options: request.Options,
    *,
    persistent: bool,
    paused: bool,
    storage: int = 0,
) -> int:
    """Return the flags of the call.

    :param persistent: the domain is defined, and not only running
    :param paused: its owner paused it; post-copy is refused then
    :param storage: :data:`ALL_OF_DISKS` or :data:`TOP_OF_DISKS` where some
        are copied
    """
    wanted = (
        (libvirt.VIR_MIGRATE_LIVE, True),
        (libvirt.VIR_MIGRATE_PEER2PEER, True),
        (libvirt.VIR_MIGRATE_ABORT_ON_ERROR, True),
        (libvirt.VIR_MIGRATE_PERSIST_DEST, persistent),
        # Without it a twin that can be started stays behind.
        (libvirt.VIR_MIGRATE_UNDEFINE_SOURCE, persistent),
        (libvirt.VIR_MIGRATE_PAUSED, paused),
        (libvirt.VIR_MIGRATE_AUTO_CONVERGE, options.auto_converge),
        (libvirt.VIR_MIGRATE_POSTCOPY, options.post_copy and not paused),
        (libvirt.VIR_MIGRATE_PARALLEL, options.parallel_connections > 1),
        (libvirt.VIR_MIGRATE_COMPRESSED, bool(options.compression)),
        (libvirt.VIR_MIGRATE_TLS, options.tls),
    )
    means: int = sum(flag for flag, asked in wanted if asked)
    return storage | means


def parameters(
    options: request.Options,
    address: str,
    bandwidth_mib_s: int,
    disks: collections.abc.Sequence[str] = (),
    host: str = '',
) -> dict[str, Any]:
    """Return the typed parameters of the call.

    :param address: where the stream goes; empty for the destination's name
    :param bandwidth_mib_s: limit of the stream in pre-copy and post-copy;
        0 for none. Disks come before the memory, all at a time, and each is
        limited to what it is told: a part of that
    :param disks: to be copied, by their names in the guest
    :param host: name of the destination that its certificate is for; empty
        where that is what the stream is sent to
    """
    limit = bandwidth_mib_s or UNLIMITED_MIB_S
    share = max(1, limit // max(1, len(disks)))
    found: dict[str, Any] = {libvirt.VIR_MIGRATE_PARAM_BANDWIDTH: share}
    if disks:
        # Never an empty list: libvirt would copy all that are written to,
        # those on shared storage, too.
        found[libvirt.VIR_MIGRATE_PARAM_MIGRATE_DISKS] = list(disks)
    if options.post_copy:
        found[libvirt.VIR_MIGRATE_PARAM_BANDWIDTH_POSTCOPY] = limit
    if address:
        found[libvirt.VIR_MIGRATE_PARAM_URI] = f'tcp://{_bracketed(address)}'
    if options.tls and address and host:
        # QEMU takes the certificate for that of the address otherwise.
        found[libvirt.VIR_MIGRATE_PARAM_TLS_DESTINATION] = host
    if options.auto_converge:
        if options.auto_converge_initial_percent:
            found[libvirt.VIR_MIGRATE_PARAM_AUTO_CONVERGE_INITIAL] = (
                options.auto_converge_initial_percent
            )
        if options.auto_converge_increment_percent:
            found[libvirt.VIR_MIGRATE_PARAM_AUTO_CONVERGE_INCREMENT] = (
                options.auto_converge_increment_percent
            )
    if options.parallel_connections > 1:
        found[libvirt.VIR_MIGRATE_PARAM_PARALLEL_CONNECTIONS] = (
            options.parallel_connections
        )
    if options.compression:
        found[libvirt.VIR_MIGRATE_PARAM_COMPRESSION] = options.compression
    return found


def read_statistics(
    fields: collections.abc.Mapping[str, Any],
) -> events.Statistics:
    """Read the statistics of a job, running or completed."""

    def number(name: str) -> float:
        return float(fields.get(name, 0))

    page = number('memory_page_size') or 4096.0
    return events.Statistics(
        elapsed_ms=number('time_elapsed'),
        total_mib=number('memory_total') / _MIB,
        transferred_mib=number('memory_processed') / _MIB,
        remaining_mib=number('memory_remaining') / _MIB,
        bandwidth_mib_s=number('memory_bps') / _MIB,
        # Pages a second, where everything else is bytes.
        dirty_rate_mib_s=number('memory_dirty_rate') * page / _MIB,
        iteration=int(number('memory_iteration')),
        throttle_percent=int(number('auto_converge_throttle')),
        expected_downtime_ms=number('downtime'),
        disk_total_mib=number('disk_total') / _MIB,
        disk_remaining_mib=number('disk_remaining') / _MIB,
        post_copy_requests=int(number('memory_postcopy_requests')),
    )


def is_migration(fields: collections.abc.Mapping[str, Any]) -> bool:
    """Tell whether these are the statistics of a migration away."""
    return fields.get('operation') == _MIGRATION_OUT


def downtime_ms(fields: collections.abc.Mapping[str, Any]) -> float | None:
    """Return the time in which the guest did not run, of a completed job."""
    value = fields.get('downtime')
    return None if value is None else float(value)


def _bracketed(address: str) -> str:
    """Return an address as it stands in a URI."""
    try:
        version = ipaddress.ip_address(address).version
    except ValueError:
        return address
    return f'[{address}]' if version == 6 else address
