"""Memory and disks that run out."""

import contextlib
import os
import typing

from kvm_balancer import errors
from kvm_balancer.lab import hosts
from kvm_balancer.lab import memory_group
from kvm_balancer.lab import programs
from kvm_balancer.lab import storage
from kvm_balancer.lab.faults import contract
from kvm_balancer.lab.faults import daemons
from kvm_balancer.lab.faults import qemu

#: SQLite's words.
_FULL = 'disk is full'

#: Less than any QEMU has.
_GROUP_BYTES = 16 * 2**20


class OutOfMemory(contract.Fault):
    """The kernel ends the destination's QEMU, to free memory.

    What it has stays on the account of the group that it came from; so
    another process in its new group wants all that there is, and QEMU is the
    largest in it. The kernel chooses, and ends it.
    """

    name = 'destination-out-of-memory'
    title = 'The destination runs out of memory, and the kernel ends its QEMU'
    fates = {
        phase: fate
        for phase, fate in contract.DESTINATION_LOST.items()
        if phase in contract.NOTHING_LOST
    }

    def begin(self, scene: contract.Scene) -> None:
        group = self._group(scene)
        there = daemons.qemu_of(scene, 'destination')
        if not there:
            raise errors.LabError('the destination has no QEMU of it')
        group.make()
        group.limit(_GROUP_BYTES)
        for pid in there:
            group.take(pid)
        group.want_more()
        contract.see(
            lambda: not daemons.qemu_of(scene, 'destination'),
            'the kernel to end the QEMU of the destination',
        )
        if not group.kills():
            raise errors.LabError('it was not the kernel that ended it')

    def heal(self, scene: contract.Scene) -> None:
        self._group(scene).remove()

    def clear(self, scene: contract.Scene) -> None:
        self._group(scene).remove()

    @staticmethod
    def _group(scene: contract.Scene) -> memory_group.MemoryGroup:
        return memory_group.MemoryGroup(
            f'kvm-balancer-{scene.lab.description.name}'
        )


def _run(scene: contract.Scene, end: daemons.End, *argv: str) -> None:
    """Run a command where an end sees its own disks."""
    host = daemons.end_of(scene, end)
    programs.run(['nsenter', '-t', str(host.holder), '-m', *argv])


def _has_room(scene: contract.Scene, end: daemons.End, place: str) -> bool:
    path = f'{place}/probe'
    try:
        _run(scene, end, 'dd', 'if=/dev/zero', f'of={path}', 'bs=64k',
             'count=1')  # fmt: skip
    except errors.LabError:
        return False
    finally:
        _run(scene, end, 'rm', '-f', path)
    return True


What = typing.Literal['journal', 'run']


class DiskFull(contract.Fault):
    """A file system in memory has no room left.

    :param what: the executor's journal, or what libvirtd and QEMU keep
    """

    def __init__(self, end: daemons.End, what: What) -> None:
        self._end = end
        self._what = what
        whose = {
            'journal': "the executor's journal",
            'run': 'libvirtd and QEMU',
        }[what]
        self.name = f'{end}-{what}-full'
        self.title = f'The disk of {whose} at the {end} is full'
        self.hold_seconds = (2.0, 6.0)
        # What comes of it is what the executor has to write down.
        self.until_over = what == 'journal'

    def prepare(self, scene: contract.Scene) -> None:
        """Note how far the executor's log is.

        :raises LabError: when the disk is none that can be filled
        """
        _run(scene, self._end, 'mountpoint', '-q', self._path(scene))
        self._told_before = len(self._told(scene))

    def begin(self, scene: contract.Scene) -> None:
        # No tmpfs is smaller than what is in it.
        self._resize(scene, self._used(scene))
        if _has_room(scene, self._end, self._path(scene)):
            raise errors.LabError('there is still room on the disk')

    def heal(self, scene: contract.Scene) -> None:
        try:
            if (self._what, self._end) == ('journal', 'source'):
                # It had to write down how the migration ended.
                contract.see(
                    lambda: _FULL in self._told(scene)[self._told_before :],
                    'the executor to find its disk full',
                )
        finally:
            self._resize(scene, hosts.STATE_BYTES)

    def _told(self, scene: contract.Scene) -> str:
        host = daemons.end_of(scene, self._end)
        return host.processes.log('executor').read_text(errors='replace')

    def _used(self, scene: contract.Scene) -> int:
        """Return how many bytes there are on the disk, and at least some."""
        host = daemons.end_of(scene, self._end)
        seen = os.statvfs(f'/proc/{host.holder}/root{self._path(scene)}')
        used = (seen.f_blocks - seen.f_bfree) * seen.f_frsize
        return max(4096, used)

    def _path(self, scene: contract.Scene) -> str:
        host = daemons.end_of(scene, self._end)
        return {'journal': str(host.state), 'run': '/run'}[self._what]

    def _resize(self, scene: contract.Scene, size: int) -> None:
        wanted = size
        while True:
            option = f'remount,size={wanted}'
            try:
                _run(
                    scene, self._end, 'mount', '-o', option, self._path(scene)
                )
                return
            except errors.LabError:
                if wanted > hosts.STATE_BYTES:
                    raise
                wanted += 4096


class ImagesFull(contract.Fault):
    """The disk with the images of the destination has no room left.

    One of its own: later than while it is copied, all of an image has its room
    there.
    """

    name = 'destination-images-full'
    title = 'The disk of the images at the destination is full'
    fates = {contract.Phase.STORAGE: contract.Fate.LIVES}
    hold_seconds = (2.0, 6.0)

    _filler = str(storage.IMAGES / 'filler')

    def prepare(self, scene: contract.Scene) -> None:
        """See that there is a disk that can be filled.

        :raises LabError: when there is none
        """
        _run(scene, 'destination', 'mountpoint', '-q', str(storage.IMAGES))

    def begin(self, scene: contract.Scene) -> None:
        with contextlib.suppress(errors.LabError):
            # It writes until there is no room left, and fails for that.
            _run(scene, 'destination', 'dd', 'if=/dev/zero',
                 f'of={self._filler}', 'bs=64k')  # fmt: skip
        if _has_room(scene, 'destination', str(storage.IMAGES)):
            raise errors.LabError('there is still room on the disk')
        contract.see(
            lambda: not qemu.copying(scene), 'the copying of the disk to break'
        )

    def heal(self, scene: contract.Scene) -> None:
        _run(scene, 'destination', 'rm', '-f', self._filler)
