"""The guests' disks: served to all hosts by ``qemu-nbd``, or on one alone.

A disk on the network is what libvirt calls shared storage, so a migration
is safe by its own judgement and needs no flag that says so. A local disk has
to be copied along.
"""

import pathlib
import random
import shutil
import xml.sax.saxutils

from kvm_balancer.lab import description
from kvm_balancer.lab import leases
from kvm_balancer.lab import processes
from kvm_balancer.lab import programs
from kvm_balancer.lab import waiting

_DISK_BYTES = 1024 * 1024
_LOCAL_DISK_BYTES = 40 * _DISK_BYTES
_RAW_DISK_BYTES = 8 * _DISK_BYTES

#: Where a host keeps images of its own, as it sees it.
IMAGES = pathlib.PurePosixPath('/var/lib/libvirt/images')

_NETWORK_DISK = """\
<disk type='network' device='disk'>
  <driver name='qemu' type='raw' cache='none'/>
  <source protocol='nbd' name='{guest.name}'>
    <host name='{lab.address}' port='{guest.storage_port}'/>
  </source>
  <target {target}/>
</disk>"""

_VIRTIO = "dev='vda' bus='virtio'"
_IDE = "dev='hda' bus='ide'"

_LOCAL_DISK = """\
<disk type='file' device='disk'>
  <driver name='qemu' type='{kind}' cache='none'/>
  <source file='{path}'/>
  <target {target}/>
</disk>"""

#: Who has a disk.
Guest = description.Guest | description.LinuxGuest


def serve(lab: description.Lab, guest: Guest, content: bytes) -> None:
    """Make a disk that begins with *content*, and serve it.

    :raises LabError: when it is not there in time
    """
    own = folder(lab, guest.name)
    own.mkdir(parents=True, exist_ok=True)
    content_of = disk(lab, guest.name)
    with content_of.open('wb') as stream:
        stream.write(content)
        stream.truncate(_DISK_BYTES)
    if lab.leases:
        leases.make(lab, guest.name)
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
            str(content_of),
        ],
    )
    _wait(lab, guest, daemons, name)


def withdraw(lab: description.Lab, guest: Guest) -> None:
    """Serve a disk no longer, and remove everything of its guest."""
    processes.Processes(lab.path).stop(f'disk-{guest.name}')
    shutil.rmtree(folder(lab, guest.name), ignore_errors=True)


def network_xml(lab: description.Lab, guest: Guest, ide: bool = False) -> str:
    """Return a guest's disk that is served, and its lease, for libvirt.

    :param ide: an older disk, which a guest of few instructions can use
    """
    target = _IDE if ide else _VIRTIO
    made = _NETWORK_DISK.format(lab=lab, guest=guest, target=target)
    return f'{made}\n{leases.xml(lab, guest.name)}' if lab.leases else made


def local_xml(lab: description.Lab, guest: Guest, raw: bool = False) -> str:
    """Return a guest's disk that its host alone has, for libvirt.

    :param raw: an older disk, without a format
    """
    kind = 'raw' if raw else 'qcow2'
    path = str(IMAGES / f'{guest.name}.{kind}')
    return _LOCAL_DISK.format(
        path=xml.sax.saxutils.escape(path),
        kind=kind,
        target=_IDE if raw else _VIRTIO,
    )


def make_local(images: pathlib.Path, guest: str) -> None:
    """Make a disk among a host's own images.

    :param images: that folder, as the machine sees it
    :raises LabError: when it cannot be
    """
    images.mkdir(parents=True, exist_ok=True)
    path = images / f'{guest}.qcow2'
    create = ['qemu-img', 'create', '-q', '-f', 'qcow2']
    programs.run([*create, str(path), str(_LOCAL_DISK_BYTES)])
    # Behind what the guest writes to, so that there is something to copy.
    fill = f'write -q -P 171 {_DISK_BYTES} {_LOCAL_DISK_BYTES - _DISK_BYTES}'
    programs.run(['qemu-io', '-f', 'qcow2', '-c', fill, str(path)])


def make_raw(images: pathlib.Path, guest: str, content: bytes) -> None:
    """Make a raw disk that begins with *content* among a host's images.

    :param images: that folder, as the machine sees it
    """
    images.mkdir(parents=True, exist_ok=True)
    with raw_disk(images, guest).open('wb') as stream:
        stream.write(content)
        stream.seek(_DISK_BYTES)
        stream.write(rest_of_raw(guest))


def raw_disk(images: pathlib.Path, guest: str) -> pathlib.Path:
    """Return a guest's raw disk among a host's images."""
    return images / f'{guest}.raw'


def rest_of_raw(guest: str) -> bytes:
    """Return what a raw disk holds behind what its guest writes to.

    No two guests have the same.
    """
    # to be told from others, not to be kept from anybody
    chance = random.Random(guest)  # noqa: S311
    return chance.randbytes(_RAW_DISK_BYTES - _DISK_BYTES)


def is_whole(image: pathlib.Path, guest: str) -> bool:
    """Say whether a raw disk holds all that its guest never writes to."""
    with image.open('rb') as stream:
        stream.seek(_DISK_BYTES)
        return stream.read() == rest_of_raw(guest)


def _wait(
    lab: description.Lab,
    guest: Guest,
    daemons: processes.Processes,
    name: str,
) -> None:
    source = (
        f'driver=nbd,server.type=inet,server.host={lab.address},'
        f'server.port={guest.storage_port},export={guest.name}'
    )
    waiting.until(
        lambda: bool(
            programs.run(['qemu-img', 'info', '--image-opts', source])
        ),
        f'qemu-nbd to serve the disk of {guest.name}',
        runs=lambda: daemons.is_alive(name),
        said=lambda: daemons.last_words(name),
    )


def disk(lab: description.Lab, guest: str) -> pathlib.Path:
    """Return the file that a guest's served disk is kept in."""
    return folder(lab, guest) / 'disk.raw'


def folder(lab: description.Lab, guest: str) -> pathlib.Path:
    """Return where everything of a guest is kept."""
    return lab.path / 'guests' / guest
