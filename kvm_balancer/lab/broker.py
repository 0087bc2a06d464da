"""A RabbitMQ of the laboratory's own.

It shares nothing with a RabbitMQ of the system: data, log, cookie, plugins,
configuration and ports (AMQP, Erlang distribution and its port mapper) are
its own, and it is given a directory to keep them in. It runs as whoever
starts it.
"""

import pathlib
import secrets
import shutil
import socket
import ssl

from kvm_balancer import errors
from kvm_balancer.lab import certificates
from kvm_balancer.lab import ports
from kvm_balancer.lab import processes
from kvm_balancer.lab import waiting

#: Debian's ``rabbitmq-server`` changes to a user of its own when root calls
#: it, who could not write to our directory; the script behind it does not.
_PROGRAMS = (
    '/usr/lib/rabbitmq/bin/rabbitmq-server',
    'rabbitmq-server',
)

_USER = 'kvm-balancer'

_CONFIGURATION = """\
{listeners}
default_user = {user}
default_pass = {password}
default_permissions.configure = .*
default_permissions.read = .*
default_permissions.write = .*
loopback_users = none
log.file = rabbit.log
log.console = false
# On a full disk it would refuse messages of a laboratory that needs none.
disk_free_limit.absolute = 16MB
"""

_TLS = """\
listeners.tcp = none
listeners.ssl.1 = {address}:{port}
ssl_options.cacertfile = {pki}/cacert.pem
ssl_options.certfile = {folder}/server-cert.pem
ssl_options.keyfile = {folder}/server-key.pem
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = false
"""

#: A broker that does not even greet in this time is as good as none.
_GREETING_SECONDS = 15.0

#: What opens a connection in AMQP 0-9-1; a broker answers Connection.Start.
_GREETING = b'AMQP\x00\x00\x09\x01'


def program() -> str | None:
    """Return where RabbitMQ's start script is, or None."""
    return next(filter(None, map(shutil.which, _PROGRAMS)), None)


