"""Computes that are processes of this machine, with records for guests."""

import json
import pathlib

from kvm_balancer.lab import processes
from tests.openstack.lab import computes

_PROGRAM = pathlib.Path(__file__).with_name('programs') / 'compute.py'


class Records(computes.Computes):
    """See ``programs/compute.py``.

    :param load: the file with what servers use
    """

    address = '127.0.0.1'

    def __init__(
        self,
        directory: pathlib.Path,
        hosts: tuple[str, ...],
        load: pathlib.Path,
    ) -> None:
        self.hosts = hosts
        self._directory = directory
        self._load = load
        self._processes = processes.Processes(directory)

    def up(self) -> None:
        """Do nothing: a process is enough."""

    def down(self) -> None:
        """Do nothing."""

    def settings(self, host: str, programs: pathlib.Path) -> computes.Settings:
        return {'DEFAULT': {'compute_driver': 'lab.LabDriver'}}

    def start(
        self, host: str, programs: pathlib.Path, options: computes.Program
    ) -> None:
        self._processes.start(
            self.name(host),
            [str(programs / 'python'), str(_PROGRAM), *options],
            {'LAB_LOAD': str(self._load)},
        )

    def daemons(self, host: str) -> processes.Processes:
        return self._processes

    def name(self, host: str) -> str:
        return f'compute-{host}'

    def guests(self, host: str) -> frozenset[str]:
        path = self._directory / 'state' / host / 'guests.json'
        return frozenset(json.loads(path.read_text()) if path.exists() else ())
