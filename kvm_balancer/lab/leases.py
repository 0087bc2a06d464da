"""Leases: libvirt's lock manager lets no guest run on two hosts at a time.

Each host has a virtlockd; their lock space is a directory that all of them
see. libvirt locks files and block devices by itself; for a disk on the
network the domain names a lease, which is a file in there. Whoever runs the
guest holds it, and gives it up while the guest stands still to be switched
over.
"""

import hashlib
import os
import pathlib
from xml.sax import saxutils

from kvm_balancer.lab import description

#: Name of the lock space below its folder.
SPACE = 'guests'

#: Of ``qemu.conf``.
QEMU_OPTION = 'lock_manager = "lockd"\n'

_LOCKD_CONF = """\
# Without these there is no lock space, and no lease either.
auto_disk_leases = 1
file_lockspace_dir = "{folder}/{space}"
"""

_LEASE = """\
<lease>
      <lockspace>{space}</lockspace>
      <key>{guest}</key>
      <target path='{folder}'/>
    </lease>"""


def lockd_conf(lab: description.Lab) -> str:
    """Return ``qemu-lockd.conf`` of each host."""
    return _LOCKD_CONF.format(folder=_folder(lab), space=SPACE)


def make(lab: description.Lab, guest: str) -> None:
    """Make the lease of a guest, which nobody holds yet.

    virtlockd makes none by itself.
    """
    space = _folder(lab) / SPACE
    space.mkdir(parents=True, exist_ok=True)
    (space / guest).touch()


def xml(lab: description.Lab, guest: str) -> str:
    """Return a guest's lease, for libvirt."""
    folder = saxutils.escape(str(_folder(lab)), {"'": '&apos;'})
    return _LEASE.format(space=SPACE, guest=guest, folder=folder)


def held(lab: description.Lab, name: str) -> list[int]:
    """Return the processes that hold a lease, virtlockds all of them.

    :param name: of the guest; or the path of a local disk, of which virtlockd
        makes the lease itself
    """
    key = name
    if name.startswith('/'):
        key = hashlib.sha256(name.encode()).hexdigest()
    try:
        there = (_folder(lab) / SPACE / key).stat()
    except FileNotFoundError:
        return []
    device = f'{os.major(there.st_dev):02x}:{os.minor(there.st_dev):02x}'
    file = f'{device}:{there.st_ino}'
    return [
        int(words[4])
        for line in pathlib.Path('/proc/locks').read_text().splitlines()
        if (words := line.split())[1] == 'POSIX' and words[5] == file
    ]


def _folder(lab: description.Lab) -> pathlib.Path:
    return lab.path / 'leases'
