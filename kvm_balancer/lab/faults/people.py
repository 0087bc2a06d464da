"""What others do to the instance, or ask for, while it is on its way."""

import contextlib

import libvirt

from kvm_balancer import errors
from kvm_balancer.lab import monitor
from kvm_balancer.lab.faults import contract

_AT_ONCE = (0.0, 0.0)


class Cancelled(contract.Fault):
    """Someone cancels the migration."""

    name = 'cancelled'
    title = 'Someone cancels the migration'
    hold_seconds = _AT_ONCE

    def begin(self, scene: contract.Scene) -> None:
        scene.cancel()


class _OnInstance(contract.Fault):
    """Something done to the copy that runs."""

    hold_seconds = _AT_ONCE

    def begin(self, scene: contract.Scene) -> None:
        for host in (scene.source, scene.destination):
            path = host.runtime(monitor.NAME.format(guest=scene.guest.name))
            asked = monitor.Monitor(path)
            with contextlib.closing(asked):
                try:
                    state = asked.ask('query-status')['status']
                except (monitor.Gone, monitor.Silent):
                    continue
                if state != 'running':
                    continue
                with (
                    contextlib.closing(host.connect()) as connection,
                    # Someone who is refused has done nothing.
                    contextlib.suppress(libvirt.libvirtError, monitor.Gone),
                ):
                    domain = connection.lookupByUUIDString(scene.guest.uuid)
                    self.act(domain, asked)
                return

    def act(self, domain: libvirt.virDomain, asked: monitor.Monitor) -> None:
        """Do it."""
        raise NotImplementedError


class ShutDown(_OnInstance):
    """Someone turns the guest off."""

    name = 'guest-shut-off'
    title = 'Someone turns the guest off'
    fates = dict.fromkeys(contract.Phase, contract.Fate.ENDS) | {
        contract.Phase.SWITCHOVER: contract.Fate.EITHER
    }

    def act(self, domain: libvirt.virDomain, asked: monitor.Monitor) -> None:
        domain.destroy()


class Paused(_OnInstance):
    """Someone pauses the guest."""

    name = 'guest-paused'
    title = 'Someone pauses the guest'
    fates = dict.fromkeys(contract.Phase, contract.Fate.PAUSED)

    def act(self, domain: libvirt.virDomain, asked: monitor.Monitor) -> None:
        domain.suspend()


class Rebooted(_OnInstance):
    """The guest reboots."""

    name = 'guest-rebooted'
    title = 'The guest is rebooted'
    reboots = True

    def act(self, domain: libvirt.virDomain, asked: monitor.Monitor) -> None:
        # As of itself: libvirt holds its own back while a guest migrates.
        asked.ask('system_reset')


class AskedTwice(contract.Fault):
    """A second migration of the same instance is asked for."""

    hold_seconds = _AT_ONCE

    def __init__(self, from_destination: bool) -> None:
        self._from_destination = from_destination
        if from_destination:
            self.name = 'second-migration-from-destination'
            self.title = 'A second migration is asked for, from the other end'
        else:
            self.name = 'second-migration'
            self.title = 'A second migration is asked for'

    def begin(self, scene: contract.Scene) -> None:
        ends = (scene.source, scene.destination)
        if self._from_destination:
            ends = (scene.destination, scene.source)
        with contextlib.suppress(errors.KVMBalancerError):
            scene.migrate(*ends)
