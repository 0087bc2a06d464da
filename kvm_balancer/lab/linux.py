"""A Linux guest: the distribution's kernel, with devices as real ones have.

It has a network card on its host's bridge, a disk, random numbers and two
serial ports, and watches all of them itself (see :mod:`.watches`); so it
shows what the memory-checking guest cannot: that a migration keeps disk,
clock, timers and network. Of a second card it knows nothing: nobody but QEMU
ever sends a frame of that one.
"""

import collections.abc
import contextlib
import pathlib
import shutil
import socket
import xml.sax.saxutils

import libvirt

from kvm_balancer import errors
from kvm_balancer.lab import description
from kvm_balancer.lab import hosts
from kvm_balancer.lab import initramfs
from kvm_balancer.lab import kernel
from kvm_balancer.lab import network
from kvm_balancer.lab import processes
from kvm_balancer.lab import storage
from kvm_balancer.lab import waiting
from kvm_balancer.lab import watches

_INIT = pathlib.Path(__file__).with_name('linux-init.sh')
_BUSYBOX = '/bin/busybox'
_COMMANDS = (
    'cat',
    'dd',
    'hexdump',
    'insmod',
    'ip',
    'md5sum',
    'mkfifo',
    'mount',
    'sh',
    'sleep',
    'stty',
)
_FOLDERS = ('bin', 'dev', 'modules', 'proc', 'run', 'sys')
_MODULES = ('virtio_pci', 'virtio_net', 'virtio_blk', 'virtio_rng')

#: Without moving itself about and testing its ciphers, the kernel is up in
#: half the time under emulation. On a machine that gives the guest little
#: time it would find its timer broken, and not boot, or itself stuck.
_COMMAND_LINE = (
    'console=ttyS0 quiet rdinit=/init panic=-1 nokaslr cryptomgr.notests '
    'mitigations=off no_timer_check nowatchdog '
    'rcupdate.rcu_cpu_stall_suppress=1 lab.address={address}'
)

_DOMAIN = """\
<domain type='{kind}'>
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
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <kernel>{folder}/vmlinuz</kernel>
    <initrd>{folder}/initramfs</initrd>
    <cmdline>{command_line}</cmdline>
  </os>
  <features><acpi/></features>
  <on_reboot>destroy</on_reboot>
  <devices>
    <controller type='usb' model='none'/>
    {disk}
    <interface type='bridge'>
      <mac address='{guest.mac}'/>
      <source bridge='{bridge}'/>
      <model type='virtio'/>
      <rom enabled='no'/>
    </interface>
    <interface type='bridge'>
      <mac address='{guest.silent_mac}'/>
      <source bridge='{bridge}'/>
      <model type='e1000'/>
      <rom enabled='no'/>
    </interface>
    <rng model='virtio'>
      <backend model='random'>/dev/urandom</backend>
    </rng>
    <serial type='file'>
      <source path='{log}' append='on'/>
      <target port='0'/>
    </serial>
    <serial type='unix'>
      <source mode='bind' path='/run/kvm-balancer-lab/{guest.name}.sock'/>
      <target port='1'/>
    </serial>
    <video><model type='none'/></video>
  </devices>
</domain>
"""


def prepare(lab: description.Lab) -> None:
    """Put kernel and initial file system where the guests find them.

    :raises LabError: when the machine has no kernel or busybox to give
    """
    found = kernel.find()
    if found is None:
        raise errors.LabError('this machine has no Linux kernel in /boot')
    folder = _folder(lab)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(found.image, folder / 'vmlinuz')
    content = initramfs.archive(_files(found))
    (folder / 'initramfs').write_bytes(content)


def _files(found: kernel.Kernel) -> list[initramfs.Entry]:
    modules = kernel.read_modules(found, _MODULES)
    order = '\n'.join(name for name, _ in modules)
    try:
        busybox = pathlib.Path(_BUSYBOX).read_bytes()
    except OSError as error:
        raise errors.LabError(f'busybox: {error}') from None
    return [
        *(initramfs.directory(name) for name in _FOLDERS),
        initramfs.terminal('dev/console', 5, 1),
        initramfs.program('bin/busybox', busybox),
        *(initramfs.link(f'bin/{name}', 'busybox') for name in _COMMANDS),
        *(
            initramfs.program(f'modules/{name}', content)
            for name, content in modules
        ),
        initramfs.program('modules/order', order.encode()),
        initramfs.program('init', _INIT.read_bytes()),
    ]


