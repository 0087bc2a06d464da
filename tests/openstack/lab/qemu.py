"""Computes that are hosts of their own, with QEMU's guests.

Nova's own, unmodified libvirt driver on the hosts of the project's own
laboratory: each has namespaces, a libvirtd and a cable of its own. Disks are
on their host alone, so that they are copied along. CPUs are emulated.
"""

import collections.abc
import contextlib
import os
import pathlib

import libvirt
import msgspec

from kvm_balancer import errors
from kvm_balancer.lab import description
from kvm_balancer.lab import fleet
from kvm_balancer.lab import hosts as lab_hosts
from kvm_balancer.lab import processes
from tests.openstack.lab import computes

#: nova-compute is root already: its helpers need neither sudo nor rootwrap.
_PRIVILEGED = (
    'nova_sys_admin',
    'privsep_osbrick',
    'vif_plug_ovs_privileged',
    'vif_plug_linux_bridge_privileged',
)


class Qemu(computes.Computes):
    """The hosts of a fleet without guests or services of its own.

    :param directory: of the laboratory; the fleet is kept below it
    :param hosts: their names
    :param libvirt_options: of Nova's ``[libvirt]``, besides those it needs
    """

    def __init__(
        self,
        directory: pathlib.Path,
        hosts: tuple[str, ...],
        libvirt_options: collections.abc.Mapping[str, object],
    ) -> None:
        self._directory = directory
        self._options = libvirt_options
        self.hosts = hosts
        # The name makes names of interfaces, and the network.
        made = description.describe(
            fleet_of(directory), f'n{os.getpid()}', len(hosts)
        )
        named = tuple(
            msgspec.structs.replace(one, name=name)
            for one, name in zip(made.hosts, hosts, strict=True)
        )
        self.fleet = fleet.Lab(msgspec.structs.replace(made, hosts=named))
        self.address = made.address

    def up(self) -> None:
        self.fleet.up()
        # A disk has one path wherever it is: Nova wants it that way. What is
        # there is each host's own.
        path = self._directory / 'instances'
        path.mkdir()
        for name in self.hosts:
            own = self._instances(name)
            own.mkdir(parents=True)
            self.host(name).run(['mount', '--bind', str(own), str(path)])

    def down(self) -> None:
        self.fleet.down()

    def host(self, name: str) -> lab_hosts.Host:
        """Return a host, to be limited or looked into."""
        return self.fleet.host(name)

    def settings(self, host: str, programs: pathlib.Path) -> computes.Settings:
        there = self.host(host)
        etc = self._directory / 'etc'
        helper: dict[str, object] = {
            'helper_command': ' '.join(
                [
                    str(programs / 'privsep-helper'),
                    *(
                        f'--config-file={etc / name}'
                        for name in ('nova.conf', f'{host}.conf')
                    ),
                ]
            )
        }
        return {
            'DEFAULT': {
                'compute_driver': 'libvirt.LibvirtDriver',
                'instances_path': self._directory / 'instances',
                'my_ip': there.address,
            },
            'libvirt': {
                'virt_type': 'qemu',
                'cpu_mode': 'none',
                # A copy-on-write image would have Nova look for a table of
                # partitions in its base, where the guest has its code.
                'images_type': 'raw',
                'live_migration_scheme': 'tcp',
                'live_migration_permit_post_copy': True,
                'live_migration_inbound_addr': there.address,
                **self._options,
            },
            **dict.fromkeys(_PRIVILEGED, helper),
        }

    def start(
        self, host: str, programs: pathlib.Path, options: computes.Program
    ) -> None:
        self.host(host).start(
            self.name(host), [str(programs / 'nova-compute'), *options]
        )

    def daemons(self, host: str) -> processes.Processes:
        return self.host(host).processes

    def name(self, host: str) -> str:
        return 'nova-compute'

    def guests(self, host: str) -> frozenset[str]:
        with contextlib.closing(self.host(host).connect()) as connection:
            return frozenset(
                one.UUIDString()
                for one in connection.listAllDomains(
                    libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE
                )
            )

    def console(self, uid: str) -> pathlib.Path | None:
        """Return what a server writes on its serial port, where it runs."""
        for host in self.hosts:
            if uid in self.guests(host):
                return self._instances(host) / uid / 'console.log'
        return None

    def _instances(self, host: str) -> pathlib.Path:
        return self._directory / 'state' / host / 'instances'


def fleet_of(directory: pathlib.Path) -> pathlib.Path:
    """Return where the fleet of a laboratory is."""
    return directory / 'fleet'


def clear(directory: pathlib.Path) -> None:
    """Take away the fleet of a laboratory that another process has made."""
    with contextlib.suppress(errors.LabError):
        fleet.Lab.find(fleet_of(directory)).down()
