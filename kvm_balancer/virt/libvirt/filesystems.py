"""What kind of file system a path of this host is on."""

import pathlib

#: As libvirt's own list of shared and cluster file systems.
SHARED = frozenset(
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


def mounts() -> str:
    """Return what is mounted on this host, as the kernel tells it."""
    return _MOUNTS.read_text() if _MOUNTS.exists() else ''


def is_shared(path: str, mounted: str) -> bool:
    """Say whether other hosts may have the same file.

    :param mounted: text of a ``mountinfo``
    """
    return kind(path, mounted) in SHARED


def kind(path: str, mounted: str) -> str:
    """Return the kind of file system that *path* is on.

    :param mounted: text of a ``mountinfo``
    """
    best, found = '', ''
    for line in mounted.splitlines():
        left, _, right = line.partition(' - ')
        fields = left.split()
        if len(fields) < 5 or not right:
            continue
        point = fields[4].replace('\\040', ' ')
        inside = path == point or path.startswith(point.rstrip('/') + '/')
        # A later mount on the same point covers the earlier one.
        if inside and len(point) >= len(best):
            best, found = point, right.split()[0]
    return found
