"""Two real libvirtd hosts for the tests of a process, and guests on them."""

import atexit
import contextlib
import functools
import os
import pathlib
import shutil
import tempfile
from typing import Any
import uuid

import libvirt

from kvm_balancer.lab import description
from kvm_balancer.lab import fleet
from kvm_balancer.lab import storage
from kvm_balancer.migration import events
from kvm_balancer.migration import request
from kvm_balancer.virt import marks
from kvm_balancer.virt import ownership
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import driver
from kvm_balancer.virt.libvirt import marking
from tests.contract import ground
from tests.functional.libvirt import guests

#: One that pauses this long dirties well under a MiB a second.
_CALM_DELAY = 2_000_000
#: Hardly a pause: under emulation thousands of MiB a second, so that also
#: one that gets a hundredth of a core writes faster than the stream.
BUSY_DELAY = 10

#: Less than usual: one test waits until libvirt has lost its patience.
_KEEPALIVE_SECONDS = 2

#: A libvirtd that is there answers, however busy the machine is.
_TIMING = connection.Timing(open_seconds=ground.PATIENCE_SECONDS)

#: What a busy guest writes to, and what a calm one that is filled has.
_WORKING_SET_MIB = 32

#: By kind: what it writes to for ever, after a delay, and what it wrote to
#: once.
_KINDS = {
    'calm': (1, _CALM_DELAY, 0),
    'busy': (_WORKING_SET_MIB, BUSY_DELAY, 0),
    'filled': (1, _CALM_DELAY, _WORKING_SET_MIB),
}


@functools.cache
def lab(tls: bool = False) -> fleet.Lab:
    """Bring two hosts up, once in a process; they go when it ends."""
    for need in ('libvirtd', 'qemu-system-x86_64', 'ip', 'unshare'):
        if not shutil.which(need):
            raise RuntimeError(f'{need} is not installed')
    if os.geteuid():
        raise RuntimeError('namespaces need root')
    folder = pathlib.Path(tempfile.mkdtemp(prefix='kvm-balancer-libvirt-'))
    found = fleet.Lab(
        description.describe(
            folder / 'lab',
            f'{"kt" if tls else "kl"}{os.getpid()}',
            hosts=2,
            tls=tls,
            keepalive_seconds=_KEEPALIVE_SECONDS,
        )
    )
    atexit.register(_clear, found, folder)
    found.up()
    for name, (working_set, delay, filled) in _KINDS.items():
        path = found.directory / f'{name}.bin'
        path.write_bytes(guests.image(working_set, delay, filled))
    return found


def _clear(found: fleet.Lab, folder: pathlib.Path) -> None:
    found.down()
    shutil.rmtree(folder, ignore_errors=True)


