"""The way to the broker, for oslo.messaging and for kombu alike.

One ``transport_url`` leads both to the same broker, with the TLS options of
``[oslo_messaging_rabbit]``; ``fake://`` pairs with kombu's ``memory://``.
Owns how a broker that cannot be reached is told: one line that says which
broker and what to check. Knows nothing of what is sent.

oslo.messaging tries for ever by default, and blocks while it does. Who
cannot wait calls :func:`check` first; who has to, :func:`wait`.
"""

import dataclasses
import logging
import socket
import ssl
import threading
from typing import Any
from urllib import parse
import weakref

from amqp import exceptions as amqp_errors
import kombu
from kombu import exceptions as kombu_errors
from oslo_config import cfg
import oslo_messaging
from oslo_messaging import opts
from oslo_utils import importutils
from oslo_utils import netutils
from oslo_utils import strutils

from kvm_balancer import errors

LOG = logging.getLogger(__name__)

#: Scope of all topics of the project; oslo.messaging's own default is Nova's.
EXCHANGE = 'kvm_balancer'
#: Errors of remote calls that may be made again on this side.
REMOTE_ERRORS = ('kvm_balancer.errors',)

_RABBIT = 'oslo_messaging_rabbit'
_PORT = 5672
_TLS_PORT = 5671
#: Words of oslo.messaging for the in-memory transport, and of kombu.
_IN_MEMORY = ('fake', 'kombu+memory')

#: All that a connection raises when something is wrong with the way.
FAILURES = (amqp_errors.AMQPError, kombu_errors.KombuError, OSError)


#: Who has them, by id: listing the options copies every one, each time.
_HAVE_DEFAULTS: weakref.WeakValueDictionary[int, cfg.ConfigOpts] = (
    weakref.WeakValueDictionary()
)


def set_defaults(conf: cfg.ConfigOpts) -> None:
    """Give *conf* the project's defaults for the options of oslo.messaging.

    What the operator configured stays as it is. Queues are durable, since
    an outcome must survive a restart of the broker; ``rabbit_quorum_queue``
    makes them replicated as well.
    """
    if _HAVE_DEFAULTS.get(id(conf)) is conf:
        return
    for group, options in opts.list_opts():
        conf.register_opts(options, group=group)
    # These two register themselves on the global configuration only.
    for name in ('metrics', 'tracing'):
        client = importutils.try_import(f'oslo_messaging._{name}.client')
        group = f'oslo_messaging_{name}'
        if client is not None:
            conf.register_opts(getattr(client, group), group=group)
    conf.set_default('control_exchange', EXCHANGE)
    conf.set_default('amqp_durable_queues', True, group=_RABBIT)
    _HAVE_DEFAULTS[id(conf)] = conf


def rpc(conf: cfg.ConfigOpts) -> oslo_messaging.Transport:
    """Return the transport of commands and questions; does not connect.

    :raises ConfigurationError: when ``transport_url`` is none
    """
    return _make(conf, oslo_messaging.get_rpc_transport)


def notification(
    conf: cfg.ConfigOpts,
) -> oslo_messaging.Transport:
    """Return the transport of notifications; does not connect.

    :raises ConfigurationError: when ``transport_url`` is none
    """
    return _make(conf, oslo_messaging.get_notification_transport)


def release(conf: cfg.ConfigOpts, made: oslo_messaging.Transport) -> None:
    """Let go of what :func:`rpc` or :func:`notification` returned."""
    # The in-memory one would empty the queues of the whole process.
    if not broker(conf).in_memory:
        made.cleanup()


def _make(conf: cfg.ConfigOpts, factory: Any) -> Any:
    parsed = _parse(conf)
    try:
        return factory(
            conf, url=parsed, allowed_remote_exmods=list(REMOTE_ERRORS)
        )
    except (oslo_messaging.DriverLoadFailure, ImportError):
        raise errors.ConfigurationError(
            f'transport_url: {parsed.transport!r} is no transport of '
            'oslo.messaging; for RabbitMQ it begins with rabbit://'
        ) from None


