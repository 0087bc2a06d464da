"""Memory and disks that run out."""

import typing

from kvm_balancer import errors
from kvm_balancer.lab import hosts
from kvm_balancer.lab import memory_group
from kvm_balancer.lab import processes
from kvm_balancer.lab import programs
from kvm_balancer.lab.faults import contract
from kvm_balancer.lab.faults import daemons

#: SQLite's words.
_FULL = 'disk is full'


class OutOfMemory(contract.Fault):
    """The destination's QEMU is given no more memory: the kernel ends it."""

    name = 'destination-out-of-memory'
    title = 'The destination runs out of memory'
    fates = contract.DESTINATION_LOST

    def begin(self, scene: contract.Scene) -> None:
        group = self._group(scene)
        there = daemons.qemu_of(scene, 'destination')
        if not there:
            raise errors.LabError('the destination has no QEMU of it')
        group.make()
        for pid in there:
            group.take(pid)
        # What it has already stays on the account of the group that it came
        # from: what it may have from now on is next to nothing.
        group.limit(2**19)
        contract.see(group.was_short, 'the destination to want memory')
        # Some that run out are ended; the others get their memory in time.
        if scene.chance.random() < 0.5:
            for pid in group.members():
                processes.kill(pid)

    def heal(self, scene: contract.Scene) -> None:
        self._group(scene).remove()

    def clear(self, scene: contract.Scene) -> None:
        self._group(scene).remove()

    @staticmethod
    def _group(scene: contract.Scene) -> memory_group.MemoryGroup:
        return memory_group.MemoryGroup(
            f'kvm-balancer-{scene.lab.description.name}'
        )


class DiskFull(contract.Fault):
    """A file system has no room left.

    :param what: the executor's journal, or what libvirtd and QEMU keep
    """

    def __init__(
        self, end: daemons.End, what: typing.Literal['journal', 'run']
    ) -> None:
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
        """Note how far the executor's log is."""
        self._told_before = len(self._told(scene))

    def begin(self, scene: contract.Scene) -> None:
        # No tmpfs is smaller than what is in it.
        self._resize(scene, 4096)
        if self._has_room(scene):
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

    def _path(self, scene: contract.Scene) -> str:
        host = daemons.end_of(scene, self._end)
        return '/run' if self._what == 'run' else str(host.state)

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