class LibvirtGround(ground.Ground):
    """Two hosts with their libvirtd, and a driver for each.

    :param timing: how long its drivers wait for a libvirt
    """

    bandwidth_mib_s = 16

    def __init__(
        self,
        manage: ownership.Manage = ownership.BY_HAND,
        tls: bool = False,
        timing: connection.Timing = _TIMING,
    ) -> None:
        self.lab = lab(tls)
        self._timing = timing
        self.here, self.there = self.lab.hosts
        self._drivers: list[driver.LibvirtDriver] = []
        self.source = self._driver(self.here.uri, manage)
        self.destination = self._driver(self.there.uri, manage)
        self._handles = [libvirt.open(one.uri) for one in self.lab.hosts]
        self._guests: list[str] = []

    def close(self) -> None:
        """Destroy the guests wherever they are; the hosts stay."""
        for uid in self._guests:
            for handle in self._handles:
                with contextlib.suppress(libvirt.libvirtError):
                    handle.lookupByUUIDString(uid).destroy()
        for handle in self._handles:
            handle.close()
        for made in self._drivers:
            made.close()

    def unread(self) -> driver.LibvirtDriver:
        return self._driver(self.here.uri, ownership.BY_HAND)

    def calm(self) -> str:
        return self.start('calm')

    def busy(self) -> str:
        uid = self.start('busy')
        guests.wait_for_round(self.domain(uid))
        return uid

    def filled(self) -> str:
        """Start a calm one with as much memory to carry as a busy one."""
        uid = self.start('filled')
        guests.wait_for_round(self.domain(uid))
        return uid

    def outdated(self, uid: str, kind: str, host: int) -> list[int]:
        """Stop a guest for good, and list its pages that are not as it left.

        :param kind: what it was started as
        """
        domain = self.domain(uid, host)
        domain.suspend()
        working_set, _, filled = _KINDS[kind]

        def peek(at: int, size: int) -> bytes:
            read = domain.memoryPeek(at, size, libvirt.VIR_MEMORY_PHYSICAL)
            return bytes(read)

        return guests.outdated(peek, working_set, filled)

    def of_nova(self) -> str:
        return self.start('calm', metadata=guests.NOVA)

    def leave(
        self,
        wanted: request.Request,
        source: events.EndState,
        destination: events.EndState,
    ) -> None:
        """Leave copies as a crash does: what was saved is loaded again.

        A guest that is loaded and not let go on is paused as one that
        arrives is.
        """
        uid = wanted.instance
        image = str(self.lab.directory / f'{uid}.saved')
        domain = self.domain(uid)
        marking.write(domain, marks.of(wanted))
        domain.save(image)
        for handle, state in zip(
            self._handles, (source, destination), strict=True
        ):
            if state is events.EndState.ABSENT:
                continue
            running = state is events.EndState.RUNNING
            handle.restoreFlags(
                image,
                None,
                libvirt.VIR_DOMAIN_SAVE_RUNNING
                if running
                else libvirt.VIR_DOMAIN_SAVE_PAUSED,
            )

    def destination_uri(self) -> str:
        return self.there.uri

    def nowhere_uri(self) -> str:
        return f'qemu+tcp://{self.there.address}:1/system'

    def start(self, kind: str, **changes: Any) -> str:
        """Start a guest on the source, with changes to its definition."""
        uid, xml = guests.definition(
            self.lab.directory / f'{kind}.bin', **changes
        )
        self._guests.append(uid)
        self._handles[0].createXML(xml)
        return uid

    def with_disk(self, kind: str = 'calm', mib: int = 8) -> tuple[str, str]:
        """Start a guest with a disk that its host alone has.

        Both hosts get a storage pool for its directory, as an operator makes.

        :returns: its uuid, and the path of the disk
        """
        self.make_pools()
        path = f'{storage.IMAGES}/{uuid.uuid4()}.raw'
        self.here.run(
            ['dd', 'if=/dev/urandom', f'of={path}', 'bs=1M', f'count={mib}']
        )
        disk = f"""
            <disk type='file' device='disk'>
              <driver name='qemu' type='raw'/>
              <source file='{path}'/><target dev='vda' bus='virtio'/>
            </disk>"""
        return self.start(kind, devices=disk), path

    def has_image(self, path: str, host: int) -> bool:
        """Say whether a host has an image."""
        pool = self._handles[host].storagePoolLookupByName('images')
        pool.refresh()
        return pathlib.PurePosixPath(path).name in pool.listVolumes()

    def make_pools(
        self, name: str = 'images', path: pathlib.PurePath = storage.IMAGES
    ) -> None:
        """Have each host a storage pool for a directory of its own."""
        for handle in self._handles:
            if name not in handle.listStoragePools():
                handle.storagePoolCreateXML(
                    f"<pool type='dir'><name>{name}</name>"
                    f'<target><path>{path}</path></target></pool>',
                    libvirt.VIR_STORAGE_POOL_CREATE_WITH_BUILD,
                )

    def process(self, uid: str) -> int:
        """Return the process of a guest on the source."""
        path = '/run/libvirt/qemu'
        name = self.domain(uid).name()
        return int(self.here.run(['cat', f'{path}/{name}.pid']))

    def domain(self, uid: str, host: int = 0) -> libvirt.virDomain:
        """Return libvirt's own object of a guest, past the driver."""
        return self._handles[host].lookupByUUIDString(uid)

    def _driver(
        self, uri: str, manage: ownership.Manage
    ) -> driver.LibvirtDriver:
        made = driver.LibvirtDriver(
            driver.Params(
                uri=uri,
                manage=manage,
                timing=self._timing,
                poll_seconds=0.1,
            )
        )
        self._drivers.append(made)
        made.connect()
        return made
