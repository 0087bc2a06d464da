"""Memory and disks that run out."""

import contextlib
import pathlib
import typing

from kvm_balancer import errors
from kvm_balancer.lab import hosts
from kvm_balancer.lab import processes
from kvm_balancer.lab import programs
from kvm_balancer.lab.faults import contract
from kvm_balancer.lab.faults import daemons

_MEMORY = pathlib.Path('/sys/fs/cgroup/memory')


class OutOfMemory(contract.Fault):
    """The destination's QEMU is given no more memory: the kernel ends it."""

    name = 'destination-out-of-memory'
    title = 'The destination runs out of memory'
    fates = contract.DESTINATION_LOST

    def begin(self, scene: contract.Scene) -> None:
        group = self._group(scene)
        group.mkdir()
        for pid in daemons.qemu_of(scene, 'destination'):
            with contextlib.suppress(ProcessLookupError):
                (group / 'cgroup.procs').write_text(str(pid))
        # Its pages stay on the account of the group that it came from: what
        # it may have from now on is next to nothing.
        (group / 'memory.limit_in_bytes').write_text(str(2**19))

    def heal(self, scene: contract.Scene) -> None:
        group = self._group(scene)
        if not group.exists():
            return
        for line in (group / 'cgroup.procs').read_text().split():
            if scene.chance.random() < 0.5:
                processes.kill(int(line))
                continue
            with contextlib.suppress(OSError):
                (_MEMORY / 'cgroup.procs').write_text(line)

    def clear(self, scene: contract.Scene) -> None:
        group = self._group(scene)
        if not group.exists():
            return
        for line in (group / 'cgroup.procs').read_text().split():
            with contextlib.suppress(OSError):
                (_MEMORY / 'cgroup.procs').write_text(line)
        group.rmdir()

    @staticmethod
    def _group(scene: contract.Scene) -> pathlib.Path:
        return _MEMORY / f'kvm-balancer-{scene.lab.description.name}'


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

    def begin(self, scene: contract.Scene) -> None:
        # No tmpfs is smaller than what is in it.
        self._resize(scene, 4096)

    def heal(self, scene: contract.Scene) -> None:
        self._resize(scene, hosts.STATE_BYTES)

    def _resize(self, scene: contract.Scene, size: int) -> None:
        host = daemons.end_of(scene, self._end)
        path = '/run' if self._what == 'run' else str(host.state)
        where = ['nsenter', '-t', str(host.holder), '-m']
        wanted = size
        while True:
            option = f'remount,size={wanted}'
            try:
                programs.run([*where, 'mount', '-o', option, path])
                return
            except errors.LabError:
                if wanted > hosts.STATE_BYTES:
                    raise
                wanted += 4096
