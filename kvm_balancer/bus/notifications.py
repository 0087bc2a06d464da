"""Outcomes: notifications that are not lost.

Queue and messages are durable, and sending returns only when the broker has
confirmed that it keeps the message; where it has not, sending raises, and
the outcome stays in the sender's outbox. The reader acknowledges a message
after it was taken; what could not be taken comes again, after a pause.

Anyone else may read outcomes as well, with a pool (a queue) of its own: the
queue without a pool is the agent's, and needs a reader. The agent tells those
that no executor does: of commands that were refused or never taken on, of
executors that are silent, what a person settled without one, and what goes
through Nova.
"""

import collections.abc
import datetime
import functools
import logging
import re
import threading
from typing import Any
import uuid

from oslo_config import cfg
import oslo_messaging
from oslo_messaging import notify

from kvm_balancer import errors
from kvm_balancer.bus import broker
from kvm_balancer.bus import closing
from kvm_balancer.bus import retries
from kvm_balancer.bus import transport
from kvm_balancer.messages import schema

LOG = logging.getLogger(__name__)

OUTCOME_TOPIC = 'kvm_balancer.outcomes'
OUTCOME_EVENT = 'migration.outcome'
_PRIORITY = 'info'

#: Who publishes.
_AGENT = 'agent'
_EXECUTOR = 'executor.'

#: The outbox tries again; here, only a connection gone stale is replaced.
_RETRIES = 1


class ConfirmedDriver(notify.Driver):  # type: ignore[misc]
    """Sends a notification and raises when the broker did not take it.

    The ``messagingv2`` driver of oslo.messaging sends the same, but logs
    its failures and returns as if it had succeeded. ``Notifier`` does so as
    well, whatever its driver: who has to know calls the driver.
    """

    def notify(
        self,
        ctxt: dict[str, Any],
        msg: dict[str, Any],
        priority: str,
        retry: int | None,
    ) -> None:
        """Send *msg* to each topic.

        :param retry: None or -1 for a bounded number all the same
        :raises BusError: when the broker did not confirm it
        """
        if retry is None or retry < 0:
            retry = _RETRIES
        for topic in self.topics:
            target = oslo_messaging.Target(topic=f'{topic}.{priority.lower()}')
            try:
                self.transport._send_notification(
                    target, ctxt, msg, version=2.0, retry=retry
                )
            except (
                oslo_messaging.MessagingException,
                *broker.FAILURES,
            ) as error:
                text = ' '.join(str(error).split())
                raise errors.BusError(
                    f'{target.topic} was not taken by the message broker: '
                    f'{text}'
                ) from None


class OutcomePublisher:
    """Sends outcomes, and knows that they arrived.

    :param host: name of the host whose executor speaks; None for the agent
    """

    def __init__(self, conf: cfg.ConfigOpts, host: str | None = None) -> None:
        self._conf = conf
        self._who = _AGENT if host is None else f'{_EXECUTOR}{host}'
        self._transport = transport.notification(conf)
        self._driver = ConfirmedDriver(
            self._transport.conf, [OUTCOME_TOPIC], self._transport
        )
        self._reached = False

    def publish(self, payload: dict[str, Any]) -> None:
        """Send an outcome; returns when the broker keeps it.

        :raises BusError: when it does not: send it again later
        """
        if not self._reached:
            broker.check(self._conf)
            self._reached = True
        message = {
            'message_id': str(uuid.uuid4()),
            'publisher_id': self._who,
            'event_type': OUTCOME_EVENT,
            'priority': _PRIORITY.upper(),
            'payload': payload,
            'timestamp': str(datetime.datetime.now(datetime.UTC)),
        }
        try:
            self._driver.notify({}, message, _PRIORITY, _RETRIES)
        except errors.BusError:
            self._reached = False
            raise

    def close(self) -> None:
        """Let go of the broker."""
        closing.within(
            10.0,
            'the notification transport',
            functools.partial(transport.release, self._conf, self._transport),
        )


#: Stores one payload; returns when it is stored, raises when it is not.
Take = collections.abc.Callable[[dict[str, Any]], None]


class _Endpoint:
    """What oslo.messaging hands notifications to."""

    def __init__(
        self, take: Take, stop: threading.Event, of_executors: bool
    ) -> None:
        #: what oslo.messaging acknowledges unread where it does not match
        self.filter_rule = (
            oslo_messaging.NotificationFilter(
                publisher_id=f'^{re.escape(_EXECUTOR)}'
            )
            if of_executors
            else None
        )
        self._take = take
        self._stop = stop
        self._pauses = retries.Pauses()
        self._trouble = retries.Trouble(LOG)

    def info(
        self,
        _ctxt: dict[str, Any],
        _publisher_id: str,
        _event_type: str,
        payload: dict[str, Any],
        _metadata: dict[str, Any],
    ) -> str:
        if self._stop.is_set():
            return str(oslo_messaging.NotificationResult.REQUEUE)
        refused = trouble = ''
        try:
            self._take(payload)
        except errors.DocumentError as error:
            refused = str(error)
        except Exception as error:
            trouble = f'{type(error).__name__}: {" ".join(str(error).split())}'
        if trouble:
            return self._again(trouble)
        if refused:
            # Coming again would not make it better.
            LOG.error(
                'The outcome of migration %s was refused: %s',
                _named(payload),
                refused,
            )
        self._pauses.reset()
        self._trouble.ends('Outcomes are stored again')
        return str(oslo_messaging.NotificationResult.HANDLED)

    def _again(self, trouble: str) -> str:
        """Give it back to the broker, which hands it out again at once."""
        self._trouble.begins(
            f'An outcome could not be stored, and is kept on the broker: '
            f'{trouble}'
        )
        self._stop.wait(self._pauses.next())
        return str(oslo_messaging.NotificationResult.REQUEUE)


def _named(payload: object) -> str:
    """Say which migration an outcome is of, as far as it says so."""
    told = payload.get('migration_id') if isinstance(payload, dict) else None
    return schema.brief(told)


class OutcomeListener:
    """Hands outcomes to *take*, one at a time.

    :param take: stores a payload, and returns only when it is stored; may
        get the same outcome twice. DocumentError drops the message, any
        other error makes it come again after a pause.
    :param pool: name of a queue of one's own, in which is what the agent
        tells as well; None for the agent's
    """

    def __init__(
        self, conf: cfg.ConfigOpts, take: Take, pool: str | None = None
    ) -> None:
        self._stop = threading.Event()
        self._started = False
        self._conf = conf
        self._transport = transport.notification(conf)
        self._listener = oslo_messaging.get_notification_listener(
            self._transport,
            [
                oslo_messaging.Target(
                    topic=OUTCOME_TOPIC, exchange=conf.control_exchange
                )
            ],
            # What the agent tells it has kept before.
            [_Endpoint(take, self._stop, of_executors=pool is None)],
            allow_requeue=True,
            pool=pool,
        )

    def start(self) -> None:
        """Begin to listen.

        Blocks while the broker cannot be reached: :func:`broker.wait`
        for it first.
        """
        self._started = True
        self._listener.start(override_pool_size=1)

    def stop(self, timeout_seconds: float = 10.0) -> None:
        """Take what was begun, and no more; let go of the broker."""
        self._stop.set()
        listener = self._listener
        # oslo.messaging waits for a start that never comes.
        ends = (listener.stop, listener.wait) if self._started else ()
        closing.within(
            timeout_seconds,
            'the notification listener',
            *ends,
            functools.partial(transport.release, self._conf, self._transport),
        )
