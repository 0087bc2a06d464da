"""The bulk statistics of libvirt, as numbers with names.

Pure: dictionaries in, values out; a value that libvirt did not give is None
and never 0. Rates are made of these counters elsewhere.
"""

import collections.abc
import dataclasses
from typing import Any

Fields = collections.abc.Mapping[str, Any]

_KIB_A_MIB = 1024.0
#: What a QEMU holds besides the memory of its guest (40 MiB of 541 seen with
#: QEMU 7.2): a migration does not copy it.
_PROCESS_MIB = 40.0
_MIB = 2.0**20
_GIB = 2.0**30
_NANOSECOND = 1e-9

#: ``virDomainState``, the ones that matter here.
RUNNING = 1
BLOCKED = 2
PAUSED = 3

#: ``virDomainPausedReason``: an incoming domain starts with ``STARTING_UP``
#: and goes on with ``MIGRATION`` (seen with libvirt 9.0).
PAUSED_MIGRATION = 2
PAUSED_STARTING_UP = 11
PAUSED_POSTCOPY = 12
PAUSED_POSTCOPY_FAILED = 13

#: ``virDomainRunningReason``.
RUNNING_POSTCOPY = 10
RUNNING_POSTCOPY_FAILED = 11


@dataclasses.dataclass(frozen=True, slots=True)
class DomainStatistics:
    """One domain in one answer of the bulk call.

    Counters count since the domain's process began. ``cpu_seconds`` is that
    of the whole process where libvirt tells it, else of its virtual CPUs.

    :ivar steal_seconds: time in which virtual CPUs could have run and had
        to wait for a core
    :ivar memory_used_mib: what the guest has in use, caches included, where
        it reports; else what its process holds for it
    :ivar memory_reported: whether it reports that; None where neither is told
    """

    state: int
    reason: int
    vcpus: float | None = None
    memory_mib: float | None = None
    memory_used_mib: float | None = None
    memory_reported: bool | None = None
    disk_gib: float | None = None
    dirty_rate_mib_s: float | None = None
    cpu_seconds: float | None = None
    steal_seconds: float | None = None
    network_rx_mib: float | None = None
    network_tx_mib: float | None = None
    block_read_mib: float | None = None
    block_write_mib: float | None = None


def read_domain(fields: Fields) -> DomainStatistics:
    """Read one record of the bulk call."""
    memory = _scaled(fields.get('balloon.current'), 1 / _KIB_A_MIB)
    used, reported = _memory_used(fields, memory)
    return DomainStatistics(
        state=int(fields.get('state.state', 0)),
        reason=int(fields.get('state.reason', 0)),
        vcpus=_scaled(fields.get('vcpu.current'), 1.0),
        memory_mib=memory,
        memory_used_mib=used,
        memory_reported=reported,
        disk_gib=_total(fields, 'block', 'capacity', 1 / _GIB),
        dirty_rate_mib_s=_dirty_rate(fields),
        cpu_seconds=_cpu_seconds(fields),
        steal_seconds=_total(fields, 'vcpu', 'delay', _NANOSECOND),
        network_rx_mib=_total(fields, 'net', 'rx.bytes', 1 / _MIB),
        network_tx_mib=_total(fields, 'net', 'tx.bytes', 1 / _MIB),
        block_read_mib=_total(fields, 'block', 'rd.bytes', 1 / _MIB),
        block_write_mib=_total(fields, 'block', 'wr.bytes', 1 / _MIB),
    )


def sample_state(read: DomainStatistics, leaving: bool) -> str:
    """Say in a sample's word what a domain is doing.

    :param leaving: a migration is known to take it away from here
    """
    if leaving or _is_left_behind(read):
        return 'outgoing'
    if _is_arriving(read):
        return 'incoming'
    if read.state in (RUNNING, BLOCKED):
        return 'running'
    return 'paused' if read.state == PAUSED else 'other'


def _is_left_behind(read: DomainStatistics) -> bool:
    return read.state == PAUSED and read.reason in (
        PAUSED_POSTCOPY,
        PAUSED_POSTCOPY_FAILED,
    )


def _is_arriving(read: DomainStatistics) -> bool:
    if read.state == RUNNING:
        return read.reason in (RUNNING_POSTCOPY, RUNNING_POSTCOPY_FAILED)
    return read.state == PAUSED and read.reason in (
        PAUSED_MIGRATION,
        PAUSED_STARTING_UP,
    )


def _cpu_seconds(fields: Fields) -> float | None:
    if 'cpu.time' in fields:
        return _scaled(fields['cpu.time'], _NANOSECOND)
    # Without the cpu controller older libvirts tell only this.
    return _total(fields, 'vcpu', 'time', _NANOSECOND)


def memory_in_use_mib(read: DomainStatistics, huge_pages: bool) -> float:
    """Return what a guest has in use, or all that it has where it is not told.

    :param huge_pages: its memory is in huge pages, at least in part: these the
        kernel does not count among what a process holds
    """
    if huge_pages and not read.memory_reported:
        return read.memory_mib or 0.0
    return read.memory_used_mib or read.memory_mib or 0.0


def _memory_used(
    fields: Fields, memory_mib: float | None
) -> tuple[float | None, bool | None]:
    """Return what is in use, and whether the guest says so."""
    available = fields.get('balloon.available')
    unused = fields.get('balloon.unused')
    reported = bool(fields.get('balloon.last-update'))
    if reported and available is not None and unused is not None:
        used = (float(available) - float(unused)) / _KIB_A_MIB
    elif (rss := fields.get('balloon.rss')) is not None:
        reported = False
        used = max(float(rss) / _KIB_A_MIB - _PROCESS_MIB, 1.0)
    else:
        return None, None
    most = used if memory_mib is None else min(used, memory_mib)
    return max(0.0, most), reported


#: ``VIR_DOMAIN_DIRTYRATE_MEASURED``.
_MEASURED = 2


def _dirty_rate(fields: Fields) -> float | None:
    if fields.get('dirtyrate.calc_status') != _MEASURED:
        return None
    rate = _scaled(fields.get('dirtyrate.megabytes_per_second'), 1.0)
    # QEMU says -1 where it had nothing to look at.
    return None if rate is None or rate < 0.0 else rate


def dirtied_mib(fields: Fields) -> float | None:
    """Return what was dirtied within the last window that was measured."""
    rate, seconds = _dirty_rate(fields), fields.get('dirtyrate.calc_period')
    if rate is None or seconds is None:
        return None
    # What it cut off is half a MiB a second on average; of nothing it is
    # mostly nothing.
    return (rate + 0.5 if rate > 0.0 else 0.0) * float(seconds)


def _total(
    fields: Fields, group: str, name: str, scale: float
) -> float | None:
    """Add up one field over the devices of a group.

    The devices are numbered; those that were unplugged leave gaps, and an
    inactive virtual CPU has no counters.
    """
    suffix = f'.{name}'
    found = [
        float(value)
        for key, value in fields.items()
        if key.startswith(f'{group}.') and key.endswith(suffix)
        if key[len(group) + 1 : -len(suffix)].isdigit()
    ]
    return sum(found) * scale if found else None


def _scaled(value: Any, scale: float) -> float | None:
    return None if value is None else float(value) * scale
