"""Disks that are copied along with the memory, and whether there is room."""

import collections.abc
import dataclasses
import functools

from kvm_balancer.migration import events
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import documents
from kvm_balancer.virt.libvirt import image_rooms
from kvm_balancer.virt.libvirt import pools
from kvm_balancer.virt.libvirt import verdicts

_MIB = 2**20


@dataclasses.dataclass(frozen=True, slots=True)
class Copy:
    """A disk that is copied along with the memory.

    :ivar backing: what both ends have of it already; None where all of it
        is copied
    """

    target: str
    path: str
    format: str
    capacity_bytes: int
    allocated_bytes: int
    backing: documents.Backing | None = None


def words(copies: collections.abc.Iterable[Copy]) -> str:
    """Say of each what is copied."""
    return ', '.join(
        f'{one.target} ({one.allocated_bytes / _MIB:,.0f} of '
        f'{one.capacity_bytes / _MIB:,.0f} MiB) is copied'
        + (f' over {one.backing.source}' if one.backing else '')
        for one in copies
    )


def space_check(
    there: connection.Connection, copies: collections.abc.Sequence[Copy]
) -> events.Check:
    """Say whether the images fit, with those that arrive already."""
    name = 'disk space'
    short, tight = [], []
    for place in dict.fromkeys(pools.directory(one.path) for one in copies):
        mine = [one for one in copies if pools.directory(one.path) == place]
        free, promised = there.call(
            functools.partial(_free_and_promised, place=place)
        )
        left = max(0.0, free - promised)
        now = sum(one.allocated_bytes for one in mine) / _MIB
        grown = sum(one.capacity_bytes for one in mine) / _MIB
        told = f'{left:,.0f} MiB are left in {place}'
        if promised:
            told += f', besides {promised:,.0f} for disks that arrive'
        if now > left:
            short.append(f'the disks need {now:,.0f} MiB, and {told}')
        elif grown > left:
            tight.append(f'the disks may grow to {grown:,.0f} MiB, and {told}')
    remedy = 'choose another destination, or make room there first'
    if short:
        return verdicts.failed(name, '; '.join(short), remedy)
    if tight:
        return verdicts.unknown(name, '; '.join(tight), remedy)
    return verdicts.passed(name)


def _free_and_promised(
    handle: connection.Handle, place: str
) -> tuple[float, float]:
    """Return what is free in a directory, and for whom arrives, in MiB."""
    found = image_rooms.read(handle, [place], local=False).get(place)
    if found is None:
        return 0.0, 0.0
    return found.free_mib, sum(one.most_mib for one in found.arriving.values())
