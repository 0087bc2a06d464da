"""One host: a set of namespaces with a libvirtd in it.

A host has a network, a mount and a UTS namespace, held by one sleeping
process (the *holder*); its libvirtd, its guests and its executor live in
them, and may end and come back without the host going away. Directories of
its own cover those of the system's libvirt.
"""

import collections.abc
import contextlib
import os
import pathlib
import select
import shutil
import signal

import libvirt

from kvm_balancer import errors
from kvm_balancer.lab import certificates
from kvm_balancer.lab import description
from kvm_balancer.lab import leases
from kvm_balancer.lab import network
from kvm_balancer.lab import processes
from kvm_balancer.lab import programs
from kvm_balancer.lab import storage
from kvm_balancer.lab import waiting

# What goes wrong is raised; libvirt would also write it on standard error.
libvirt.registerErrorHandler(lambda context, error: None, None)

_SCRIPT = pathlib.Path(__file__).with_name('host.sh')

#: How large ``/run`` and the executor's disk are where they can get full.
STATE_BYTES = 32 * 2**20

#: How often libvirt asks again before it calls a silent peer dead.
_KEEPALIVE_COUNT = 5

_LIBVIRTD_CONF = """\
listen_addr = "{host.address}"
listen_tcp = {tcp}
listen_tls = {tls}
auth_tcp = "none"
auth_tls = "none"
auth_unix_rw = "none"
auth_unix_ro = "none"
host_uuid = "{host.uuid}"
keepalive_interval = {lab.keepalive_seconds}
keepalive_count = {count}
"""

_QEMU_CONF = """\
user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = []
namespaces = []
remember_owner = 0
stdio_handler = "file"
migration_address = "{host.address}"
keepalive_interval = {lab.keepalive_seconds}
keepalive_count = {count}
"""

_POOL = """\
<pool type='dir'>
  <name>images</name>
  <target><path>{path}</path></target>
</pool>
"""


