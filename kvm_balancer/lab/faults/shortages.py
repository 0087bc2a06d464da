"""Memory and disks that run out."""

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


What = typing.Literal['journal', 'run', 'images']


class DiskFull(contract.Fault):
    """A file system has no room left.

    :param what: the executor's journal, what libvirtd and QEMU keep, or the
        images of the host
    """

    def __init__(self, end: daemons.End, what: What) -> None:
        self._end = end
        self._what = what
        whose = {
            'journal': "the executor's journal",
            'run': 'libvirtd and QEMU',
            'images': 'the images',
        }[what]
        self.name = f'{end}-{what}-full'
        self.title = f'The disk of {whose} at the {end} is full'
        self.hold_seconds = (2.0, 6.0)
        if what == 'images':
            # Later all of it has its room there.
            self.fates = {contract.Phase.STORAGE: contract.Fate.LIVES}
        # What comes of it is what the executor has to write down.
        self.until_over = what == 'journal'

    def prepare(self, scene: contract.Scene) -> None:
        """Note how far the executor's log is.

        :raises LabError: when the disk is none that can be filled
        """
        self._run(scene, 'mountpoint', '-q', self._path(scene))
        self._told_before = len(self._told(scene))

    def begin(self, scene: contract.Scene) -> None:
        # No tmpfs is smaller than what is in it.
        self._resize(scene, self._used(scene))
        if self._has_room(scene):
            raise errors.LabError('there is still room on the disk')
        if self._what == 'images':
            contract.see(
                lambda: not qemu.copying(scene),
                'the copying of the disk to break',
            )

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

    def _has_room(self, scene: contract.Scene) -> bool:
        path = f'{self._path(scene)}/probe'
        try:
            self._run(scene, 'dd', 'if=/dev/zero', f'of={path}', 'bs=64k',
                      'count=1')  # fmt: skip
        except errors.LabError:
            return False
        finally:
            self._run(scene, 'rm', '-f', path)
        return True

    def _used(self, scene: contract.Scene) -> int:
        """Return how many bytes there are on the disk, and at least some."""
        host = daemons.end_of(scene, self._end)
        seen = os.statvfs(f'/proc/{host.holder}/root{self._path(scene)}')
        used = (seen.f_blocks - seen.f_bfree) * seen.f_frsize
        return max(4096, used)

    def _path(self, scene: contract.Scene) -> str:
        host = daemons.end_of(scene, self._end)
        return {
            'journal': str(host.state),
            'run': '/run',
            'images': str(storage.IMAGES),
        }[self._what]

    def _run(self, scene: contract.Scene, *argv: str) -> None:
        host = daemons.end_of(scene, self._end)
        programs.run(['nsenter', '-t', str(host.holder), '-m', *argv])

    def _resize(self, scene: contract.Scene, size: int) -> None:
        wanted = size
        while True:
            option = f'remount,size={wanted}'
            try:
                self._run(scene, 'mount', '-o', option, self._path(scene))
                return
            except errors.LabError:
                if wanted > hosts.STATE_BYTES:
                    raise
                wanted += 4096