class Broker:
    """One RabbitMQ.

    :param directory: absolute; it makes it, and keeps everything in it
    :param address: where it listens
    :param port: on which port; None: one that is free now
    :param pki: directory of a certificate authority (see
        :func:`kvm_balancer.lab.certificates.found`); with one, it speaks TLS
        only
    """

    def __init__(
        self,
        directory: pathlib.Path,
        address: str = '127.0.0.1',
        port: int | None = None,
        pki: pathlib.Path | None = None,
    ) -> None:
        self.directory = directory
        self.address = address
        self.pki = pki
        self.processes = processes.Processes(directory)
        self.port = port or self._kept('port') or ports.free(address)

    @property
    def url(self) -> str:
        """The ``transport_url``, with user and password.

        With TLS, ``[oslo_messaging_rabbit] ssl`` and ``ssl_ca_file`` (the
        authority's ``cacert.pem``) have to say so.
        """
        password = self._kept_text('password')
        place = f'{self.address}:{self.port}'
        return f'rabbit://{_USER}:{password}@{place}//'

    def start(self, wait_seconds: float = waiting.PATIENCE_SECONDS) -> None:
        """Start it and wait until it answers AMQP; also after a kill.

        :raises LabError: when it is not installed, ends or is too slow
        """
        self.begin()
        self.wait(wait_seconds)

    def begin(self) -> None:
        """Start it; :meth:`wait` is to follow."""
        path = program()
        if path is None:
            raise errors.LabError('rabbitmq-server is not installed')
        if not self._kept_text('password'):
            self._configure()
        # Where it was started, Mnesia leaves its core when it is ended hard.
        there = f'--chdir={self.directory}'
        self.processes.start(
            'rabbitmq', ['env', there, path], self._environment()
        )

    def wait(self, seconds: float = waiting.PATIENCE_SECONDS) -> None:
        """Wait until it answers AMQP.

        :raises LabError: when it has ended or is too slow
        """
        waiting.until(
            self.answers,
            f'RabbitMQ in {self.directory} to answer',
            seconds,
            runs=self.is_alive,
            said=lambda: self.processes.last_words('rabbitmq'),
        )

    def answers(self) -> bool:
        """Say whether it speaks AMQP now."""
        place = (self.address, self.port)
        try:
            with (
                socket.create_connection(
                    place, timeout=_GREETING_SECONDS
                ) as plain,
                self._wrapped(plain) as connection,
            ):
                connection.sendall(_GREETING)
                return connection.recv(1) == b'\x01'
        except OSError:
            return False

    def is_alive(self) -> bool:
        """Say whether it runs."""
        return self.processes.is_alive('rabbitmq')

    def kill(self, number: int) -> None:
        """Send it a signal, as faults do; ``start`` brings it back."""
        self.processes.signal('rabbitmq', number)

    def stop(self, wait_seconds: float = 15.0) -> None:
        """End it and its port mapper; what it kept stays."""
        self.processes.sweep(wait_seconds)

    def _wrapped(self, connection: socket.socket) -> socket.socket:
        if self.pki is None:
            return connection
        context = ssl.create_default_context(cafile=self.pki / 'cacert.pem')
        return context.wrap_socket(connection, server_hostname=self.address)

    def _configure(self) -> None:
        for folder in ('data', 'log'):
            (self.directory / folder).mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o700)
        self._keep('port', str(self.port))
        self._keep('mapper', str(ports.free()))
        self._keep('distribution', str(ports.free()))
        listeners = f'listeners.tcp.1 = {self.address}:{self.port}'
        if self.pki is not None:
            certificates.issue(self.pki, 'broker', self.address)
            listeners = _TLS.format(
                address=self.address,
                port=self.port,
                pki=self.pki,
                folder=self.pki / 'broker',
            )
        password = secrets.token_hex(12)
        (self.directory / 'rabbitmq.conf').write_text(
            _CONFIGURATION.format(
                listeners=listeners, user=_USER, password=password
            )
        )
        # Of several parts of Erlang that make it at the same time, one may
        # read it before the other has made it the owner's alone, and ends.
        cookie = self.directory / '.erlang.cookie'
        cookie.touch(0o600)
        cookie.write_text(secrets.token_hex(12))
        cookie.chmod(0o400)
        (self.directory / 'enabled_plugins').write_text('[].\n')
        (self.directory / 'env.conf').write_text('')
        self._keep('password', password)

    def _environment(self) -> dict[str, str]:
        own = {
            'HOME': '',
            'RABBITMQ_MNESIA_BASE': 'data',
            'RABBITMQ_LOG_BASE': 'log',
            'RABBITMQ_CONFIG_FILE': 'rabbitmq',
            'RABBITMQ_ADVANCED_CONFIG_FILE': 'advanced.config',
            'RABBITMQ_CONF_ENV_FILE': 'env.conf',
            'RABBITMQ_ENABLED_PLUGINS_FILE': 'enabled_plugins',
            'RABBITMQ_PID_FILE': 'pid',
        }
        loopback = '-kernel inet_dist_use_interface {127,0,0,1}'
        return {
            name: str(self.directory / file) for name, file in own.items()
        } | {
            'RABBITMQ_NODENAME': f'lab{self._kept("distribution")}@localhost',
            'RABBITMQ_DIST_PORT': str(self._kept('distribution')),
            'ERL_EPMD_PORT': str(self._kept('mapper')),
            'ERL_EPMD_ADDRESS': '127.0.0.1',
            # Its script then becomes the broker, instead of a parent that
            # would hide it from our signals.
            'RUNNING_UNDER_SYSTEMD': 'true',
            'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS': f'{loopback} +S 2:2',
        }

    def _keep(self, name: str, value: str) -> None:
        (self.directory / name).write_text(f'{value}\n')

    def _kept_text(self, name: str) -> str:
        path = self.directory / name
        return path.read_text().strip() if path.exists() else ''

    def _kept(self, name: str) -> int | None:
        text = self._kept_text(name)
        return int(text) if text else None
