"""Carries messages from an outbox to the broker: executor's, or agent's.

A message leaves the outbox when the broker has confirmed it and not before.
As long as it does not, everything waits here, in order, and is offered again
from time to time. One that the broker has and that a full disk keeps in the
outbox is not sent again.
"""

import collections.abc
import logging
from typing import Protocol

from kvm_balancer import errors
from kvm_balancer.service import background
from kvm_balancer.store import outbox

LOG = logging.getLogger(__name__)


class Waiting(Protocol):
    """Where messages wait; each method may raise StoreError."""

    def pending(self) -> list[outbox.Message]: ...
    def done(self, message_id: int) -> None: ...


#: Sends one message; returns when the broker has it, else raises BusError.
Send = collections.abc.Callable[[outbox.Message], None]


class Courier:
    """Empties an outbox, in a thread of its own.

    :param retry_seconds: pause after the broker did not take a message
    """

    def __init__(
        self, memory: Waiting, send: Send, retry_seconds: float
    ) -> None:
        self._memory = memory
        self._send = send
        self._retry_seconds = retry_seconds
        self._trouble = ''
        # The broker has it, and the outbox could not be told so yet.
        self._confirmed: int | None = None
        self._background = background.Background('courier', self._run)

    def start(self) -> None:
        """Begin, with whatever an earlier run has left."""
        self._background.start()

    def wake(self) -> None:
        """Say that there is something to send."""
        self._background.wake()

    def stop(self) -> None:
        """End; what was not confirmed stays in the outbox."""
        self._background.stop()

    def _run(self) -> None:
        while not self._background.ending:
            empty = self._empty()
            self._background.pause(None if empty else self._retry_seconds)

    def _empty(self) -> bool:
        """Send what waits; return whether nothing is left."""
        trouble = ''
        try:
            for message in self._memory.pending():
                if self._background.ending:
                    return False
                if message.id != self._confirmed:
                    self._send(message)
                    self._confirmed = message.id
                self._memory.done(message.id)
                self._confirmed = None
        except errors.KVMBalancerError as error:
            trouble = str(error)
        except Exception as error:
            # A courier that has ended would keep every outcome to itself.
            trouble = f'{type(error).__name__}: {error}'
            if trouble != self._trouble:
                LOG.exception('An outcome could not be sent')
        if trouble and trouble != self._trouble:
            LOG.error('Outcomes wait in the outbox: %s', trouble)
        elif self._trouble and not trouble:
            LOG.info('The broker takes outcomes again')
        self._trouble = trouble
        return not trouble
