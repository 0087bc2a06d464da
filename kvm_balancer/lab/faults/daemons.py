"""Daemons that die at once, and are started again."""

import signal
import typing

from kvm_balancer import errors
from kvm_balancer.lab import hosts
from kvm_balancer.lab import processes
from kvm_balancer.lab import services
from kvm_balancer.lab.faults import contract

End = typing.Literal['source', 'destination']


def end_of(scene: contract.Scene, end: End) -> hosts.Host:
    """Return one of the two hosts."""
    return scene.source if end == 'source' else scene.destination


def programs(scene: contract.Scene) -> services.Services:
    """Return agent and executors.

    :raises LabError: when the laboratory has none
    """
    if scene.lab.services is None:
        raise errors.LabError('this fault needs a lab with services')
    return scene.lab.services


class ExecutorKilled(contract.Fault):
    """The executor of one end dies."""

    def __init__(self, end: End) -> None:
        self._end = end
        self.name = f'{end}-executor-killed'
        self.title = f'The executor of the {end} is killed'

    def begin(self, scene: contract.Scene) -> None:
        end_of(scene, self._end).kill('executor')

    def heal(self, scene: contract.Scene) -> None:
        programs(scene).start_executor(end_of(scene, self._end))


class ExecutorRestarted(contract.Fault):
    """The executor of the source is stopped, and another one started."""

    name = 'source-executor-upgraded'
    title = 'The executor of the source is upgraded: stopped, and started anew'
    hold_seconds = (0.0, 1.0)

    def begin(self, scene: contract.Scene) -> None:
        scene.source.processes.stop('executor', wait_seconds=30.0)

    def heal(self, scene: contract.Scene) -> None:
        programs(scene).start_executor(scene.source)


class AgentKilled(contract.Fault):
    """The agent dies."""

    name = 'agent-killed'
    title = 'The agent is killed'

    def begin(self, scene: contract.Scene) -> None:
        programs(scene).processes.signal('agent', signal.SIGKILL)

    def heal(self, scene: contract.Scene) -> None:
        programs(scene).start_agent()


class LibvirtdKilled(contract.Fault):
    """The libvirtd of one end dies, or those of both."""

    def __init__(self, *ends: End) -> None:
        self._ends = ends
        if len(ends) == 1:
            self.name = f'{ends[0]}-libvirtd-killed'
            self.title = f'The libvirtd of the {ends[0]} is killed'
        else:
            self.name = 'both-libvirtd-killed'
            self.title = 'The libvirtd of both hosts are killed'

    def begin(self, scene: contract.Scene) -> None:
        for end in self._ends:
            end_of(scene, end).kill('libvirtd')

    def heal(self, scene: contract.Scene) -> None:
        for end in self._ends:
            end_of(scene, end).start_libvirtd()
        for end in self._ends:
            end_of(scene, end).wait()


class QemuKilled(contract.Fault):
    """The guest's QEMU of one end dies."""

    def __init__(self, end: End) -> None:
        self._end = end
        self.name = f'{end}-qemu-killed'
        self.title = f'The QEMU of the {end} is killed'
        self.fates = (
            contract.SOURCE_LOST
            if end == 'source'
            else contract.DESTINATION_LOST
        )

    def begin(self, scene: contract.Scene) -> None:
        for pid in qemu_of(scene, self._end):
            processes.kill(pid)


def qemu_of(scene: contract.Scene, end: End) -> list[int]:
    """Return the QEMU that one end has of the guest, if any."""
    return [
        pid
        for pid in processes.belonging(end_of(scene, end).directory)
        if processes.runs_with(pid, f'guest={scene.guest.name},')
    ]
