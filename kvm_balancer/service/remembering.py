"""What the agent remembers, shared by its threads and kept in its store.

Outcomes reach it from one thread, decisions from another. What it has
learned, and where it has seen instances last, is written down when it has
changed, after every decision; a store that does not answer costs the newest
lessons, and no decision.
"""

import collections.abc
import contextlib
import logging
import threading
from typing import Any
import zlib

import msgspec

from kvm_balancer import errors
from kvm_balancer.migration import request
from kvm_balancer.migration.foresight import correction
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import outcome as outcomes
from kvm_balancer.model import placement
from kvm_balancer.model import plan as plans
from kvm_balancer.planner import budget
from kvm_balancer.planner import rounds
from kvm_balancer.policies import credit
from kvm_balancer.policies import decision
from kvm_balancer.policies import memory
from kvm_balancer.store import memories

LOG = logging.getLogger(__name__)

_NAME = 'lessons'
_SEEN = 'seen/'


class SharedMemory:
    """A memory that several threads may use, and that survives a restart."""

    def __init__(
        self, remembered: memory.Memory, store: memories.MemoryStore
    ) -> None:
        self._memory = remembered
        self._store = store
        self._kept = b''
        self._lock = threading.Lock()

    def recover(self, credits: credit.Credits) -> None:
        """Take up what an earlier run has learned.

        :param credits: of the policies, which are kept with it
        :raises StoreError: when the store does not answer
        """
        for name, body in self._store.load_all(_SEEN).items():
            with _told_of_damage(f'Where instances were ({name})'):
                seen = msgspec.msgpack.decode(
                    zlib.decompress(body), type=dict[str, str]
                )
                with self._lock:
                    self._memory.seen.restore(seen)
        lessons = self._store.load(_NAME)
        if lessons is None:
            return
        with _told_of_damage('What an earlier run had learned'):
            document = msgspec.json.decode(lessons)
            with self._lock:
                self._memory.restore(document)
            credits.restore(document.get('credits', ()))
            credits.restore_promise(document.get('promised'))

    def save(self, credits: credit.Credits, now: float) -> None:
        """Write down what has changed since the last time."""
        with self._lock:
            document: dict[str, Any] = self._memory.document()
        document['credits'] = credits.document()
        document['promised'] = credits.promised()
        try:
            self._save_lessons(msgspec.json.encode(document), now)
            self._save_seen(now)
        except errors.StoreError as error:
            LOG.warning('What was learned is not kept: %s', error)

    def _save_lessons(self, body: bytes, now: float) -> None:
        if body != self._kept:
            self._store.save(_NAME, body, now)
            self._kept = body

    def _save_seen(self, now: float) -> None:
        """Write down where instances are; only decisions change that."""
        with self._lock:
            bodies = {
                f'{_SEEN}{number:04d}': zlib.compress(
                    msgspec.msgpack.encode(piece), 1
                )
                for number, piece in self._memory.seen.changed().items()
            }
        if bodies:
            self._store.save_all(bodies, now)
            self._memory.seen.written()

    def ours(self, wanted: request.Request) -> None:
        """Take down that a migration is ours, and under way."""
        with self._lock:
            self._memory.ours(
                wanted.instance, wanted.source, wanted.destination
            )

    def moved(
        self,
        instance: str,
        source: str,
        destination: str,
        at: float,
        completed: bool,
    ) -> None:
        """Take down a migration of an earlier run, which has ended."""
        with self._lock:
            self._memory.ours(instance, source, destination, at, completed)

    def begun(self, fleet: columns.Fleet, move: plans.Move) -> None:
        """Take down that a move of ours begins."""
        with self._lock:
            self._memory.begun(fleet, move)

    def ended(self, ended: outcomes.Outcome, now: float) -> None:
        """Take down how a migration ended."""
        with self._lock:
            told = self._memory.ended(
                ended.instance,
                ended.source,
                ended.destination,
                ended.outcome,
                min(ended.ended_at, now),
            )
        if told:
            LOG.warning('%s', told)

    def other_plan(self, plan_id: str, now: float) -> None:
        """Take down that another agent's migration was told of."""
        with self._lock:
            self._memory.other_plan(plan_id, now)

    def other_reader(self, now: float) -> None:
        """Take down that another agent takes samples of the same bus."""
        with self._lock:
            self._memory.other_reader(now)

    def look(self, fleet: columns.Fleet, now: float) -> None:
        """Look at *fleet*, and tell what there is to tell."""
        with self._lock:
            told = self._memory.look(fleet, now)
        for line in told:
            LOG.warning('%s', line)

    def trouble(self, now: float) -> str:
        """Say that another balancer is at work; empty where none is."""
        with self._lock:
            return self._memory.trouble(now)

    def moved_by_others(self, now: float) -> int:
        """Count the instances left alone because others moved them."""
        with self._lock:
            return self._memory.moved_by_others(now)

    def held(self) -> dict[str, rounds.Held]:
        """Return who is left where it is, by instance."""
        with self._lock:
            return dict(self._memory.held)

    def release(self, instance: str) -> bool:
        """Let an instance go again; say whether it was held."""
        with self._lock:
            return self._memory.release(instance)

    def surroundings(
        self,
        fleet: columns.Fleet,
        now: float,
        in_flight: collections.abc.Sequence[placement.InFlight],
        corrections: correction.Corrections | None,
        closed_zones: collections.abc.Mapping[str, str],
        allowance: budget.Allowance | None,
    ) -> decision.Surroundings:
        """Return what a decision has to leave alone now."""
        with self._lock:
            return self._memory.surroundings(
                fleet, now, in_flight, corrections, closed_zones, allowance
            )


@contextlib.contextmanager
def _told_of_damage(what: str) -> collections.abc.Iterator[None]:
    """Go on without *what* where it cannot be read, and tell it."""
    try:
        yield
    except (
        msgspec.MsgspecError,
        AttributeError,
        KeyError,
        TypeError,
        ValueError,
        zlib.error,
    ) as error:
        LOG.warning(
            '%s cannot be read, and is learned anew: %s',
            what,
            error,
        )
