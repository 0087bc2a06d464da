"""The laboratory as a whole: brought up in order, and cleared away.

Everything it makes is written down before it is made
(:mod:`kvm_balancer.lab.ledger`), and found again by marks that cannot be
mistaken (:mod:`kvm_balancer.lab.processes`); so ``down`` clears away what an
``up`` has left that was killed half-way.
"""

import collections.abc
import concurrent.futures
import pathlib
import time

import msgspec

from kvm_balancer import errors
from kvm_balancer.lab import bootsector
from kvm_balancer.lab import broker
from kvm_balancer.lab import calibration
from kvm_balancer.lab import certificates
from kvm_balancer.lab import description
from kvm_balancer.lab import guests
from kvm_balancer.lab import hosts
from kvm_balancer.lab import ledger
from kvm_balancer.lab import linux
from kvm_balancer.lab import network
from kvm_balancer.lab import processes
from kvm_balancer.lab import readings
from kvm_balancer.lab import services
from kvm_balancer.lab import storage

_BROKER_PORT = 5672

#: Takes one line of progress.
Tell = collections.abc.Callable[[str], None]


class Lab:
    """A laboratory in a directory, up or not.

    :param lab: what it consists of (see
        :func:`kvm_balancer.lab.description.describe`)
    :param tell: is told what happens while it comes up
    """

    def __init__(
        self, lab: description.Lab, tell: Tell = lambda line: None
    ) -> None:
        self._tell = tell
        self._began = time.monotonic()
        self._take(lab)

    def _take(self, lab: description.Lab) -> None:
        """Be the laboratory that *lab* describes."""
        self.description = lab
        self.directory = lab.path
        self.hosts = [hosts.Host(lab, host) for host in lab.hosts]
        self.guests = [guests.Guest(lab, guest) for guest in lab.guests]
        self.linux_guests = [
            linux.LinuxGuest(lab, guest) for guest in lab.linux_guests
        ]
        self.broker: broker.Broker | None = None
        self.services: services.Services | None = None
        if lab.services:
            pki = lab.path / 'pki' if lab.tls else None
            self.broker = broker.Broker(
                lab.path / 'broker', lab.address, _BROKER_PORT, pki
            )
            self.services = services.Services(lab, self.broker)

    @classmethod
    def find(cls, directory: pathlib.Path) -> 'Lab':
        """Return the laboratory that is up in *directory*, or half-way up.

        :raises LabError: when there is none
        """
        lab = ledger.read(directory)
        if lab is None:
            raise errors.LabError(f'there is no lab in {directory}')
        return cls(lab)

    def host(self, name: str) -> hosts.Host:
        """Return one host.

        :raises LabError: when there is none of this name
        """
        for host in self.hosts:
            if host.name == name:
                return host
        known = ', '.join(host.name for host in self.hosts)
        raise errors.LabError(f'there is no host {name}, only {known}')

    def guest(self, name: str) -> guests.Guest:
        """Return one guest, by name or uuid.

        :raises LabError: when there is none of this name
        """
        for guest in self.guests:
            if name in (guest.name, guest.uuid):
                return guest
        known = ', '.join(guest.name for guest in self.guests) or 'none'
        raise errors.LabError(f'there is no guest {name}, only {known}')

    def up(self, mode: str = 'automatic') -> None:
        """Bring up everything that it consists of.

        :param mode: of the agent, where there is one
        :raises LabError: when a name or address is taken, or something
            does not start; what was made stays for ``down``
        """
        self.claim()
        self.make(mode)

    def claim(self) -> None:
        """Write down what will be made, none of which may be there yet.

        :raises LabError: when the directory, a name or an address is taken
        """
        lab = self.description
        there = ledger.read(self.directory)
        if there is not None:
            raise errors.LabError(
                f'a lab "{there.name}" is in {self.directory} already: take '
                f'it down first'
            )
        if self.directory.exists() and any(self.directory.iterdir()):
            raise errors.LabError(
                f'{self.directory} is not empty: choose another directory'
            )
        for interface in (lab.bridge, *(host.interface for host in lab.hosts)):
            if network.exists(interface):
                raise errors.LabError(
                    f'interface {interface} exists: choose another lab name'
                )
        route = network.overlap(lab.network)
        if route:
            raise errors.LabError(
                f'{lab.network} overlaps with the route to {route}: choose '
                f'another network'
            )
        ledger.write(lab)

    def make(self, mode: str = 'automatic') -> None:
        """Make what was claimed.

        :raises LabError: when something does not start
        """
        lab = self.description
        network.add_bridge(lab.bridge, f'{lab.address}/{lab.prefix_length}')
        if lab.tls:
            certificates.found(lab.path / 'pki')
        if self.broker:
            self.broker.begin()
        any_guests = lab.guests or lab.linux_guests
        with concurrent.futures.ThreadPoolExecutor() as pool:
            measured = pool.submit(self._calibrate) if any_guests else None
            self._start_hosts()
            if measured:
                self._rewrite(**measured.result())
        self._start_guests()
        self._start_linux_guests()
        if self.services:
            self._start_services(self.services, mode)

    def down(self) -> None:
        """Clear away everything, also of a laboratory half-way up."""
        # While the broker is there, so that they need not wait for it.
        programs = [processes.Processes(self.directory).find('agent')]
        programs += [host.processes.find('executor') for host in self.hosts]
        processes.stop_all(programs, wait_seconds=5.0)
        processes.Processes(self.directory).sweep()
        for host in self.description.hosts:
            network.remove(host.interface)
        network.remove(self.description.bridge)
        ledger.clear(self.directory)

    def say(self, line: str) -> None:
        """Tell *line*, with the seconds since the beginning."""
        self._tell(f'[{time.monotonic() - self._began:5.1f} s] {line}')

    def calibrate(self) -> None:
        """Find out what guests are here, before there is the first one."""
        self._rewrite(**self._calibrate())

    def add_guest(self, guest: description.Guest) -> guests.Guest:
        """Start one more guest, on the host that it names, and note it.

        :raises LabError: when libvirt refuses, or it does not run
        """
        self._rewrite(guests=(*self.description.guests, guest))
        made = self.guest(guest.uuid)
        made.start(self.host(guest.host))
        made.wait_for_rounds()
        return made

    def remove_guest(self, guest: guests.Guest) -> None:
        """Take a guest away from every host, with all that is its own.

        :raises LabError: when a libvirtd refuses
        """
        for host in self.hosts:
            guest.remove(host)
        storage.withdraw(self.description, guest.description)
        self._rewrite(
            guests=tuple(
                one
                for one in self.description.guests
                if one.uuid != guest.uuid
            )
        )

    def set_load(
        self, guest: guests.Guest, host: hosts.Host, load: bootsector.Load
    ) -> None:
        """Give a guest that runs on *host* another load, and note it."""
        guest.set_load(host, load)
        changed = msgspec.structs.replace(guest.description, load=load)
        self._rewrite(
            guests=tuple(
                changed if one.uuid == changed.uuid else one
                for one in self.description.guests
            )
        )

    def set_readings(self, host: hosts.Host, **figures: object) -> None:
        """Let a host claim other figures (see :mod:`.readings`)."""
        now = readings.read(host.readings)
        readings.write(host.readings, msgspec.structs.replace(now, **figures))

    def _rewrite(self, **changes: object) -> None:
        lab = msgspec.structs.replace(self.description, **changes)
        ledger.write(lab)
        self._take(lab)

    def _calibrate(self) -> dict[str, object]:
        kind = calibration.virtualisation(self.directory)
        turns = calibration.turns_per_core(self.directory, kind)
        return {'virtualisation': kind, 'turns_per_core': turns}

    def _start_hosts(self) -> None:
        first, *others = self.hosts
        first.up()
        first.start_libvirtd()
        for host in others:
            host.up()
        for host in self.hosts:
            readings.write(host.readings, readings.Readings())
        first.wait()
        self.say(f'{first.name}: libvirtd answers at {first.uri}')
        for host in others:
            host.learn_from(first)
            host.start_libvirtd()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            list(pool.map(hosts.Host.wait, others))
        for host in others:
            self.say(f'{host.name}: libvirtd answers at {host.uri}')

    def _start_guests(self) -> None:
        if not self.guests:
            return

        def start(guest: guests.Guest) -> None:
            guest.start(self.host(guest.description.host))
            guest.wait_for_rounds()

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(start, self.guests))
        kind = self.description.virtualisation
        self.say(f'{len(self.guests)} guests run ({kind})')

    def _start_linux_guests(self) -> None:
        if not self.linux_guests:
            return
        linux.prepare(self.description)
        if any(one.local_disk for one in self.description.linux_guests):
            for host in self.hosts:
                host.offer_images()
        for guest in self.linux_guests:
            guest.start(self.host(guest.description.host))
        for guest in self.linux_guests:
            guest.wait_for_rounds()
        self.say(f'{len(self.linux_guests)} Linux guests watch themselves')

    def _start_services(self, programs: services.Services, mode: str) -> None:
        programs.bus.wait()
        self.say(f'RabbitMQ answers at {programs.bus.address}')
        programs.configure(self.hosts, mode)
        programs.prepare_database()
        programs.start_agent()
        for host in self.hosts:
            programs.start_executor(host)
        self.say(f'agent ({mode}) and {len(self.hosts)} executors started')
