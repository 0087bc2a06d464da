"""Networks that are cut, for long or not, in whole or in part."""

from kvm_balancer import errors
from kvm_balancer.lab import description
from kvm_balancer.lab import hosts
from kvm_balancer.lab import network
from kvm_balancer.lab import programs
from kvm_balancer.lab.faults import contract
from kvm_balancer.lab.faults import daemons

#: Where QEMU listens for memory and disks.
STREAM_PORTS = '49152:49215'

#: Longer than the 6 s after which a libvirt that asks every second, and five
#: times, gives a silent peer up.
_LONG_SECONDS = (7.0, 12.0)


class MigrationNetworkCut(contract.Fault):
    """The streams of memory are cut; libvirt and the bus answer."""

    name = 'migration-network-cut'
    title = 'The migration network is cut, the management network is not'
    hold_seconds = _LONG_SECONDS

    def begin(self, scene: contract.Scene) -> None:
        network.block(scene.source.holder, STREAM_PORTS)
        _see_dropped(scene.source)

    def heal(self, scene: contract.Scene) -> None:
        network.unblock(scene.source.holder)


class ManagementNetworkCut(contract.Fault):
    """libvirt and the bus are cut off at one end; the memory still flows."""

    fates = contract.ANSWER_LOST

    def __init__(self, end: daemons.End) -> None:
        self._end = end
        self.name = f'{end}-management-network-cut'
        self.title = (
            f'The management network of the {end} is cut, the migration '
            'network is not'
        )
        self.hold_seconds = _LONG_SECONDS

    def begin(self, scene: contract.Scene) -> None:
        host = daemons.end_of(scene, self._end)
        network.block_all_but(
            host.holder, STREAM_PORTS, description.storage_ports()
        )
        _see_dropped(host)

    def heal(self, scene: contract.Scene) -> None:
        network.unblock(daemons.end_of(scene, self._end).holder)


class CableCut(contract.Fault):
    """All networks of the destination are cut.

    :param brief: for less than the keepalive takes to notice
    """

    def __init__(self, brief: bool) -> None:
        self.name = 'network-cut-briefly' if brief else 'network-cut'
        self.title = (
            'All networks are cut, and mended before the keepalive notices'
            if brief
            else 'All networks are cut for longer than the keepalive'
        )
        self.hold_seconds = (0.5, 2.5) if brief else _LONG_SECONDS
        self.fates = (
            contract.LIVES_THROUGHOUT if brief else contract.ANSWER_LOST
        )

    def begin(self, scene: contract.Scene) -> None:
        scene.destination.cut_off()
        contract.see(
            lambda: not scene.destination.has_carrier(), 'the cable to be cut'
        )

    def heal(self, scene: contract.Scene) -> None:
        scene.destination.plug_in()


class ConnectionReset(contract.Fault):
    """The stream of memory is reset."""

    name = 'connection-reset'
    title = "The migration's connection is reset"
    hold_seconds = (0.0, 0.0)

    def begin(self, scene: contract.Scene) -> None:
        first = STREAM_PORTS.partition(':')[0]
        there = scene.destination.address
        inside = ['nsenter', '-t', str(scene.source.holder), '-n']
        wanted = ['dst', there, 'dport', 'ge', first]
        # It lists what it has reset.
        if there not in programs.run([*inside, 'ss', '-H', '-K', *wanted]):
            raise errors.LabError('there was no connection to reset')


def _see_dropped(host: hosts.Host) -> None:
    """See that something was held up: what has nothing to say is not cut."""
    contract.see(
        lambda: network.dropped(host.holder) > 0,
        f'the filter of {host.name} to drop something',
    )
