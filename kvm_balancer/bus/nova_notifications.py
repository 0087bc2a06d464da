"""Nova's notifications, on a queue of our own.

The queue is bound to Nova's exchange beside those of others, and gets a copy
of each notification: nothing is taken from anybody. The exchange is Nova's to
declare, and never declared here. Nova's broker may be another one than ours,
and must not be filled: the queue has a length, and goes with who reads it.
"""

import collections.abc
import dataclasses
import logging
import threading
from typing import Any

import kombu
from oslo_config import cfg

from kvm_balancer import errors
from kvm_balancer.bus import broker
from kvm_balancer.bus import streams
from kvm_balancer.bus import transport
from kvm_balancer.messages import nova_notifications

LOG = logging.getLogger(__name__)

Take = collections.abc.Callable[[nova_notifications.News], None]

#: Priorities that Nova sends by: failures are told as errors, and are news.
_PRIORITIES = ('info', 'warn', 'error')
#: All that happens in a large cloud for some minutes. Who was away for longer
#: asks for what has changed.
_LENGTH = 10_000
_TTL_SECONDS = 600
#: Longer than it takes to start an agent anew; then the queue is gone.
_EXPIRES_SECONDS = 3600


@dataclasses.dataclass(frozen=True, slots=True)
class Copies:
    """A queue that gets copies of what Nova sends.

    :ivar name: of the queue
    :ivar exchange: of Nova
    """

    name: str
    exchange: str
    topics: tuple[str, ...]
    options: str = ''

    @property
    def absent(self) -> str:
        """What it means that the exchange is not there."""
        return (
            f'has no exchange {self.exchange}: Nova makes it with its first '
            'notification; see [nova_notifications] exchange, and driver in '
            "[oslo_messaging_notifications] of Nova's own"
        )

    @property
    def queue(self) -> Any:
        """The queue, as kombu declares it; the exchange is there or not."""
        theirs = kombu.Exchange(self.exchange, type='topic', no_declare=True)
        return kombu.Queue(
            self.name,
            bindings=[
                kombu.binding(theirs, routing_key=f'{topic}.{priority}')
                for topic in self.topics
                for priority in _PRIORITIES
            ],
            durable=True,
            queue_arguments={
                'x-max-length': _LENGTH,
                'x-overflow': 'drop-head',
                'x-message-ttl': _TTL_SECONDS * 1000,
                'x-expires': _EXPIRES_SECONDS * 1000,
            },
        )


class Listener:
    """Hands news of Nova to *take*.

    :raises ConfigurationError: when the transport cannot be used
    """

    def __init__(self, conf: cfg.ConfigOpts, take: Take) -> None:
        group = conf.nova_notifications
        self._take = take
        try:
            there = broker.find(_theirs(conf))
        except errors.ConfigurationError as error:
            raise errors.ConfigurationError(
                f'[nova_notifications] {error}'
            ) from None
        self._reader = streams.Reader(
            there,
            Copies(group.pool, group.exchange, tuple(group.topics)),
            self._read,
        )
        #: set while it listens
        self.ready = self._reader.ready

    def run(self, stop: threading.Event) -> None:
        """Listen until *stop* is set; reconnects for ever."""
        self._reader.run(stop)

    def _read(self, bodies: list[bytes]) -> None:
        for body in bodies:
            try:
                news = nova_notifications.decode(body)
            except errors.DocumentError as error:
                LOG.warning('A notification of Nova was refused: %s', error)
                continue
            if news is not None:
                try:
                    self._take(news)
                except Exception:
                    # One that is not understood costs no other.
                    LOG.exception('A notification was passed over')


def _theirs(conf: cfg.ConfigOpts) -> cfg.ConfigOpts:
    """Return options that lead to Nova's broker.

    All else is as on our own broker.
    """
    transport.set_defaults(conf)
    theirs = cfg.ConfigOpts()
    transport.set_defaults(theirs)
    theirs([], project='kvm_balancer', default_config_files=[])
    for name in conf[transport.RABBIT]:
        theirs.set_override(
            name, conf[transport.RABBIT][name], transport.RABBIT
        )
    theirs.set_override(
        'transport_url',
        conf.nova_notifications.transport_url or conf.transport_url,
    )
    return theirs