def _parse(conf: cfg.ConfigOpts) -> oslo_messaging.TransportURL:
    set_defaults(conf)
    try:
        parsed = oslo_messaging.TransportURL.parse(conf)
        if parsed.transport:
            return parsed
    except (oslo_messaging.InvalidTransportURL, ValueError):
        # Its text repeats the URL, password and all.
        pass
    raise errors.ConfigurationError(
        'transport_url cannot be read; it has the form '
        'rabbit://USER:PASSWORD@HOST:PORT/VIRTUAL_HOST, with special '
        'characters in USER and PASSWORD as %XX'
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is, and how kombu gets there.

    :ivar urls: one for each of its hosts, with credentials
    :ivar name: for people; without credentials
    :ivar tls: what kombu's connection takes for ``ssl``
    """

    urls: tuple[str, ...]
    name: str
    tls: dict[str, Any] | bool
    login_method: str

    @property
    def in_memory(self) -> bool:
        """True where all of it is inside this process."""
        return self.urls == ('memory://',)

    def connection(
        self, connect_seconds: float = 5.0, heartbeat_seconds: int = 0
    ) -> kombu.Connection:
        """Return a connection of kombu's that is not yet connected."""
        if self.in_memory:
            return kombu.Connection(
                'memory://', transport_options={'polling_interval': 0.005}
            )
        return kombu.Connection(
            list(self.urls),
            ssl=self.tls,
            login_method=self.login_method,
            connect_timeout=connect_seconds,
            heartbeat=heartbeat_seconds,
            transport_options={
                'write_timeout': connect_seconds,
                # A peer that vanished is found out about in this time.
                'socket_settings': {
                    socket.TCP_USER_TIMEOUT: int(connect_seconds * 1000)
                },
                'client_properties': {
                    'connection_name': 'kvm_balancer',
                    'capabilities': {
                        'authentication_failure_close': True,
                        'consumer_cancel_notify': True,
                        'connection.blocked': True,
                    },
                },
            },
        )

    def explain(self, error: BaseException) -> errors.BusError:
        """Say on one line what an error of a connection means."""
        return errors.BusError(
            f'The message broker {self.name} {_meaning(error, self.tls)}'
        )


def broker(conf: cfg.ConfigOpts) -> Broker:
    """Find out where ``transport_url`` leads.

    :raises ConfigurationError: when it is none, or leads nowhere that kombu
        could follow
    """
    parsed = _parse(conf)
    if parsed.transport in _IN_MEMORY:
        return Broker(('memory://',), 'in memory', False, 'PLAIN')
    if parsed.transport.removeprefix('kombu+') not in ('rabbit', 'amqp'):
        raise errors.ConfigurationError(
            f'transport_url: samples cannot travel over {parsed.transport!r}; '
            'use rabbit:// (or fake:// inside one process)'
        )
    tls = _tls(conf, parsed)
    hosts = parsed.hosts or [oslo_messaging.TransportHost('localhost')]
    named = [
        f'{netutils.escape_ipv6(host.hostname or "localhost")}'
        f':{host.port or _PORT}'
        for host in hosts
    ]
    path = parse.quote(parsed.virtual_host or '', safe='')
    return Broker(
        urls=tuple(
            f'pyamqp://{_credentials(host, bool(parsed.hosts))}@{name}/{path}'
            for host, name in zip(hosts, named, strict=True)
        ),
        name=', '.join(named),
        tls=tls,
        login_method=_option(conf, parsed, 'rabbit_login_method'),
    )


def _credentials(host: oslo_messaging.TransportHost, named: bool) -> str:
    # As oslo.messaging does: guest only where the URL names no host at all.
    default = '' if named else 'guest'
    username = parse.quote(host.username or default, safe='')
    return f'{username}:{parse.quote(host.password or default, safe="")}'


def _option(
    conf: cfg.ConfigOpts, parsed: oslo_messaging.TransportURL, name: str
) -> Any:
    """Read an option; the query of the URL overrides it."""
    if name in parsed.query:
        return parsed.query[name]
    return conf[_RABBIT][name]


def _tls(
    conf: cfg.ConfigOpts, parsed: oslo_messaging.TransportURL
) -> dict[str, Any] | bool:
    """Return what oslo.messaging's driver makes of the same options."""
    if not strutils.bool_from_string(_option(conf, parsed, 'ssl')):
        return False
    found: dict[str, Any] = {}
    for key, name in (
        ('keyfile', 'ssl_key_file'),
        ('certfile', 'ssl_cert_file'),
        ('ca_certs', 'ssl_ca_file'),
    ):
        value = _option(conf, parsed, name)
        if value:
            found[key] = value
    if 'ca_certs' in found:
        found['cert_reqs'] = ssl.CERT_REQUIRED
        if len(parsed.hosts) == 1:
            found['server_hostname'] = parsed.hosts[0].hostname
    return found or True


def _meaning(error: BaseException, tls: dict[str, Any] | bool) -> str:
    # kombu wraps what it was told.
    if isinstance(error, kombu_errors.OperationalError) and error.__cause__:
        error = error.__cause__
    for kind, text in _MEANINGS:
        if isinstance(error, kind):
            return text.format(error=_line(error))
    check = (
        'check that [oslo_messaging_rabbit] ssl fits its port'
        if tls
        else f'check that it is RabbitMQ (a TLS port, often {_TLS_PORT}, '
        'needs [oslo_messaging_rabbit] ssl)'
    )
    return f'cannot be talked to ({_line(error)}): {check}'


def _line(error: BaseException) -> str:
    return ' '.join(str(error).split()) or type(error).__name__


#: Most special first: some of these are kinds of others.
_MEANINGS: tuple[tuple[type[BaseException], str], ...] = (
    (
        ssl.SSLCertVerificationError,
        'shows a certificate that is not accepted ({error}): check '
        '[oslo_messaging_rabbit] ssl_ca_file, and the host name in '
        'transport_url',
    ),
    (
        FileNotFoundError,
        'was not asked, since a file of [oslo_messaging_rabbit] ssl_ca_file, '
        'ssl_cert_file or ssl_key_file does not exist',
    ),
    (
        ssl.SSLError,
        'does not speak TLS as configured ({error}): check its port in '
        'transport_url, and [oslo_messaging_rabbit] ssl',
    ),
    (
        amqp_errors.AccessRefused,
        'refuses the user: check user and password in transport_url',
    ),
    (
        amqp_errors.NotAllowed,
        'refuses the virtual host: check it in transport_url, and that the '
        'user has permissions on it ({error})',
    ),
    (
        ConnectionRefusedError,
        'refuses connections: check that RabbitMQ runs there, and host and '
        'port in transport_url',
    ),
    (
        TimeoutError,
        'does not answer: check host and port in transport_url, the network, '
        'and whether the port is one for TLS',
    ),
    (
        socket.gaierror,
        'is not known by that name: check the host in transport_url',
    ),
)


def check(conf: cfg.ConfigOpts, timeout_seconds: float = 5.0) -> None:
    """Reach the broker once, or say why not.

    :param timeout_seconds: for each of its hosts
    :raises BusError: one line: which broker, what is wrong, what to check
    :raises ConfigurationError: when ``transport_url`` cannot be read
    """
    reached(broker(conf), timeout_seconds).release()


def reached(
    there: Broker, connect_seconds: float, heartbeat_seconds: int = 0
) -> kombu.Connection:
    """Connect, trying each host once.

    :raises BusError: when none can be reached
    """
    connection = there.connection(connect_seconds, heartbeat_seconds)
    try:
        connection.ensure_connection(
            max_retries=len(there.urls) - 1, interval_start=0
        )
    except FAILURES as error:
        connection.release()
        raise there.explain(error) from None
    return connection


def wait(conf: cfg.ConfigOpts, stop: threading.Event) -> bool:
    """Try until the broker is reached; one line in the log at each change.

    :returns: False when *stop* was set first
    :raises ConfigurationError: when ``transport_url`` cannot be read
    """
    there = broker(conf)
    trouble = Trouble(LOG)
    pauses = Pauses()
    while not stop.is_set():
        text = ''
        try:
            reached(there, 5.0).release()
        except errors.BusError as error:
            text = str(error)
        if not text:
            trouble.ends(f'The message broker {there.name} answers again')
            return True
        trouble.begins(text)
        stop.wait(pauses.next())
    return False


class Trouble:
    """Logs when trouble begins, changes or ends, and not while it lasts.

    Not to be called while an exception is handled: oslo.log appends it to the
    line.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._text = ''

    def begins(self, text: str) -> None:
        """Note that there is trouble."""
        if text != self._text:
            self._log.error('%s; trying until it works', text)
        self._text = text

    def ends(self, text: str) -> None:
        """Note that there is none, or none any more."""
        if self._text:
            self._log.info('%s', text)
        self._text = ''


class Pauses:
    """How long to wait between attempts, in seconds: 1, 2, 4 ... 30."""

    _LONGEST_SECONDS = 30.0

    def __init__(self) -> None:
        self._next = 1.0

    def next(self) -> float:
        """Return the next pause."""
        pause = self._next
        self._next = min(2 * pause, self._LONGEST_SECONDS)
        return pause

    def reset(self) -> None:
        """Begin anew: it worked."""
        self._next = 1.0
