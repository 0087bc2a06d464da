"""What others do to the instance, or ask for, while it is on its way."""

import contextlib

import libvirt

from kvm_balancer import errors
from kvm_balancer.lab import hosts
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
    """Something done to the copy that runs, or is about to be sent."""

    hold_seconds = _AT_ONCE

    def begin(self, scene: contract.Scene) -> None:
        host = _where_it_runs(scene)
        path = host.runtime(monitor.HANDS.format(guest=scene.guest.name))
        with (
            contextlib.closing(host.connect()) as connection,
            contextlib.closing(monitor.Monitor(path)) as asked,
        ):
            try:
                domain = connection.lookupByUUIDString(scene.guest.uuid)
                self.act(domain, asked)
            except (
                libvirt.libvirtError,
                monitor.Gone,
                monitor.Silent,
            ) as error:
                # Someone who is refused has done nothing.
                raise errors.LabError(
                    f'refused at {host.name}: {error}'
                ) from None

    def act(self, domain: libvirt.virDomain, asked: monitor.Monitor) -> None:
        """Do it."""
        raise NotImplementedError


def _where_it_runs(scene: contract.Scene) -> hosts.Host:
    """Return the host on which a copy runs; the source, where none does."""
    for host in (scene.source, scene.destination):
        path = host.runtime(monitor.HANDS.format(guest=scene.guest.name))
        with (
            contextlib.suppress(monitor.Gone, monitor.Silent),
            contextlib.closing(monitor.Monitor(path)) as asked,
        ):
            if asked.ask('query-status')['status'] == 'running':
                return host
    return scene.source


class ShutDown(_OnInstance):
    """Someone turns the guest off."""

    name = 'guest-shut-off'
    title = 'Someone turns the guest off'
    fates = {
        contract.Phase.STORAGE: contract.Fate.ENDS,
        contract.Phase.PRE_COPY: contract.Fate.ENDS,
        contract.Phase.SWITCHOVER: contract.Fate.EITHER,
        # What the source still has is older than the disk.
        contract.Phase.POST_COPY: contract.Fate.BROKEN,
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
        try:
            scene.migrate(*ends)
        except errors.BusError as error:
            raise errors.LabError(f'nobody was asked: {error}') from None
        except errors.KVMBalancerError:
            # Refused, as it is to be. One that is accepted has to fail.
            return