class Host:
    """One host of a laboratory.

    :param lab: the laboratory, with its bridge up
    :param host: this host's part of it
    """

    def __init__(self, lab: description.Lab, host: description.Host) -> None:
        self.lab = lab
        self.name = host.name
        self.address = host.address
        self.description = host
        self.directory = lab.path / 'hosts' / host.name
        self.readings = self.directory / 'readings.json'
        #: what the host's executor keeps
        self.state = self.directory / 'state'
        self.processes = processes.Processes(self.directory)

    @property
    def uri(self) -> str:
        """Where its libvirtd answers, for the machine and its peers."""
        if self.lab.tls:
            pki = self.lab.path / 'pki'
            return f'qemu+tls://{self.address}/system?pkipath={pki}'
        return f'qemu+tcp://{self.address}/system'

    @property
    def images(self) -> pathlib.Path:
        """Its own images, as the machine sees them."""
        return self.directory / 'lib' / storage.IMAGES.name

    @property
    def holder(self) -> int:
        """The process that holds the namespaces.

        :raises LabError: when the host is down
        """
        process = self.processes.find('holder')
        if process is None or not processes.is_alive(process):
            raise errors.LabError(f'{self.name} is down')
        return process.pid

    def up(self) -> None:
        """Make the namespaces and lay the cable; libvirtd comes next."""
        self._configure()
        self._hold()
        network.connect(
            self.description.interface,
            self.lab.bridge,
            self.holder,
            f'{self.address}/{self.lab.prefix_length}',
        )

    def start_libvirtd(self) -> None:
        """Start libvirtd in the host; also again, after it was killed.

        With it comes the lock manager, where there is one: it outlives
        libvirtd, as whoever it forgets could be started twice.
        """
        if self.lab.leases and not self.is_alive('virtlockd'):
            self.start('virtlockd', ['virtlockd'])
        self.start('libvirtd', ['libvirtd', '--listen'])

    def wait(self, seconds: float = waiting.PATIENCE_SECONDS) -> None:
        """Wait until libvirtd answers, and knows its QEMU.

        The first time it asks QEMU what it can do: that takes seconds,
        unless it could :meth:`learn_from` another host.

        :raises LabError: when it has ended or is too slow
        """
        waiting.until(
            self._answers,
            f'libvirtd of {self.name} to answer',
            seconds,
            runs=lambda: self.is_alive('libvirtd'),
            said=lambda: self.processes.last_words('libvirtd'),
        )

    def learn_from(self, other: 'Host') -> None:
        """Take over what another host's libvirtd has found out of QEMU."""
        known = other.directory / 'cache' / 'qemu'
        if known.is_dir():
            mine = self.directory / 'cache' / 'qemu'
            shutil.copytree(known, mine, dirs_exist_ok=True)

    def offer_images(self) -> None:
        """Let libvirtd keep images of its own, also new ones that arrive.

        It does so again whenever the host boots.

        :raises LabError: when it refuses
        """
        self.images.mkdir(parents=True, exist_ok=True)
        pool = _POOL.format(path=storage.IMAGES)
        with contextlib.closing(self.connect()) as connection:
            try:
                made = connection.storagePoolDefineXML(pool)
                made.setAutostart(1)
                made.create()
            except libvirt.libvirtError as error:
                raise errors.LabError(
                    f'images of {self.name}: {error}'
                ) from None

    def down(self) -> None:
        """End everything of the host, and remove its cable."""
        self.processes.sweep()
        network.remove(self.description.interface)

    def connect(self) -> libvirt.virConnect:
        """Open a connection to its libvirtd, from the machine.

        :raises LabError: when it does not answer
        """
        try:
            return libvirt.open(self.uri)
        except libvirt.libvirtError as error:
            raise errors.LabError(
                f'libvirtd of {self.name}: {error}'
            ) from None

    def start(
        self,
        name: str,
        argv: collections.abc.Sequence[str],
        environment: collections.abc.Mapping[str, str] | None = None,
    ) -> processes.Process:
        """Start a daemon in the host's namespaces."""
        return self.processes.start(name, self._inside(argv), environment)

    def run(
        self,
        argv: collections.abc.Sequence[str],
        timeout_seconds: float = waiting.PATIENCE_SECONDS,
    ) -> str:
        """Run a program to its end in the host's namespaces."""
        return programs.run(self._inside(argv), timeout_seconds)

    def runtime(self, name: str) -> pathlib.Path:
        """Return a path of the host's ``/run``, as the machine sees it."""
        return pathlib.Path(
            f'/proc/{self.holder}/root/run/kvm-balancer-lab', name
        )

    def is_alive(self, name: str = 'libvirtd') -> bool:
        """Say whether a daemon of the host runs."""
        return self.processes.is_alive(name)

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to a daemon of the host, as faults do."""
        self.processes.signal(name, number)

    def limit_bandwidth(self, mib_s: float | None) -> None:
        """Limit its cable to *mib_s* MiB a second each way; None: lift it."""
        network.limit(self.description.interface, self.holder, mib_s)

    def forwarding(self) -> dict[str, str]:
        """Return the forwarding table of its bridge: MAC to interface."""
        return network.forwarding(network.BRIDGE, self.holder)

    def cut_off(self) -> None:
        """Pull its cable."""
        network.set_carrier(self.description.interface, up=False)

    def plug_in(self) -> None:
        """Plug its cable in again."""
        network.set_carrier(self.description.interface, up=True)

    def has_carrier(self) -> bool:
        """Say whether its cable is plugged in."""
        return network.has_carrier(self.description.interface)

    def _answers(self) -> bool:
        """Say whether libvirtd knows its QEMU."""
        with contextlib.closing(self.connect()) as connection:
            try:
                return bool(connection.getVersion())
            except libvirt.libvirtError as error:
                raise errors.LabError(str(error)) from None

    def _inside(self, argv: collections.abc.Sequence[str]) -> list[str]:
        where = ['nsenter', '-t', str(self.holder), '-m', '-u', '-n']
        return [*where, '--', *argv]

    def _configure(self) -> None:
        for folder in ('etc', 'lib', 'cache', 'log', 'state'):
            (self.directory / folder).mkdir(parents=True, exist_ok=True)
        values = {
            'host': self.description,
            'lab': self.lab,
            'tcp': int(not self.lab.tls),
            'tls': int(self.lab.tls),
            'count': _KEEPALIVE_COUNT,
        }
        etc = self.directory / 'etc'
        daemon = _LIBVIRTD_CONF.format(**values)
        qemu = _QEMU_CONF.format(**values)
        if self.lab.tls:
            pki = self.lab.path / 'pki'
            certificates.issue(pki, self.name, self.address)
            daemon += certificates.libvirtd_options(pki, self.name)
            qemu += certificates.qemu_options(pki, self.name)
        if self.lab.leases:
            qemu += leases.QEMU_OPTION
            (etc / 'qemu-lockd.conf').write_text(leases.lockd_conf(self.lab))
        (etc / 'libvirtd.conf').write_text(daemon)
        (etc / 'qemu.conf').write_text(qemu)
        names = [f'{host.address} {host.name}' for host in self.lab.hosts]
        (self.directory / 'hosts').write_text(
            '\n'.join(['127.0.0.1 localhost', *names, ''])
        )

    def _hold(self) -> None:
        """Start the holder, and wait until its directories are in place."""
        reader, writer = os.pipe()
        with os.fdopen(reader, 'rb', buffering=0) as stream:
            try:
                self.processes.start(
                    'holder',
                    [
                        'unshare',
                        '--net',
                        '--mount',
                        '--uts',
                        '--propagation',
                        'private',
                        'sh',
                        str(_SCRIPT),
                        self.name,
                        str(self.directory),
                        processes.mount_source(self.directory),
                    ],
                    stdout=writer,
                )
            finally:
                os.close(writer)
            ready = select.select([stream], [], [], waiting.PATIENCE_SECONDS)[
                0
            ]
            if not ready or not stream.read(5):
                told = self.processes.last_words('holder')
                raise errors.LabError(f'{self.name}: namespaces: {told}')
