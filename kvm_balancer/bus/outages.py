"""One line for an outage of the broker, where the libraries log hundreds.

Owns what reaches the log of what oslo.messaging and amqp say about their
connections. Who starts a program calls :func:`calm` once.
"""

import logging
import time

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


def calm() -> None:
    """Let the libraries tell an outage once, and its end once."""
    shared = OncePerOutage()
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(shared)
    # It warns of every method that crosses the closing of a channel.
    logging.getLogger('amqp').setLevel(logging.ERROR)
