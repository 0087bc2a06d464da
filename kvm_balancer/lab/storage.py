"""The guests' disks, served to all hosts alike by ``qemu-nbd``.

A disk on the network is what libvirt calls shared storage, so a migration
is safe by its own judgement and needs no flag that says so.
"""

import pathlib
import time

from kvm_balancer import errors
from kvm_balancer.lab import description
from kvm_balancer.lab import processes
from kvm_balancer.lab import programs

_DISK_BYTES = 1024 * 1024


def serve(
    lab: description.Lab, guest: description.Guest, content: bytes
) -> None:
    """Make a disk that begins with *content*, and serve it.

    :raises LabError: when it is not there within seconds
    """
    own = folder(lab, guest.name)
    own.mkdir(parents=True, exist_ok=True)
    disk = own / 'disk.raw'
    with disk.open('wb') as stream:
        stream.write(content)
        stream.truncate(_DISK_BYTES)
    daemons = processes.Processes(lab.path)
    name = f'disk-{guest.name}'
    daemons.start(
        name,
        [
            'qemu-nbd',
            '--format=raw',
            '--shared=0',
            '--persistent',
            f'--bind={lab.address}',
            f'--port={guest.storage_port}',
            f'--export-name={guest.name}',
            str(disk),
        ],
    )
    _wait(lab, guest, daemons, name)


def _wait(
    lab: description.Lab,
    guest: description.Guest,
    daemons: processes.Processes,
    name: str,
) -> None:
    source = (
        f'driver=nbd,server.type=inet,server.host={lab.address},'
        f'server.port={guest.storage_port},export={guest.name}'
    )
    until = time.monotonic() + 10.0
    while True:
        try:
            programs.run(['qemu-img', 'info', '--image-opts', source])
            return
        except errors.LabError as error:
            if not daemons.is_alive(name) or time.monotonic() > until:
                told = daemons.last_words(name) or error
                raise errors.LabError(
                    f'disk of {guest.name}: {told}'
                ) from None
        time.sleep(0.05)


def folder(lab: description.Lab, guest: str) -> pathlib.Path:
    """Return where everything of a guest is kept."""
    return lab.path / 'guests' / guest
