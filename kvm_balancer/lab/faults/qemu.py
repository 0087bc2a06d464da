"""What is asked of the guest's QEMU, and told to it, without libvirt."""

import contextlib
from typing import Any

from kvm_balancer import errors
from kvm_balancer.lab import hosts
from kvm_balancer.lab import monitor
from kvm_balancer.lab.faults import contract


def status(scene: contract.Scene, host: hosts.Host) -> str:
    """Return in what state an end is; empty where it has none."""
    told = _ask(scene, host, 'query-status')
    return str(told['status']) if told else ''


def where_it_runs(scene: contract.Scene) -> hosts.Host | None:
    """Return the host on which a copy runs, if any does."""
    for host in (scene.source, scene.destination):
        if status(scene, host) == 'running':
            return host
    return None


def copying(scene: contract.Scene) -> list[str]:
    """Return how far the copying of each disk is, at the source."""
    told = _ask(scene, scene.source, 'query-block-jobs') or ()
    return [job['status'] for job in told]


def tell(scene: contract.Scene, host: hosts.Host, command: str) -> None:
    """Have an end do something.

    :raises LabError: when it does not
    """
    if _ask(scene, host, command) is None:
        raise errors.LabError(f'the QEMU of {host.name} does not do {command}')


def _ask(scene: contract.Scene, host: hosts.Host, command: str) -> Any:
    """Return what an end says; None where there is none, or no answer."""
    path = host.runtime(monitor.HANDS.format(guest=scene.guest.name))
    with (
        contextlib.suppress(monitor.Gone, monitor.Silent),
        contextlib.closing(monitor.Monitor(path)) as asked,
    ):
        return asked.ask(command)
    return None
