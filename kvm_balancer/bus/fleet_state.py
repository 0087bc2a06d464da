"""The state of the fleet, sent to whoever listens, and lost by all others.

Each listener has a queue of its own that ends with it and holds one message:
the newest is all that counts.
"""

import collections.abc
import logging
import threading
import time

import kombu
from oslo_config import cfg

from kvm_balancer import errors
from kvm_balancer.bus import broker
from kvm_balancer.bus import retries
from kvm_balancer.bus import streams
from kvm_balancer.bus import transport
from kvm_balancer.messages import fleet_state

LOG = logging.getLogger(__name__)

NAME = 'kvm_balancer.fleet_state'

_CONNECT_SECONDS = 5.0
_HEARTBEAT_SECONDS = 30
_POLL_SECONDS = 1.0

Take = collections.abc.Callable[[fleet_state.FleetState, float], None]


class Publisher:
    """Sends the state of the fleet."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        stream = streams.Stream(NAME, length=1, ttl_seconds=60)
        self._publisher = streams.Publisher(broker.find(conf), stream)

    def publish(self, state: fleet_state.FleetState) -> bool:
        """Send a state, or drop it where the broker does not answer.

        :returns: whether it was handed to the broker
        """
        return self._publisher.publish(fleet_state.encode(state), 'fleet')

    def close(self) -> None:
        """Let go of the broker."""
        self._publisher.close()


class Listener:
    """Hands each state to *take*, with the monotonic time it came at."""

    def __init__(self, conf: cfg.ConfigOpts, take: Take) -> None:
        self._broker = broker.find(conf)
        self._take = take
        self._trouble = retries.Trouble(LOG)
        self._pauses = retries.Pauses()

    def run(self, stop: threading.Event) -> None:
        """Listen until *stop* is set; reconnects for ever."""
        while not stop.is_set():
            trouble = ''
            try:
                self._listen(stop)
            except errors.BusError as error:
                trouble = str(error)
            except Exception as error:
                # Libraries stumble over connections that are gone, too.
                trouble = str(self._broker.explain(error))
            if trouble:
                self._trouble.begins(trouble)
            stop.wait(self._pauses.next())

    def _listen(self, stop: threading.Event) -> None:
        connection = broker.reached(
            self._broker, _CONNECT_SECONDS, _HEARTBEAT_SECONDS
        )
        with connection, connection.channel() as channel:
            queue = kombu.Queue(
                '',
                streams.Stream(NAME, 1, 60).exchange,
                routing_key='#',
                exclusive=True,
                auto_delete=True,
                durable=False,
                queue_arguments={'x-max-length': 1},
            )
            with kombu.Consumer(
                channel, [queue], on_message=self._note, no_ack=True
            ):
                self._pauses.reset()
                self._trouble.ends('The state of the fleet is heard again')
                while not stop.is_set():
                    try:
                        connection.drain_events(timeout=_POLL_SECONDS)
                    except TimeoutError:
                        connection.heartbeat_check()

    def _note(self, message: kombu.Message) -> None:
        body = message.body
        try:
            state = fleet_state.decode(
                body.encode() if isinstance(body, str) else bytes(body)
            )
        except errors.DocumentError as error:
            LOG.warning('A state of the fleet was refused: %s', error)
            return
        self._take(state, time.monotonic())


def prepare(conf: cfg.ConfigOpts) -> None:
    """Register on *conf* what it takes to reach the broker."""
    transport.set_defaults(conf)
