"""One-way streams over kombu, in which the newest matter: what is lost is
replaced by the next.

A stream has a topic exchange of its own, and a queue with a length limit
(the oldest are dropped) and a time after which messages are dropped. The
reader declares the queue, so that its limits are one program's options; what
is sent before there ever was a reader is dropped by the broker.

A publisher never makes its caller wait for long: where the broker does not
answer it drops, and tries again after a pause. A reader tries for ever. Both
log one line when trouble begins and one when it ends.
"""

import collections.abc
import contextlib
import dataclasses
import logging
import math
import threading
import time
from typing import Any
from typing import Protocol

from amqp import exceptions as amqp_errors
import kombu
from kombu.transport import virtual

from kvm_balancer import errors
from kvm_balancer.bus import broker
from kvm_balancer.bus import retries

LOG = logging.getLogger(__name__)

_CONTENT_TYPE = 'application/json'
#: Not a codec: bodies stay the bytes they are.
_ENCODING = 'binary'

#: Half of what the operating system needs to notice that a peer is gone.
_CONNECT_SECONDS = 3.0
_HEARTBEAT_SECONDS = 30
#: How often a reader looks whether it is the only one.
_COUNT_SECONDS = 15.0
#: When the broker has given up a reader that died without a word.
_DEAD_SECONDS = 3.0 * _HEARTBEAT_SECONDS
#: How often a reader looks whether it is to stop.
_POLL_SECONDS = 0.5
#: How long a socket is waited for when there may be nothing on it.
_NO_TIME_SECONDS = 0.001


