"""A migration that nobody looks after: told of, and settled by a person.

What the executor has of it cannot be read, nothing can be made that would
look after it, or what did has broken. The hypervisors carry it on by
themselves; its instance is in no other migration meanwhile. The next run of
the executor tries again.
"""

import collections.abc
import dataclasses
import logging
import queue
import threading

from kvm_balancer import errors
from kvm_balancer.migration import events
from kvm_balancer.migration import hearsay
from kvm_balancer.migration import knowledge
from kvm_balancer.migration import request
from kvm_balancer.model import outcome
from kvm_balancer.model import owners
from kvm_balancer.virt import steady

LOG = logging.getLogger(__name__)

_Kind = outcome.OutcomeKind

#: Keeps an outcome. StoreError: to be told again.
Tell = collections.abc.Callable[[outcome.Outcome], None]

#: Pause before an outcome that was not kept is told again.
RETRY_SECONDS = 1.0


class Unattended:
    """What is left to do about one.

    :param wanted: what was asked for, as far as that is known
    :param trouble: why nobody looks after it
    :param tell: called from the thread that :meth:`run` is called in
    :param known: what was seen of it, and told, before
    :param inbox: where its events come in; None tells it to leave
    """

    def __init__(
        self,
        wanted: request.Request,
        trouble: str,
        tell: Tell,
        clock: steady.Clock,
        known: knowledge.Knowledge = knowledge.NOTHING,
        inbox: queue.SimpleQueue[events.Event | None] | None = None,
    ) -> None:
        self.request = wanted
        self.reason = _reason(wanted, trouble)
        self.known = dataclasses.replace(known, told=self.reason)
        self._tell = tell
        self._clock = clock
        self._inbox = queue.SimpleQueue() if inbox is None else inbox
        self._untold: outcome.Outcome | None = None
        if known.told != self.reason:
            self._untold = self._outcome(_Kind.UNKNOWN, self.reason)
        self._trouble = ''
        self._kind = _Kind.UNKNOWN
        self._over = threading.Event()

    @property
    def state(self) -> str:
        """Where it stands: unknown, until a person knows."""
        return self._kind.value

    @property
    def attended(self) -> bool:
        """Say that nothing looks at the ends of it."""
        return False

    @property
    def settled(self) -> bool:
        """Whether a person said how it ended."""
        return self._kind is not _Kind.UNKNOWN

    def start(self) -> None:
        """Tell of it, and wait for a person in a thread of its own."""
        self._try_to_tell()
        threading.Thread(
            target=self.run,
            name=f'unattended-{self.request.migration_id[:8]}',
            daemon=True,
        ).start()

    def cancel(self, cause: str) -> None:
        """Refuse to end what nobody looks after.

        :raises MigrationError: always
        """
        raise errors.MigrationError(
            f'migration {self.request.migration_id} cannot be cancelled: '
            f'{self.reason}'
        )

    def settle(self, completed: bool, cause: str) -> None:
        """Believe a person how it ended; its outcome follows.

        :param cause: who says so, and why
        """
        self._inbox.put(
            events.SettledByHand(
                at=self._clock(), cause=cause, completed=completed
            )
        )

    def leave(self) -> None:
        """Let go of it as it is."""
        self._inbox.put(None)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it was settled or left.

        :returns: False when *timeout* seconds went by first
        """
        return self._over.wait(timeout)

    def run(self) -> None:
        """Tell of it, until it is settled or left."""
        while True:
            self._try_to_tell()
            if self._untold is None and self.settled:
                break
            try:
                event = self._inbox.get(
                    timeout=None if self._untold is None else RETRY_SECONDS
                )
            except queue.Empty:
                continue
            if event is None:
                break
            if isinstance(event, events.SettledByHand):
                self._take(event)
        self._over.set()

    def _take(self, word: events.SettledByHand) -> None:
        """Take in how it ended, as a person says."""
        self._kind = _Kind.COMPLETED if word.completed else _Kind.FAILED
        self._untold = self._outcome(
            self._kind, f'settled by hand: {word.cause}'
        )

    def _try_to_tell(self) -> None:
        """Tell what was not kept yet."""
        if self._untold is None:
            return
        try:
            self._tell(self._untold)
        except errors.StoreError as error:
            trouble = str(error)
        except Exception as error:
            # It may be this very thing that broke who looked after it.
            trouble = f'{type(error).__name__}: {error}'
        else:
            self._untold, trouble = None, ''
        if trouble and trouble != self._trouble:
            LOG.error(
                'What is known of migration %s cannot be told yet: %s',
                self.request.migration_id,
                trouble,
            )
        self._trouble = trouble

    def _outcome(self, kind: _Kind, reason: str) -> outcome.Outcome:
        return hearsay.outcome_of(self.request, kind, reason, self._clock())


def _reason(wanted: request.Request, trouble: str) -> str:
    """Say why nobody looks after a migration, and what to do about it."""
    who = f'the executor of {wanted.source}'
    if wanted.owner == owners.Owner.NOVA:
        who = 'the agent'
    ends = [name for name in (wanted.source, wanted.destination) if name]
    return (
        f'nobody looks after it: {trouble}; mend that and start {who} again, '
        'which looks at both ends then; else look for the instance on '
        f'{" and on ".join(ends)}, and settle it by '
        f'{hearsay.settling(wanted.migration_id)}'
    )