def _folder(lab: description.Lab) -> pathlib.Path:
    return lab.path / 'linux'


class LinuxGuest:
    """One Linux guest of a laboratory.

    :param lab: the laboratory, whose bridge is up
    :param guest: this guest's part of it
    """

    def __init__(
        self, lab: description.Lab, guest: description.LinuxGuest
    ) -> None:
        self.lab = lab
        self.name = guest.name
        self.uuid = guest.uuid
        self.mac = guest.mac
        self.silent_mac = guest.silent_mac
        self.address = guest.address
        self.description = guest

    @property
    def log(self) -> pathlib.Path:
        """What it writes on its first serial port, on whichever host."""
        return storage.folder(self.lab, self.name) / 'serial.log'

    def start(self, host: hosts.Host) -> None:
        """Make its disk and start it on *host*; it boots for seconds.

        :raises LabError: when libvirt refuses
        """
        if self.description.local_disk:
            self.make_local_disk(host)
        else:
            storage.serve(self.lab, self.description, b'')
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(host.connect()) as connection:
            try:
                connection.defineXML(self.xml()).create()
            except libvirt.libvirtError as error:
                raise errors.LabError(
                    f'{self.name} on {host.name}: {error}'
                ) from None

    def make_local_disk(self, host: hosts.Host) -> None:
        """Make an empty disk of its size in *host*'s own storage.

        :raises LabError: when it cannot be
        """
        storage.make_local(host.images, self.name)

    def xml(self) -> str:
        """Return its domain, for libvirt."""
        guest, lab = self.description, self.lab
        make = storage.local_xml if guest.local_disk else storage.network_xml
        prefixed = f'{guest.address}/{lab.prefix_length}'
        return _DOMAIN.format(
            kind=lab.virtualisation,
            guest=guest,
            folder=_quoted(_folder(lab)),
            command_line=_COMMAND_LINE.format(address=prefixed),
            disk=make(lab, guest),
            bridge=network.BRIDGE,
            log=_quoted(self.log),
        )

    def report(self) -> watches.Report:
        """Return what it has told so far."""
        try:
            return watches.read(self.log.read_text(errors='replace'))
        except FileNotFoundError:
            return watches.Report()

    def wait_for_rounds(
        self, more: int = 1, seconds: float = waiting.PATIENCE_SECONDS
    ) -> None:
        """Wait until each of its watches has ended *more* rounds than now.

        :raises LabError: when one does not
        """
        wanted = [one + more for one in self.report().rounds]
        self._wait(
            lambda report: all(
                one >= other
                for one, other in zip(report.rounds, wanted, strict=True)
            ),
            f'round {"/".join(map(str, wanted))} of clock, disk and random '
            f'numbers',
            seconds,
        )

    def tell(self, host: hosts.Host, word: str) -> None:
        """Send it a word on its second port, and wait for the echo.

        :param host: where it runs
        :param word: without blanks
        :raises LabError: when it does not give it back
        """
        before = len(self.report().words)
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                connection.connect(str(host.runtime(f'{self.name}.sock')))
                connection.sendall(f'{word}\n'.encode())
            except OSError as error:
                raise errors.LabError(
                    f'{self.name} does not run on {host.name}: {error}'
                ) from None
            self._wait(
                lambda report: word in report.words[before:],
                f'the word {word}',
                waiting.PATIENCE_SECONDS,
            )

    def _wait(
        self,
        holds: collections.abc.Callable[[watches.Report], bool],
        what: str,
        seconds: float,
    ) -> None:
        waiting.until(
            lambda: holds(self.report()),
            f'{self.name} to come to {what}',
            seconds,
            said=lambda: processes.last_line(self.log),
        )


def _quoted(path: pathlib.Path) -> str:
    return xml.sax.saxutils.escape(str(path), {"'": '&apos;'})
