"""Keystone, Placement and Nova, but for its computes: started, waited for."""

import pathlib
import urllib.error
import urllib.request

import amqp
import kombu

from kvm_balancer.lab import processes
from kvm_balancer.lab import waiting
from tests.openstack.lab import configuration

_PROGRAMS = pathlib.Path(__file__).with_name('programs')
#: A thread for each of Nova's services that may ask at once.
_THREADS = '8'
_WSGI = {
    'keystone': 'keystone.wsgi.api',
    'placement': 'placement.wsgi.api',
    'nova': 'nova.wsgi.osapi_compute',
}


class ControlPlane:
    """The services of one laboratory that are not a host's.

    :param directory: of the laboratory
    :param programs: the directory of their programs
    :param broker_url: where they speak to each other
    """

    def __init__(
        self,
        directory: pathlib.Path,
        programs: pathlib.Path,
        files: configuration.Configuration,
        broker_url: str,
    ) -> None:
        self._directory = directory
        self._bin = programs
        self._files = files
        self._broker_url = broker_url
        self._processes = processes.Processes(directory)

    def start(self, images: pathlib.Path) -> None:
        """Start all; most of it can wait for the rest by itself.

        :param images: the directory of those that servers boot
        """
        self._start('nova-conductor')
        self.start_scheduler()
        self._serve('keystone', OS_KEYSTONE_CONFIG_FILES='keystone.conf')
        self._serve('placement')
        self.start_api()
        self._run(
            'neighbours',
            str(_PROGRAMS / 'neighbours.py'),
            self._files.address('neighbours'),
            str(images),
        )

    def start_api(self) -> None:
        """Start Nova's API; also again."""
        self._serve('nova')

    def start_scheduler(self) -> None:
        """Start Nova's scheduler; also again."""
        self._start('nova-scheduler', 'scheduler')

    def wait_for(self, name: str) -> None:
        """Wait until an API answers.

        :raises LabError: when it has ended or is too slow
        """
        path = '/v2.1' if name == 'nova' else '/'
        url = f'http://{self._files.address(name)}{path}'
        waiting.until(
            lambda: _answers(url),
            f'{name} to answer',
            runs=lambda: self._processes.is_alive(name),
            said=lambda: self._processes.last_words(name),
        )

    def wait_for_scheduler(self) -> None:
        """Wait until Nova's scheduler hears what is sent to it.

        A compute tells all schedulers that a server is gone; where none has
        ever listened, that goes wrong, and the server with it.

        :raises LabError: when it has ended or is too slow
        """
        waiting.until(
            self._scheduler_listens,
            "Nova's scheduler to listen",
            runs=lambda: self._processes.is_alive('nova-scheduler'),
            said=lambda: self._processes.last_words('nova-scheduler'),
        )

    def _scheduler_listens(self) -> bool:
        url = self._broker_url.replace('rabbit://', 'pyamqp://')
        with kombu.Connection(url) as connection:
            found = kombu.Exchange('scheduler_fanout', 'fanout', passive=True)
            try:
                found(connection.default_channel).declare()
            except amqp.exceptions.NotFound:
                return False
        return True

    def _start(self, program: str, *files: str) -> None:
        """Start a service of Nova's.

        :param files: of its own, besides ``nova.conf``
        """
        self._processes.start(
            program,
            [
                *self._marked(),
                str(self._bin / program),
                *self._files.options('nova', *files),
            ],
        )

    def _marked(self) -> list[str]:
        """Return what has a program and its children found by their mounts.

        Workers of Nova's services give themselves a name, and lose the
        environment that would tell whose they are.
        """
        mark = self._directory / 'mark'
        mark.mkdir(exist_ok=True)
        source = processes.mount_source(self._directory)
        return [
            'unshare',
            '--mount',
            'sh',
            '-c',
            f'mount -t tmpfs -o size=4k "{source}" "{mark}" && exec "$@"',
            'sh',
        ]

    def _run(self, name: str, *arguments: str, **variables: str) -> None:
        self._processes.start(
            name, [str(self._bin / 'python'), *arguments], variables
        )

    def _serve(self, name: str, **variables: str) -> None:
        self._run(
            name,
            str(_PROGRAMS / 'wsgi.py'),
            _WSGI[name],
            self._files.address(name),
            _THREADS,
            **{f'OS_{name.upper()}_CONFIG_DIR': str(self._files.etc)},
            **variables,
        )


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=30.0):
            return True
    except urllib.error.HTTPError:
        # It may say that a token is needed.
        return True
    except OSError:
        return False
