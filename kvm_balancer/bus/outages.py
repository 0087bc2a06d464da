"""One line for an outage of the broker, where the libraries log hundreds.

And for a message of nobody's, for which they log where they gave it up. Owns
what reaches the log of what oslo.messaging and amqp say about their
connections and about such messages. Who starts a program calls :func:`calm`
once.
"""

import logging
import time
import traceback

#: They say it again at every attempt, and for every connection.
_LOGGERS = (
    # As oslo.log names it; the others are named as they are.
    'oslo.messaging._drivers.impl_rabbit',
    'oslo_messaging._drivers.impl_rabbit',
    'oslo_messaging._drivers.amqpdriver',
    'oslo_messaging._drivers.pool',
)
#: Beginnings of lines that tell of a connection and not of a message.
_OUTAGE = (
    'Connection failed',
    '[%(connection_id)s] AMQP server',
    'Unable to connect to AMQP server',
    'Failed to process incoming message, retrying',
    'Failed to publish message to topic',
    'Failed to declare consumer for topic',
    'Failed to consume message from queue',
    'A recoverable connection/channel error occurred',
    'Unexpected error during heartbeat thread processing',
)
#: Where they tell of messages that are given up.
_READERS = (*_LOGGERS[:2], 'oslo_messaging.rpc.server')
_GIVEN_UP = ('Failed to process message', 'Exception during message handling')
_OURS = 'kvm_balancer.'
_RECOVERY = '[%(connection_id)s] Reconnected to AMQP server'
#: An outage is called to mind after this long.
_AGAIN_SECONDS = 600.0


class OncePerOutage(logging.Filter):
    """Lets the first line of an outage pass, without a traceback."""

    def __init__(self) -> None:
        super().__init__()
        self._until = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        text = str(record.msg)
        if text.startswith(_RECOVERY):
            was_out, self._until = self._until > 0.0, 0.0
            return was_out
        # Some are formatted before they are logged.
        if not text.startswith(_OUTAGE):
            return True
        record.exc_info = None
        now = time.monotonic()
        if now < self._until:
            return False
        self._until = now + _AGAIN_SECONDS
        return True


class LineForRubbish(logging.Filter):
    """Lets a message that cannot be read be told without a traceback.

    One that has come as far as our own code keeps it: that is a defect.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.exc_info or not str(record.msg).startswith(_GIVEN_UP):
            return True
        _, error, way = record.exc_info
        modules = [
            frame.f_globals.get('__name__', '')
            for frame, _ in traceback.walk_tb(way)
        ]
        if not any(one.startswith(_OURS) for one in modules):
            record.msg = (
                'A message that cannot be read is passed over: see who else '
                'writes to this broker: %s'
            )
            record.args = (error,)
            record.exc_info = None
        return True


def calm() -> None:
    """Let the libraries tell an outage once, and its end once.

    And a message that is none in one line.
    """
    shared = OncePerOutage()
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(shared)
    for name in _READERS:
        logging.getLogger(name).addFilter(LineForRubbish())
    # It warns of every method that crosses the closing of a channel.
    logging.getLogger('amqp').setLevel(logging.ERROR)
