"""What the kernel says of a host as a whole.

Two sources: ``/proc`` and ``/sys`` of this machine, or a file. The file is
for laboratories in which many hosts share one machine, whose CPUs, memory
and pressure would make all of them equally hot: what a host is and what it
does beside its instances then stands in a JSON document.
"""

import dataclasses
import json
import pathlib
import time
from typing import Any
from typing import Protocol

from kvm_balancer import errors
from kvm_balancer.model import sample
from kvm_balancer.virt import meters

_MIB = 2.0**20
#: ``/proc/diskstats`` counts in these, whatever the device has.
_SECTOR_BYTES = 512
#: ``USER_HZ``, in which ``/proc/stat`` counts; 100 wherever Linux runs KVM.
_TICKS_A_SECOND = 100.0

_WHOLE = 'host'


@dataclasses.dataclass(frozen=True, slots=True)
class HostReading:
    """One look at a host.

    :ivar cpu_usage: cores in use by everything; None where only the
        overhead is known
    :ivar cpu_overhead: cores in use by anything but instances; None where
        it is what the instances leave of ``cpu_usage``
    :ivar memory_free_mib: None where it is what the instances leave
    """

    cpus: float
    memory_mib: float
    cpu_usage: float | None = None
    cpu_overhead: float | None = None
    memory_free_mib: float | None = None
    pressure: sample.Pressure = dataclasses.field(
        default_factory=sample.Pressure
    )
    network_rx_mib_s: float = 0.0
    network_tx_mib_s: float = 0.0
    block_read_mib_s: float = 0.0
    block_write_mib_s: float = 0.0


class Source(Protocol):
    """Where readings of a host come from."""

    def read(self) -> HostReading:
        """Look at the host now.

        :raises ConfigurationError: when the source cannot be read
        """


def host_usage(
    reading: HostReading, instances: sample.InstanceUsages
) -> sample.HostUsage:
    """Put together what a host has in use from it and its instances.

    The two were not read at the very same moment, so the instances may seem
    to use more than the host as a whole: the overhead is then 0.
    """
    by_instances = sum(instances.cpu_usage)
    allocated = sum(instances.memory_mib)
    overhead = reading.cpu_overhead
    if overhead is None:
        overhead = max(0.0, (reading.cpu_usage or 0.0) - by_instances)
    free = reading.memory_free_mib
    used = None if free is None else max(0.0, reading.memory_mib - free)
    if free is None:
        free = max(0.0, reading.memory_mib - allocated)
    return sample.HostUsage(
        cpu_usage=overhead + by_instances,
        cpu_overhead=overhead,
        memory_free_mib=free,
        memory_allocated_mib=allocated,
        network_rx_mib_s=reading.network_rx_mib_s,
        network_tx_mib_s=reading.network_tx_mib_s,
        block_read_mib_s=reading.block_read_mib_s,
        block_write_mib_s=reading.block_write_mib_s,
        pressure=reading.pressure,
        memory_used_mib=used,
    )


class FileSource:
    """Readings from a JSON document, read anew each time.

    ``{"cpus": 4, "memory_mib": 2048, "cpu_overhead": 0.5, "pressure":
    {"cpu_some": 12.5}}``; ``memory_free_mib`` and the rates of
    :class:`HostReading` may stand there as well.
    """

    def __init__(self, path: str | pathlib.Path) -> None:
        self._path = pathlib.Path(path)

    def read(self) -> HostReading:
        try:
            found = json.loads(self._path.read_text('utf-8'))
        except OSError as error:
            raise self._broken(error.strerror or str(error)) from None
        except ValueError as error:
            raise self._broken(f'it is not JSON: {error}') from None
        if not isinstance(found, dict):
            raise self._broken('it has to be a JSON object')
        pressure = found.pop('pressure', {})
        if not isinstance(pressure, dict):
            raise self._broken('"pressure" has to be an object')
        self._check(found, HostReading, ('cpus', 'memory_mib'))
        self._check(pressure, sample.Pressure, ())
        found.setdefault('cpu_overhead', 0.0)
        return HostReading(**found, pressure=sample.Pressure(**pressure))

    def _check(
        self, found: dict[str, Any], shape: Any, needed: tuple[str, ...]
    ) -> None:
        known = [field.name for field in dataclasses.fields(shape)]
        for name in needed:
            if name not in found:
                raise self._broken(f'"{name}" is missing')
        for name, value in found.items():
            if name not in known:
                raise self._broken(f'"{name}" is not known')
            if not _is_number(value) or not 0 <= value < float('inf'):
                raise self._broken(f'"{name}" is not a number of 0 or more')
        for name in needed:
            if found[name] == 0:
                raise self._broken(f'"{name}" must not be 0')

    def _broken(self, why: str) -> errors.ConfigurationError:
        return errors.ConfigurationError(
            f'The readings of this host in {self._path} cannot be used: '
            f'{why}. See [host] readings_file.'
        )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