class Readable(Protocol):
    """What a reader reads."""

    @property
    def name(self) -> str:
        """Name of the queue."""

    @property
    def options(self) -> str:
        """Names of the options of its limits; empty where there are none."""

    @property
    def absent(self) -> str:
        """What of a broker it is that it lacks what the queue is bound to."""

    @property
    def queue(self) -> Any:
        """The queue, as kombu declares it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Stream:
    """The names and limits of a stream.

    :ivar name: of the exchange, and of the queue
    :ivar length: messages that the broker keeps; the oldest are dropped
    :ivar ttl_seconds: time after which it drops a message
    :ivar persistent: messages survive a restart of the broker
    :ivar options: names of the options of the limits, for the operator
    """

    name: str
    length: int
    ttl_seconds: int
    persistent: bool = False
    options: str = ''
    absent: str = 'lacks the exchange'

    @property
    def exchange(self) -> Any:
        """The exchange, as kombu declares it."""
        return kombu.Exchange(self.name, type='topic', durable=True)

    @property
    def queue(self) -> Any:
        """The queue, as kombu declares it."""
        return kombu.Queue(
            self.name,
            self.exchange,
            routing_key='#',
            durable=True,
            queue_arguments={
                'x-max-length': self.length,
                'x-overflow': 'drop-head',
                'x-message-ttl': self.ttl_seconds * 1000,
            },
        )


class Publisher:
    """Sends to a stream; may be used from several threads."""

    def __init__(self, there: broker.Broker, stream: Stream) -> None:
        self._broker = there
        self._stream = stream
        self._trouble = retries.Trouble(LOG)
        self._pauses = retries.Pauses()
        self._not_before = 0.0
        self._lock = threading.Lock()
        self._connection: Any = None
        self._producer: Any = None
        #: messages that were not sent
        self.dropped = 0

    def publish(self, body: bytes, key: str) -> bool:
        """Send *body*, or drop it when the broker does not answer.

        :param key: routing key; the name of the host it is about
        :returns: whether it was handed to the broker
        """
        with self._lock:
            return self._publish(body, key)

    def _publish(self, body: bytes, key: str) -> bool:
        if self._producer is None and time.monotonic() < self._not_before:
            self.dropped += 1
            return False
        trouble = ''
        try:
            self._send(body, key)
        except errors.BusError as error:
            trouble = str(error)
        except broker.FAILURES as error:
            trouble = str(self._broker.explain(error))
        except Exception as error:
            # Libraries stumble over connections that are gone, too; what
            # is left of this one would fail for ever.
            LOG.debug('%s', self._stream.name, exc_info=True)
            trouble = str(self._broker.explain(error))
        if trouble:
            self._failed(trouble)
            return False
        self._pauses.reset()
        self._trouble.ends(
            f'The message broker {self._broker.name} answers again; '
            f'{self.dropped} messages of {self._stream.name} were dropped'
        )
        self.dropped = 0
        return True

    def close(self) -> None:
        """Let go of the broker."""
        with self._lock:
            self._release()

    def _release(self) -> None:
        connection, self._connection = self._connection, None
        self._producer = None
        if connection is not None:
            try:
                connection.release()
            except Exception as error:
                LOG.debug('The connection did not end cleanly: %s', error)

    def _send(self, body: bytes, key: str) -> None:
        if self._producer is None:
            self._connection = broker.reached(self._broker, _CONNECT_SECONDS)
            self._producer = kombu.Producer(
                self._connection.default_channel, self._stream.exchange
            )
            self._stream.exchange(self._producer.channel).declare()
        else:
            self._listen()
        self._producer.publish(
            body,
            routing_key=key,
            content_type=_CONTENT_TYPE,
            content_encoding=_ENCODING,
            delivery_mode=2 if self._stream.persistent else 1,
        )

    def _listen(self) -> None:
        """Find out whether the broker has closed the connection."""
        if self._broker.in_memory:
            return
        with contextlib.suppress(TimeoutError):
            self._connection.drain_events(timeout=_NO_TIME_SECONDS)

    def _failed(self, text: str) -> None:
        self.dropped += 1
        self._release()
        self._not_before = time.monotonic() + self._pauses.next()
        self._trouble.begins(text)


#: Takes the bodies of a batch, in the order in which they came.
Take = collections.abc.Callable[[list[bytes]], None]


class Reader:
    """Takes a stream in batches, until it is told to stop.

    A batch is acknowledged after it was taken. Should taking it raise, that
    is logged and the batch is gone: coming again would not help it.

    :param batch_size: messages in a batch, at most; twice as many are asked
        for ahead
    :param batch_seconds: how long a batch is waited for to fill
    :param on_others: called again and again while somebody else reads the
        same queue, so that each gets a part; not for one that died
    """

    def __init__(
        self,
        there: broker.Broker,
        stream: Readable,
        take: Take,
        batch_size: int = 500,
        batch_seconds: float = 0.25,
        on_others: collections.abc.Callable[[], None] | None = None,
    ) -> None:
        self._broker = there
        self._stream = stream
        self._take = take
        self._on_others = on_others
        self._count_at = 0.0
        #: since when somebody else reads, too
        self._others_since = math.inf
        self._batch_size = batch_size
        self._batch_seconds = batch_seconds
        self._trouble = retries.Trouble(LOG)
        self._pauses = retries.Pauses()
        self._pending: list[Any] = []
        #: set while the queue is declared and consumed
        self.ready = threading.Event()

    def run(self, stop: threading.Event) -> None:
        """Read until *stop* is set; reconnects for ever."""
        while not stop.is_set():
            trouble = ''
            try:
                self._read(stop)
            except errors.BusError as error:
                trouble = str(error)
            except amqp_errors.PreconditionFailed:
                trouble = self._other_limits()
            except amqp_errors.NotFound:
                trouble = (
                    f'The message broker {self._broker.name} '
                    f'{self._stream.absent}'
                )
            except broker.FAILURES as error:
                trouble = str(self._broker.explain(error))
            except Exception as error:
                # A reader that has ended makes every host look silent.
                LOG.debug('%s', self._stream.name, exc_info=True)
                trouble = str(self._broker.explain(error))
            finally:
                self.ready.clear()
                self._pending.clear()
            if trouble:
                self._trouble.begins(trouble)
            if not stop.is_set():
                stop.wait(self._pauses.next())

    def _read(self, stop: threading.Event) -> None:
        connection = broker.reached(
            self._broker, _CONNECT_SECONDS, _HEARTBEAT_SECONDS
        )
        with connection, connection.channel() as channel:
            consumer = kombu.Consumer(
                channel,
                [self._stream.queue],
                on_message=self._pending.append,
                prefetch_count=2 * self._batch_size,
            )
            with consumer:
                self._pauses.reset()
                self._trouble.ends(f'{self._stream.name} is read again')
                self.ready.set()
                while not stop.is_set():
                    self._fill(connection, stop)
                    self._hand_over(channel)
                    self._count(channel)

    def _fill(self, connection: Any, stop: threading.Event) -> None:
        """Wait for a batch or its time, where a first message comes."""
        if not self._pending:
            self._drain(connection, _POLL_SECONDS)
        if not self._pending:
            return
        until = time.monotonic() + self._batch_seconds
        while len(self._pending) < self._batch_size:
            left = until - time.monotonic()
            if left <= 0 or stop.is_set():
                break
            self._drain(connection, max(left, _NO_TIME_SECONDS))

    def _drain(self, connection: Any, timeout_seconds: float) -> None:
        try:
            connection.drain_events(timeout=timeout_seconds)
        except TimeoutError:
            if connection.supports_heartbeats:
                connection.heartbeat_check()

    def _hand_over(self, channel: Any) -> None:
        if not self._pending:
            return
        batch = self._pending[: self._batch_size]
        try:
            self._take([_body(message) for message in batch])
        except Exception:
            LOG.exception(
                'A batch of %d messages of %s could not be taken',
                len(batch),
                self._stream.name,
            )
        if isinstance(channel, virtual.Channel):
            for message in batch:
                message.ack()
        else:
            channel.basic_ack(batch[-1].delivery_tag, multiple=True)
        del self._pending[: len(batch)]

    def _count(self, channel: Any) -> None:
        """See now and then who else reads the queue."""
        now = time.monotonic()
        if self._on_others is None or now < self._count_at:
            return
        self._count_at = now + _COUNT_SECONDS
        declared = channel.queue_declare(self._stream.name, passive=True)
        if declared.consumer_count < 2:
            self._others_since = math.inf
            return
        self._others_since = min(self._others_since, now)
        if now - self._others_since >= _DEAD_SECONDS:
            self._on_others()

    def _other_limits(self) -> str:
        name, options = self._stream.name, self._stream.options
        limits = f'limits than {options} now ask for' if options else 'limits'
        return (
            f'The queue {name} on {self._broker.name} was made with other '
            f'{limits}: delete it (rabbitmqctl delete_queue {name}, in its '
            f'virtual host){" or set them back" if options else ""}'
        )


def _body(message: Any) -> bytes:
    body = message.body
    return body.encode() if isinstance(body, str) else bytes(body)
