"""Nova's notifications, on a queue of our own.

A listener with a pool gets a copy of each: nothing is taken from those who
listen besides. Nova's broker may be another one than ours.
"""

import collections.abc
import functools
import logging
from typing import Any

from oslo_config import cfg
import oslo_messaging

from kvm_balancer import errors
from kvm_balancer.bus import closing
from kvm_balancer.bus import transport
from kvm_balancer.messages import nova_notifications

LOG = logging.getLogger(__name__)

Take = collections.abc.Callable[[nova_notifications.News], None]


class _Endpoint:
    def __init__(self, take: Take) -> None:
        self._take = take

    def info(
        self,
        _ctxt: dict[str, Any],
        _publisher_id: str,
        event_type: str,
        payload: object,
        metadata: dict[str, Any],
    ) -> None:
        news = nova_notifications.read(
            event_type, payload, str(metadata.get('timestamp', ''))
        )
        if news is not None:
            try:
                self._take(news)
            except Exception:
                # One that is not understood must not come again for ever.
                LOG.exception('A notification %s was passed over', event_type)

    #: failures are told as errors, and are news as well
    error = info
    warn = info


class Listener:
    """Hands news of Nova to *take*, from a thread of its own.

    :raises ConfigurationError: when the transport cannot be used
    """

    def __init__(self, conf: cfg.ConfigOpts, take: Take) -> None:
        group = conf.nova_notifications
        try:
            self._transport = oslo_messaging.get_notification_transport(
                _theirs(conf), url=group.transport_url or conf.transport_url
            )
        except (oslo_messaging.InvalidTransportURL, ValueError):
            raise errors.ConfigurationError(
                '[nova_notifications] transport_url cannot be read; it has '
                'the form rabbit://USER:PASSWORD@HOST:PORT/VIRTUAL_HOST'
            ) from None
        except (oslo_messaging.DriverLoadFailure, ImportError):
            raise errors.ConfigurationError(
                '[nova_notifications] transport_url is of no transport of '
                'oslo.messaging; for RabbitMQ it begins with rabbit://'
            ) from None
        self._listener = oslo_messaging.get_notification_listener(
            self._transport,
            [
                oslo_messaging.Target(topic=topic, exchange=group.exchange)
                for topic in group.topics
            ],
            [_Endpoint(take)],
            pool=group.pool,
        )
        self._started = False

    def start(self) -> None:
        """Begin to listen; blocks while the broker cannot be reached."""
        self._started = True
        self._listener.start(override_pool_size=1)

    def stop(self, timeout_seconds: float = 10.0) -> None:
        """Take no more; let go of the broker."""
        # oslo.messaging waits for a start that never comes.
        ends = (
            (self._listener.stop, self._listener.wait) if self._started else ()
        )
        closing.within(
            timeout_seconds,
            "the listener to Nova's notifications",
            *ends,
            functools.partial(self._transport.cleanup),
        )


def _theirs(conf: cfg.ConfigOpts) -> cfg.ConfigOpts:
    """Return options of oslo.messaging that declare things as Nova does.

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
        'amqp_durable_queues',
        conf.nova_notifications.durable,
        transport.RABBIT,
    )
    return theirs
