"""What computes of the laboratory are: processes, or hosts of their own."""

import abc
import collections.abc
import pathlib

from kvm_balancer.lab import processes

Settings = dict[str, dict[str, object]]

#: nova-compute, as it is called, but for its configuration files.
Program = collections.abc.Sequence[str]


class Computes(abc.ABC):
    """The computes of one laboratory.

    :ivar hosts: their names
    :ivar address: at which services listen, so that computes reach them
    """

    hosts: tuple[str, ...]
    address: str

    @abc.abstractmethod
    def up(self) -> None:
        """Make what nova-compute runs on, and the address.

        :raises LabError: when something does not start
        """

    @abc.abstractmethod
    def down(self) -> None:
        """Take that away; whatever runs on it has ended."""

    @abc.abstractmethod
    def settings(self, host: str, programs: pathlib.Path) -> Settings:
        """Return what is configured of one compute.

        :param programs: the directory of those that Nova brings
        """

    @abc.abstractmethod
    def start(
        self, host: str, programs: pathlib.Path, options: Program
    ) -> None:
        """Start nova-compute of one host; also again.

        :param options: its command line
        """

    @abc.abstractmethod
    def daemons(self, host: str) -> processes.Processes:
        """Return where nova-compute of one host is recorded."""

    @abc.abstractmethod
    def name(self, host: str) -> str:
        """Return the name that nova-compute of one host has there."""

    @abc.abstractmethod
    def guests(self, host: str) -> frozenset[str]:
        """Return the uuids of the servers that a host really has."""
