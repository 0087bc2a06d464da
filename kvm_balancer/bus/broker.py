"""Where the broker is, and how kombu gets there.

The same ``transport_url`` leads kombu and oslo.messaging to one broker, with
the TLS options of ``[oslo_messaging_rabbit]``; ``fake://`` pairs with kombu's
``memory://``. Knows nothing of what is sent.
"""

import dataclasses
import logging
import socket
import ssl
import threading
from typing import Any
from urllib import parse

from amqp import exceptions as amqp_errors
import kombu
from kombu import exceptions as kombu_errors
from oslo_config import cfg
import oslo_messaging
from oslo_utils import netutils
from oslo_utils import strutils

from kvm_balancer import errors
from kvm_balancer.bus import diagnosis
from kvm_balancer.bus import retries
from kvm_balancer.bus import transport

LOG = logging.getLogger(__name__)

_PORT = 5672

#: All that a connection raises when something is wrong with the way.
FAILURES = (amqp_errors.AMQPError, kombu_errors.KombuError, OSError)


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
            f'The message broker {self.name} '
            f'{diagnosis.meaning(error, bool(self.tls))}'
        )


def find(conf: cfg.ConfigOpts) -> Broker:
    """Find out where ``transport_url`` leads.

    :raises ConfigurationError: when it is none, or leads nowhere that kombu
        could follow
    """
    parsed = transport.parse(conf)
    if parsed.transport in transport.IN_MEMORY:
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
    return conf[transport.RABBIT][name]


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


def check(conf: cfg.ConfigOpts, timeout_seconds: float = 5.0) -> None:
    """Reach the broker once, or say why not.

    :param timeout_seconds: for each of its hosts
    :raises BusError: one line: which broker, what is wrong, what to check
    :raises ConfigurationError: when ``transport_url`` cannot be read
    """
    reached(find(conf), timeout_seconds).release()


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
    there = find(conf)
    trouble = retries.Trouble(LOG)
    pauses = retries.Pauses()
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
