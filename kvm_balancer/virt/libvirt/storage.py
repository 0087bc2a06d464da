"""Whether both ends reach the disks of a domain.

Network disks are reached by both. A file is shared when the file system
that it is on is; that can be seen on the source host alone. libvirt looks
again when the migration starts, and refuses what is unsafe.
"""

import collections.abc
import pathlib

from kvm_balancer.migration import events
from kvm_balancer.virt.libvirt import documents

#: As libvirt's own list of shared and cluster file systems.
SHARED_FILE_SYSTEMS = frozenset(
    (
        'nfs',
        'nfs4',
        'gfs2',
        'ocfs2',
        'afs',
        'smb3',
        'cifs',
        'ceph',
        'gpfs',
        'fuse.glusterfs',
        'fuse.ceph',
        'fuse.quobyte',
        'acfs',
        'lustre',
        'beegfs',
    )
)

_MOUNTS = pathlib.Path('/proc/self/mountinfo')


def check(
    disks: collections.abc.Sequence[documents.Disk], local: bool
) -> events.Check:
    """Say whether the disks are where both ends reach them.

    :param local: this process sees the file systems of the source host
    """
    mounts = _MOUNTS.read_text() if local and _MOUNTS.exists() else ''
    local_disks, unknown = [], []
    for disk in disks:
        shared = is_shared(disk, mounts)
        if shared is None:
            unknown.append(f'{disk.target} ({disk.source})')
        elif not shared:
            local_disks.append(f'{disk.target} ({disk.source})')
    if local_disks:
        return events.Check(
            'storage',
            events.Verdict.FAILED,
            f'local disk {", ".join(local_disks)}: the destination does not '
            'have it',
            'move it to shared or network storage first',
        )
    if unknown:
        return events.Check(
            'storage',
            events.Verdict.UNKNOWN,
            f'whether the destination has {", ".join(unknown)} cannot be '
            'seen from here',
            'have the same images there; libvirt looks again, and refuses '
            'what is unsafe',
        )
    return events.Check('storage', events.Verdict.PASSED)


def is_shared(disk: documents.Disk, mounts: str) -> bool | None:
    """Say whether both ends have a disk; None where it cannot be told.

    :param mounts: ``/proc/self/mountinfo`` of the source; empty where it is
        not to be seen
    """
    if disk.kind == 'network' or not disk.source:
        return True
    if disk.kind in ('nvme', 'vhostuser', 'vhostvdpa'):
        return False
    if disk.kind != 'file' or not mounts:
        return None
    if file_system(disk.source, mounts) in SHARED_FILE_SYSTEMS:
        return True
    # libvirt takes a read-only one for safe: an image that stands on every
    # host, which nothing here can see.
    return None if disk.read_only else False


def file_system(path: str, mounts: str) -> str:
    """Return the kind of file system that *path* is on.

    :param mounts: text of a ``mountinfo``
    """
    best, kind = '', ''
    for line in mounts.splitlines():
        left, _, right = line.partition(' - ')
        fields = left.split()
        if len(fields) < 5 or not right:
            continue
        point = fields[4].replace('\\040', ' ')
        inside = path == point or path.startswith(point.rstrip('/') + '/')
        # A later mount on the same point covers the earlier one.
        if inside and len(point) >= len(best):
            best, kind = point, right.split()[0]
    return kind
