"""The laboratory as a whole: brought up in order, and cleared away.

Everything it makes is written down before it is made
(:mod:`kvm_balancer.lab.ledger`), and found again by marks that cannot be
mistaken (:mod:`kvm_balancer.lab.processes`); so ``down`` clears away what an
``up`` has left that was killed half-way.
"""

import collections.abc
import concurrent.futures
import pathlib
import shutil
import time

from kvm_balancer import errors
from kvm_balancer.lab import certificates
from kvm_balancer.lab import description
from kvm_balancer.lab import hosts
from kvm_balancer.lab import ledger
from kvm_balancer.lab import network
from kvm_balancer.lab import processes

#: Takes one line of progress.
Tell = collections.abc.Callable[[str], None]


class Lab:
    """A laboratory in a directory, up or not.

    :param lab: what it consists of; of one that is up, from
        :meth:`Lab.find`
    :param tell: is told what happens while it comes up
    """

    def __init__(
        self, lab: description.Lab, tell: Tell = lambda line: None
    ) -> None:
        self.description = lab
        self.directory = lab.path
        self.hosts = [hosts.Host(lab, host) for host in lab.hosts]
        self._tell = tell
        self._began = time.monotonic()

    @classmethod
    def find(cls, directory: pathlib.Path) -> 'Lab':
        """Return the laboratory that is up in *directory*.

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

    def up(self) -> None:
        """Bring up the bridge and the hosts.

        :raises LabError: when a name or address is taken, or something
            does not start; what was made stays for ``down``
        """
        self._claim()
        lab = self.description
        address = f'{lab.address}/{lab.prefix_length}'
        network.add_bridge(lab.bridge, address)
        if lab.tls:
            certificates.found(lab.path / 'pki')
        self._start_hosts()

    def down(self) -> None:
        """Clear away everything, also of a laboratory half-way up."""
        processes.Processes(self.directory).sweep()
        for host in self.description.hosts:
            network.remove(host.interface)
        network.remove(self.description.bridge)
        shutil.rmtree(self.directory)

    def _claim(self) -> None:
        """Write down what will be made, none of which may be there yet."""
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

    def _start_hosts(self) -> None:
        first, *others = self.hosts
        first.up()
        first.start_libvirtd()
        for host in others:
            host.up()
        first.wait()
        self.say(f'{first.name}: libvirtd answers at {first.uri}')
        for host in others:
            host.learn_from(first)
            host.start_libvirtd()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            list(pool.map(hosts.Host.wait, others))
        for host in others:
            self.say(f'{host.name}: libvirtd answers at {host.uri}')

    def say(self, line: str) -> None:
        """Tell *line*, with the seconds since the beginning."""
        self._tell(f'[{time.monotonic() - self._began:5.1f} s] {line}')