class KernelSource:
    """Readings of this machine's kernel.

    :param root: where ``proc`` and ``sys`` are
    """

    def __init__(self, root: str | pathlib.Path = '/') -> None:
        self._proc = pathlib.Path(root) / 'proc'
        self._sys = pathlib.Path(root) / 'sys'
        self._meters = meters.Meters()

    def read(self) -> HostReading:
        try:
            return self._read()
        except (OSError, ValueError, KeyError, IndexError) as error:
            raise errors.ConfigurationError(
                f'The readings of this host in {self._proc} cannot be used: '
                f'{error}. Use [host] readings_file on a system without them.'
            ) from None

    def _read(self) -> HostReading:
        self._meters.begin(time.monotonic())
        stat = (self._proc / 'stat').read_text()
        memory = _meminfo((self._proc / 'meminfo').read_text())
        network = _network_bytes(
            (self._proc / 'net' / 'dev').read_text(),
            self._hardware('class/net'),
        )
        block = _block_bytes(
            (self._proc / 'diskstats').read_text(), self._hardware('block')
        )
        return HostReading(
            cpus=_cpus(stat),
            memory_mib=memory['MemTotal'],
            memory_free_mib=memory['MemAvailable'],
            cpu_usage=self._rate('cpu', _busy_seconds(stat)),
            pressure=self._pressure(),
            network_rx_mib_s=self._rate('rx', network[0]) / _MIB,
            network_tx_mib_s=self._rate('tx', network[1]) / _MIB,
            block_read_mib_s=self._rate('read', block[0]) / _MIB,
            block_write_mib_s=self._rate('write', block[1]) / _MIB,
        )

    def _rate(self, name: str, value: float) -> float:
        return self._meters.rate(_WHOLE, name, value)

    def _hardware(self, kind: str) -> frozenset[str]:
        """Name the devices that are not made of others.

        Bridges, taps, partitions and mapped devices count what the
        hardware below them counts again.
        """
        folder = self._sys / kind
        if not folder.is_dir():
            return frozenset()
        return frozenset(
            one.name for one in folder.iterdir() if (one / 'device').exists()
        )

    def _pressure(self) -> sample.Pressure:
        found: dict[str, float] = {}
        for kind in ('cpu', 'memory', 'io'):
            try:
                text = (self._proc / 'pressure' / kind).read_text()
            except OSError:
                # A kernel without PSI, or one that has it switched off.
                continue
            found |= _stalls(kind, text)
        return sample.Pressure(
            cpu_some=found.get('cpu_some'),
            memory_some=found.get('memory_some'),
            memory_full=found.get('memory_full'),
            io_some=found.get('io_some'),
            io_full=found.get('io_full'),
        )


def _busy_seconds(stat: str) -> float:
    """Add up the time of all CPUs that was not idle.

    The time of guests is within that of user and nice. What the hypervisor
    below took (steal) counts: it was not there to be used.
    """
    ticks = [int(word) for word in stat.split('\n', 1)[0].split()[1:9]]
    idle = ticks[3] + ticks[4]
    return (sum(ticks) - idle) / _TICKS_A_SECOND


def _cpus(stat: str) -> float:
    return float(
        sum(
            line.startswith('cpu') and line[3:4].isdigit()
            for line in stat.splitlines()
        )
    )


def _meminfo(text: str) -> dict[str, float]:
    found = {}
    for line in text.splitlines():
        name, _, rest = line.partition(':')
        if rest:
            found[name] = float(rest.split()[0]) / 1024.0
    return found


def _network_bytes(text: str, hardware: frozenset[str]) -> tuple[float, float]:
    received = sent = 0.0
    for line in text.splitlines()[2:]:
        name, _, rest = line.partition(':')
        if name.strip() in hardware:
            fields = rest.split()
            received += float(fields[0])
            sent += float(fields[8])
    return received, sent


def _block_bytes(text: str, hardware: frozenset[str]) -> tuple[float, float]:
    read = written = 0.0
    for line in text.splitlines():
        fields = line.split()
        if fields[2] in hardware:
            read += float(fields[5]) * _SECTOR_BYTES
            written += float(fields[9]) * _SECTOR_BYTES
    return read, written


def _stalls(kind: str, text: str) -> dict[str, float]:
    found = {}
    for line in text.splitlines():
        share, *fields = line.split()
        for field in fields:
            name, _, value = field.partition('=')
            if name == 'avg10':
                found[f'{kind}_{share}'] = float(value)
    return found
