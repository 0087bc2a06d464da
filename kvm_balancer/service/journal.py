"""What an executor writes down of its migrations while it lives, and after.

Owns the waiting for a disk that takes nothing: an end that is for good waits
for it, since nothing follows; all else is told that it could not be kept, and
goes on meanwhile.
"""

import logging
import threading

import msgspec

from kvm_balancer import errors
from kvm_balancer.messages import migration as messages
from kvm_balancer.migration import knowledge
from kvm_balancer.migration import request
from kvm_balancer.model import outcome
from kvm_balancer.store import outbox

LOG = logging.getLogger(__name__)

OUTCOME = 'outcome'

#: Pause before an outcome that the disk did not take is written again.
RETRY_SECONDS = 1.0


class Journal:
    """Writes into an outbox what became of migrations.

    :param stopping: set when the executor ends: nothing is waited for then
    """

    def __init__(
        self, memory: outbox.Outbox, stopping: threading.Event
    ) -> None:
        self._memory = memory
        self._stopping = stopping

    def remember(
        self, wanted: request.Request, known: knowledge.Knowledge
    ) -> None:
        """Keep what was seen of a migration.

        :raises StoreError: when the disk does not take it
        """
        self._memory.remember(wanted.migration_id, known)

    def conclude(self, ended: outcome.Outcome, told: str) -> bool:
        """Keep an outcome; one that is for good waits until that is done.

        :param told: the finding that it tells, of one that is unknown
        :returns: False when the executor ends first; the next run finds the
            migration in the journal and looks at its ends
        :raises StoreError: when one that is unknown is not kept
        """
        if ended.outcome is outcome.OutcomeKind.UNKNOWN:
            self._conclude(ended, told)
            return True
        trouble = ''
        while not self._stopping.is_set():
            try:
                self._conclude(ended, told)
            except errors.StoreError as error:
                again = str(error) == trouble
                trouble = str(error)
            else:
                return True
            if not again:
                LOG.error(
                    'The outcome of migration %s cannot be kept: %s',
                    ended.migration_id,
                    trouble,
                )
            self._stopping.wait(RETRY_SECONDS)
        return False

    def _conclude(self, ended: outcome.Outcome, told: str) -> None:
        self._memory.conclude(
            ended.migration_id,
            str(ended.outcome),
            ended.ended_at,
            OUTCOME,
            msgspec.json.encode(messages.encode_outcome(ended)),
            final=ended.outcome is not outcome.OutcomeKind.UNKNOWN,
            told=told,
        )
