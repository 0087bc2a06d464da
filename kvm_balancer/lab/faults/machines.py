"""Hosts that are lost whole, and boot again."""

from kvm_balancer import errors
from kvm_balancer.lab import processes
from kvm_balancer.lab.faults import contract
from kvm_balancer.lab.faults import daemons


class HostLost(contract.Fault):
    """One host loses its power: its processes and its network are gone.

    What it kept on its disk is there when it boots again; what it kept in
    ``/run`` is not.

    :param for_long: it does not boot again before an outcome was told, which
        is unknown where nobody can know without it
    """

    def __init__(self, end: daemons.End, for_long: bool = False) -> None:
        self._end = end
        self.name = f'{end}-host-lost'
        self.title = f'The whole host of the {end} is lost, and boots again'
        if for_long:
            self.name += '-for-long'
            self.title += ' when nobody waits for it any more'
            self.until_told = True
        self.fates = (
            contract.SOURCE_LOST
            if end == 'source'
            else contract.DESTINATION_LOST
        )

    def begin(self, scene: contract.Scene) -> None:
        host = daemons.end_of(scene, self._end)
        # First, so that nobody hears how its connections are closed.
        host.cut_off()
        processes.kill_all(host.directory)
        host.down()
        if host.is_alive('holder'):
            raise errors.LabError(f'{host.name} still lives')

    def heal(self, scene: contract.Scene) -> None:
        host = daemons.end_of(scene, self._end)
        host.up()
        host.start_libvirtd()
        host.wait()
        daemons.programs(scene).start_executor(host)
