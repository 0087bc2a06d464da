"""What others do to the instance, or ask for, while it is on its way."""

import collections.abc
import contextlib

import libvirt

from kvm_balancer import errors
from kvm_balancer.lab import hosts
from kvm_balancer.lab.faults import contract
from kvm_balancer.lab.faults import qemu

_AT_ONCE = (0.0, 0.0)


class Cancelled(contract.Fault):
    """Someone cancels the migration."""

    name = 'cancelled'
    title = 'Someone cancels the migration'
    fates = contract.LIVES_THROUGHOUT
    hold_seconds = _AT_ONCE

    def begin(self, scene: contract.Scene) -> None:
        scene.cancel()


class ShutDown(contract.Fault):
    """Someone turns the guest off."""

    name = 'guest-shut-off'
    title = 'Someone turns the guest off'
    hold_seconds = _AT_ONCE
    fates = {
        contract.Phase.STORAGE: contract.Fate.ENDS,
        contract.Phase.PRE_COPY: contract.Fate.ENDS,
        contract.Phase.SWITCHOVER: contract.Fate.EITHER,
        # What the source still has is older than the disk.
        contract.Phase.POST_COPY: contract.Fate.BROKEN,
    }

    def begin(self, scene: contract.Scene) -> None:
        _order(
            scene,
            qemu.where_it_runs(scene) or scene.source,
            libvirt.virDomain.destroy,
        )


class Paused(contract.Fault):
    """Someone pauses the guest.

    Of one that comes in libvirt holds that back until it has arrived. Where
    it runs at the destination already, QEMU is told directly; where it stands
    still, it is paused once it has arrived.
    """

    name = 'guest-paused'
    title = 'Someone pauses the guest'
    hold_seconds = _AT_ONCE
    fates = dict.fromkeys(contract.NOTHING_LOST, contract.Fate.PAUSED)

    def begin(self, scene: contract.Scene) -> None:
        where = qemu.where_it_runs(scene)
        if where is scene.destination:
            qemu.tell(scene, where, 'stop')
        else:
            _order(
                scene,
                where or scene.destination,
                libvirt.virDomain.suspend,
            )
        if where is None:
            contract.see(
                lambda: qemu.status(scene, scene.destination) == 'paused',
                'it to be paused where it has arrived',
            )
        elif qemu.status(scene, where) == 'running':
            raise errors.LabError('it was paused, and runs on')
        elif not _is_under_way(scene):
            raise errors.LabError('it was paused, but when it had arrived')


class Rebooted(contract.Fault):
    """The guest reboots.

    As of itself: libvirt holds its own back while a guest migrates. Where it
    stands still it cannot, and is reset by libvirt once it has arrived.
    """

    name = 'guest-rebooted'
    title = 'The guest is rebooted'
    hold_seconds = _AT_ONCE
    reboots = True

    def begin(self, scene: contract.Scene) -> None:
        where = qemu.where_it_runs(scene)
        if where is None:
            _order(scene, scene.destination, libvirt.virDomain.reset)
        else:
            qemu.tell(scene, where, 'system_reset')


def _order(
    scene: contract.Scene,
    host: hosts.Host,
    act: collections.abc.Callable[[libvirt.virDomain], object],
) -> None:
    """Have the libvirt of an end do something with the guest.

    :raises LabError: when it refuses: who is refused has done nothing
    """
    with contextlib.closing(host.connect()) as connection:
        try:
            act(connection.lookupByUUIDString(scene.guest.uuid))
        except libvirt.libvirtError as error:
            raise errors.LabError(f'refused at {host.name}: {error}') from None


def _is_under_way(scene: contract.Scene) -> bool:
    """Say whether the source has a job that migrates the guest."""
    with contextlib.closing(scene.source.connect()) as connection:
        try:
            domain = connection.lookupByUUIDString(scene.guest.uuid)
            return bool(domain.jobInfo()[0] != libvirt.VIR_DOMAIN_JOB_NONE)
        except libvirt.libvirtError:
            return False


class AskedTwice(contract.Fault):
    """A second migration of the same instance is asked for."""

    hold_seconds = _AT_ONCE

    def __init__(self, from_destination: bool) -> None:
        self._from_destination = from_destination
        if from_destination:
            self.name = 'second-migration-from-destination'
            self.title = 'A second migration is asked for, from the other end'
            self._words = 'is not known to be over'
        else:
            self.name = 'second-migration'
            self.title = 'A second migration is asked for'
            self._words = ' already'

    def begin(self, scene: contract.Scene) -> None:
        ends = (scene.source, scene.destination)
        if self._from_destination:
            ends = (scene.destination, scene.source)
        try:
            scene.migrate(*ends)
        except errors.BusError as error:
            raise errors.LabError(f'nobody was asked: {error}') from None
        except errors.KVMBalancerError as error:
            # Refused, as it is to be, and for this. One that is accepted has
            # to fail.
            if self._words not in str(error):
                raise
