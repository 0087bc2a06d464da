"""What a host claims to be: capacity, overhead and pressure.

All hosts share one machine, so what the kernel says of it would make all of
them equally hot. Each executor reads these figures from a file instead;
what the guests use is still measured.
"""

import pathlib

import msgspec

from kvm_balancer import errors


class Readings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The figures of one host.

    :ivar cpus: cores, at least a part of one
    :ivar cpu_overhead: cores in use by anything but guests
    :ivar pressure: stalls in per cent by kind, ``cpu_some`` and the like
    """

    cpus: float = 1.0
    memory_mib: float = 4096.0
    cpu_overhead: float = 0.05
    pressure: dict[str, float] = {}


def write(path: pathlib.Path, readings: Readings) -> None:
    """Write the file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix('.new')
    new.write_bytes(msgspec.json.encode(readings))
    new.replace(path)


def read(path: pathlib.Path) -> Readings:
    """Read the file.

    :raises LabError: when it is not there or does not fit
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Readings)
    except (OSError, msgspec.DecodeError, msgspec.ValidationError) as error:
        raise errors.LabError(f'{path}: {error}') from None
