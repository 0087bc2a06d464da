"""What a libvirt has for images in its directories, and for whom.

Only questions that no domain can hold up: the images of one that arrives are
asked of their pool.
"""

import collections.abc
import contextlib
import pathlib

import libvirt

from kvm_balancer.migration import image_room
from kvm_balancer.virt.libvirt import arrivals
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import documents
from kvm_balancer.virt.libvirt import pools

_MIB = 2.0**20


def read(
    handle: connection.Handle,
    directories: collections.abc.Iterable[str],
    local: bool,
) -> dict[str, image_room.Directory]:
    """Ask a libvirt for directories; those without a pool are left out.

    :param local: this process sees the file systems of that host, and tells
        which of them are one
    """
    arriving = _arriving(handle)
    found = {}
    for place in directories:
        pool = pools.pool(handle, place)
        if pool is not None:
            found[place] = image_room.Directory(
                _volume(place) if local else place,
                pools.free_bytes(pool) / _MIB,
                {
                    instance: _growth(pool, paths)
                    for instance, everywhere in arriving.items()
                    if (paths := _inside(everywhere, place))
                },
            )
    return found


def _volume(place: str) -> str:
    """Return which file system a directory is on."""
    try:
        return f'device {pathlib.Path(place).stat().st_dev}'
    except OSError:
        return place


def _inside(paths: collections.abc.Iterable[str], place: str) -> list[str]:
    return [one for one in paths if pools.directory(one) == place]


def _arriving(handle: connection.Handle) -> dict[str, list[str]]:
    """Return the disks of the instances that arrive, by their uuids."""
    found = {}
    for domain, state in arrivals.states(handle):
        if state not in arrivals.ARRIVING:
            continue
        # One that has ended meanwhile needs no room any more.
        with contextlib.suppress(libvirt.libvirtError):
            facts = documents.read_domain(domain.XMLDesc(0))
            found[facts.uuid] = [
                disk.source for disk in facts.disks if disk.kind == 'file'
            ]
    return found


def _growth(pool: connection.Handle, paths: list[str]) -> image_room.Growth:
    images = [pools.volume(pool, path) for path in paths]
    there = [one for one in images if one is not None]
    return image_room.Growth(
        sum(pools.stored_bytes(one) for one in there) / _MIB,
        sum(pools.growth_bytes(one) for one in there) / _MIB,
    )
