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

    fates = contract.LIVES_THROUGHOUT

    def __init__(self, end: End) -> None:
        self._end = end
        self.name = f'{end}-executor-killed'
        self.title = f'The executor of the {end} is killed'

    def begin(self, scene: contract.Scene) -> None:
        host = end_of(scene, self._end)
        host.kill('executor')
        contract.see(
            lambda: not host.is_alive('executor'), 'the executor to be dead'
        )

    def heal(self, scene: contract.Scene) -> None:
        programs(scene).start_executor(end_of(scene, self._end))


class AgentKilled(contract.Fault):
    """The agent dies."""

    name = 'agent-killed'
    title = 'The agent is killed'

    def begin(self, scene: contract.Scene) -> None:
        started = programs(scene).processes
        started.signal('agent', signal.SIGKILL)
        contract.see(
            lambda: not started.is_alive('agent'), 'the agent to be dead'
        )

    def heal(self, scene: contract.Scene) -> None:
        programs(scene).start_agent()


class LibvirtdKilled(contract.Fault):
    """The libvirtd of one end dies, or those of both."""

    def __init__(self, *ends: End) -> None:
        self._ends = ends
        if len(ends) == 1:
            self.name = f'{ends[0]}-libvirtd-killed'
            self.title = f'The libvirtd of the {ends[0]} is killed'
            self.fates = (
                contract.LIVES_THROUGHOUT
                if ends[0] == 'source'
                else contract.ANSWER_LOST
            )
        else:
            self.name = 'both-libvirtd-killed'
            self.title = 'The libvirtd of both hosts are killed'
            self.fates = contract.ALL_FORGOTTEN

    def begin(self, scene: contract.Scene) -> None:
        struck = [end_of(scene, end) for end in self._ends]
        for host in struck:
            host.kill('libvirtd')
        contract.see(
            lambda: not any(host.is_alive() for host in struck),
            'libvirtd to be dead',
        )

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
        there = qemu_of(scene, self._end)
        if not there:
            raise errors.LabError(f'the {self._end} has no QEMU of it')
        for pid in there:
            processes.kill(pid)


def qemu_of(scene: contract.Scene, end: End) -> list[int]:
    """Return the QEMU that one end has of the guest, if any."""
    return [
        pid
        for pid in processes.belonging(end_of(scene, end).directory)
        if processes.runs_with(pid, f'guest={scene.guest.name},')
    ]
