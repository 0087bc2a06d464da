"""Directories of images, as the storage pools of a libvirt have them.

A libvirt tells of the files of its host what its active pools contain, and
of nothing else; so it is asked for the pool whose target is the directory.
"""

import contextlib
import dataclasses
import pathlib
import uuid
from xml.sax import saxutils

import libvirt

from kvm_balancer import errors
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import documents
from kvm_balancer.virt.libvirt import failures

_PROBE = """\
<volume>
  <name>{name}</name>
  <capacity>0</capacity>
  <target><format type='raw'/></target>
</volume>"""

#: Of what ``virStoragePoolGetInfo`` and ``virStorageVolGetInfo`` tell.
_AVAILABLE = 3
_CAPACITY, _ALLOCATION = 1, 2

#: Of ``virStorageVolType``, the kinds that disks are of.
_KINDS = {
    libvirt.VIR_STORAGE_VOL_FILE: 'file',
    libvirt.VIR_STORAGE_VOL_BLOCK: 'block',
    libvirt.VIR_STORAGE_VOL_NETWORK: 'network',
}


def directory(path: str) -> str:
    """Return the directory that a file is in."""
    return str(pathlib.PurePosixPath(path).parent)


def pool(handle: connection.Handle, place: str) -> connection.Handle | None:
    """Return the active pool whose target is the directory *place*.

    Its view of the directory is a fresh one. None where there is no such
    pool, or libvirt has none at all.
    """
    try:
        found = handle.storagePoolLookupByTargetPath(place)
        found.refresh(0)
    except libvirt.libvirtError as error:
        if error.get_error_code() in (
            libvirt.VIR_ERR_NO_STORAGE_POOL,
            libvirt.VIR_ERR_OPERATION_INVALID,
            libvirt.VIR_ERR_NO_SUPPORT,
        ):
            return None
        raise
    return found


def volume(found: connection.Handle, path: str) -> connection.Handle | None:
    """Return the volume of a pool that is the file *path*; None for none."""
    try:
        return found.storageVolLookupByName(pathlib.PurePosixPath(path).name)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_STORAGE_VOL:
            return None
        raise


def resolve(
    here: connection.Connection,
    there: connection.Connection,
    disk: documents.Disk,
) -> documents.Disk:
    """Return what a disk is that is given as a volume of a pool.

    The destination looks the volume up in its own pool of that name.

    :returns: the disk as it was where the pools do not tell, or do not agree
    :raises HypervisorUnreachable: when one does not answer
    """

    def look(handle: connection.Handle) -> tuple[str, str]:
        found = handle.storagePoolLookupByName(disk.pool)
        image = found.storageVolLookupByName(disk.source)
        return _KINDS.get(image.info()[0], disk.kind), image.path()

    try:
        ours, theirs = here.call(look), there.call(look)
    except errors.HypervisorUnreachable:
        raise
    except errors.KVMBalancerError:
        return disk
    if ours != theirs:
        return disk
    kind, path = ours
    return dataclasses.replace(disk, kind=kind, source=path)


def is_same(
    here: connection.Connection, there: connection.Connection, place: str
) -> bool | None:
    """Say whether a directory is the same one on both hosts.

    An empty file is made here, looked for there, and removed again.

    :returns: None where that cannot be told
    :raises HypervisorUnreachable: when one does not answer
    """
    name = f'kvm-balancer-probe-{uuid.uuid4()}'

    def make(handle: connection.Handle) -> bool:
        found = pool(handle, place)
        if found is None:
            return False
        found.createXML(_PROBE.format(name=name), 0)
        return True

    def remove(handle: connection.Handle) -> None:
        handle.storageVolLookupByPath(f'{place.rstrip("/")}/{name}').delete(0)

    def look(handle: connection.Handle) -> bool | None:
        found = pool(handle, place)
        return None if found is None else volume(found, name) is not None

    try:
        if there.call(lambda handle: pool(handle, place)) is None:
            return None
        if not here.call(make):
            return None
    except errors.HypervisorError:
        return None
    try:
        return there.call(look)
    except errors.HypervisorError:
        return None
    finally:
        with contextlib.suppress(errors.KVMBalancerError):
            here.call(remove)


def free_bytes(found: connection.Handle) -> int:
    """Return what is free where a pool is, in bytes.

    What images in it may still grow by is in there.
    """
    return int(found.info()[_AVAILABLE])


def create(
    found: connection.Handle,
    path: str,
    kind: str,
    capacity: int,
    backing: documents.Backing | None,
) -> None:
    """Make an empty image, which grows as it is written to.

    :param kind: its format
    :param capacity: bytes that the guest sees
    :raises libvirtError: also when there is one of that name
    """
    over = ''
    if backing is not None:
        over = (
            f'<backingStore><path>{saxutils.escape(backing.source)}</path>'
            f'<format type={saxutils.quoteattr(backing.format)}/>'
            '</backingStore>'
        )
    # libvirt's own choice is one that has neither bitmaps nor holes.
    version = '<compat>1.1</compat>' if kind == 'qcow2' else ''
    name = pathlib.PurePosixPath(path).name
    found.createXML(
        f'<volume><name>{saxutils.escape(name)}</name>'
        f'<capacity unit="bytes">{capacity}</capacity>'
        '<allocation>0</allocation>'
        f'<target><format type={saxutils.quoteattr(kind)}/>{version}</target>'
        f'{over}</volume>',
        0,
    )


def delete(handle: connection.Handle, path: str) -> None:
    """Delete an image, if it is there.

    :raises Refused: where there is no pool any more that it is in
    """
    found = pool(handle, directory(path))
    if found is None:
        raise failures.Refused(
            f'no active storage pool has {path}',
            libvirt.VIR_ERR_NO_STORAGE_POOL,
            libvirt.VIR_FROM_STORAGE,
        )
    image = volume(found, path)
    if image is not None:
        image.delete(0)


def capacity_bytes(image: connection.Handle) -> int:
    """Return what an image holds for a guest, in bytes."""
    return int(image.info()[_CAPACITY])


def stored_bytes(image: connection.Handle) -> int:
    """Return what an image takes, in bytes."""
    return int(image.info()[_ALLOCATION])


def growth_bytes(image: connection.Handle) -> int:
    """Return by how much an image may grow."""
    told = image.info()
    return max(0, int(told[_CAPACITY]) - int(told[_ALLOCATION]))
