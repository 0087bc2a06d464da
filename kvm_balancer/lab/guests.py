"""A guest: its domain, and how its load is changed while it runs."""

import contextlib
import pathlib
import socket
import xml.sax.saxutils

import libvirt

from kvm_balancer import errors
from kvm_balancer.lab import bootsector
from kvm_balancer.lab import description
from kvm_balancer.lab import emulation
from kvm_balancer.lab import hosts
from kvm_balancer.lab import monitor
from kvm_balancer.lab import network
from kvm_balancer.lab import processes
from kvm_balancer.lab import storage
from kvm_balancer.lab import waiting

#: Of each host, as it sees it itself.
_RUNTIME = '/run/kvm-balancer-lab'

_DOMAIN = """\
<domain type='{kind}'{namespace}>
  <name>{guest.name}</name>
  <uuid>{guest.uuid}</uuid>
  <metadata>
    <kvm_balancer:instance
        xmlns:kvm_balancer='https://kvm-balancer.org/xmlns/1'>
      <kvm_balancer:manage>true</kvm_balancer:manage>
    </kvm_balancer:instance>
  </metadata>
  <memory unit='MiB'>{guest.memory_mib}</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type><boot dev='hd'/></os>
  <features><acpi/></features>
  <devices>
    <controller type='usb' model='none'/>
    {disk}
{card}    <serial type='file'>
      <source path='{log}' append='on'/>
      <target port='0'/>
    </serial>
    <serial type='unix'>
      <source mode='bind' path='{runtime}/{guest.name}.sock'/>
      <target port='1'/>
    </serial>
    <video><model type='none'/></video>
  </devices>
{command_line}</domain>
"""

_NAMESPACE = " xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'"
_COMMAND_LINE = """\
  <qemu:commandline>
{arguments}  </qemu:commandline>
"""
_ARGUMENT = "    <qemu:arg value='{}'/>\n"

_CARD = """\
    <interface type='bridge'>
      <mac address='{mac}'/>
      <source bridge='{bridge}'/>
      <model type='e1000'/>
      <rom enabled='no'/>
    </interface>
"""


class Guest:
    """One guest of a laboratory.

    :param lab: the laboratory, whose bridge is up
    :param guest: this guest's part of it
    """

    def __init__(self, lab: description.Lab, guest: description.Guest) -> None:
        self.lab = lab
        self.name = guest.name
        self.uuid = guest.uuid
        self.description = guest

    @property
    def log(self) -> pathlib.Path:
        """What it writes on its first serial port, on whichever host."""
        return storage.folder(self.lab, self.name) / 'serial.log'

    @property
    def disk(self) -> pathlib.Path:
        """What its disk is kept in, where it is served."""
        return storage.disk(self.lab, self.name)

    def disk_at(self, host: hosts.Host) -> pathlib.Path:
        """What its disk is kept in while it is on *host*."""
        if self.description.local_disk:
            return storage.raw_disk(host.images, self.name)
        return self.disk

    def start(self, host: hosts.Host) -> None:
        """Make or serve its disk, and start it on *host*.

        :raises LabError: when libvirt refuses
        """
        guest = self.description
        wanted = bootsector.values(guest.load, self.lab.turns_per_core)
        content = bootsector.program(wanted, guest.writes_disk)
        if guest.local_disk:
            storage.make_raw(host.images, guest.name, content)
            self.log.parent.mkdir(parents=True, exist_ok=True)
        else:
            storage.serve(self.lab, guest, content)
        with contextlib.closing(host.connect()) as connection:
            try:
                connection.defineXML(self.xml()).create()
            except libvirt.libvirtError as error:
                raise errors.LabError(
                    f'{self.name} on {host.name}: {error}'
                ) from None

    def remove(self, host: hosts.Host) -> None:
        """End it on *host* and forget it there, if it is there.

        :raises LabError: when libvirt refuses
        """
        refused = ''
        with contextlib.closing(host.connect()) as connection:
            # It may end by itself meanwhile; one that has no definition is
            # gone when it has.
            for step in (
                libvirt.virDomain.destroy,
                libvirt.virDomain.undefine,
            ):
                try:
                    step(connection.lookupByUUIDString(self.uuid))
                except libvirt.libvirtError as error:
                    refused = str(error)
            try:
                connection.lookupByUUIDString(self.uuid)
            except libvirt.libvirtError as error:
                if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
                    self._forget_disk(host)
                    return
                refused = str(error)
        raise errors.LabError(f'{self.name} on {host.name}: {refused}')

    def _forget_disk(self, host: hosts.Host) -> None:
        if self.description.local_disk:
            self.disk_at(host).unlink(missing_ok=True)

    def xml(self) -> str:
        """Return its domain, for libvirt."""
        guest = self.description
        told = self._arguments()
        return _DOMAIN.format(
            kind=self.lab.virtualisation,
            guest=guest,
            disk=storage.local_xml(self.lab, guest, raw=True)
            if guest.local_disk
            else storage.network_xml(self.lab, guest, ide=guest.writes_disk),
            card=_CARD.format(mac=guest.mac, bridge=network.BRIDGE)
            if guest.mac
            else '',
            log=xml.sax.saxutils.escape(str(self.log), {"'": '&apos;'}),
            runtime=_RUNTIME,
            namespace=_NAMESPACE if told else '',
            command_line=_COMMAND_LINE.format(
                arguments=''.join(map(_ARGUMENT.format, told))
            )
            if told
            else '',
        )

    def _arguments(self) -> tuple[str, ...]:
        """Return what its QEMU is told, and libvirt has no word for."""
        guest = self.description
        told: tuple[str, ...] = ()
        if guest.monitored:
            told += monitor.arguments(_RUNTIME, guest.name)
        if guest.exact and self.lab.virtualisation == 'qemu':
            told += emulation.arguments(guest.memory_mib)
        return told

    def report(self) -> bootsector.Report:
        """Return what it has told so far."""
        try:
            return bootsector.read(self.log.read_text(errors='replace'))
        except FileNotFoundError:
            return bootsector.Report()

    def wait_for_rounds(
        self, more: int = 1, seconds: float = waiting.PATIENCE_SECONDS
    ) -> None:
        """Wait until it has ended *more* rounds than now.

        :raises LabError: when it does not
        """
        wanted = self.report().rounds + more
        waiting.until(
            lambda: self.report().rounds >= wanted,
            f'{self.name} to come to round {wanted}',
            seconds,
            said=lambda: processes.last_line(self.log),
        )

    def set_load(self, host: hosts.Host, load: bootsector.Load) -> None:
        """Give it another load; it runs on *host*.

        :raises LabError: when it does not take it
        """
        load.check(self.description.memory_mib)
        wanted = bootsector.values(load, self.lab.turns_per_core)
        before = self.report().settings
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                connection.connect(str(host.runtime(f'{self.name}.sock')))
                connection.sendall(bootsector.commands(wanted))
            except OSError as error:
                raise errors.LabError(
                    f'{self.name} does not run on {host.name}: {error}'
                ) from None
            # Only now may the connection close: QEMU forgets what it has not
            # read yet of one that is closed.
            waiting.until(
                lambda: self.report().settings >= before + len(wanted),
                f'{self.name} to take its new load',
                said=lambda: processes.last_line(self.log),
            )
