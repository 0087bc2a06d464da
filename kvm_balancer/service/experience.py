"""What the agent has learned of its predictions, from what it has stored.

Nothing of it is kept elsewhere: after a restart it is learned again from the
migrations in the store, for as long as these are kept.
"""

import logging
import threading

from kvm_balancer import errors
from kvm_balancer.migration.foresight import correction
from kvm_balancer.store import migrations

LOG = logging.getLogger(__name__)

#: Older ones have faded.
_FIRST_SECONDS = 6 * correction.HALF_LIFE_SECONDS
#: An outcome may come so long after its end, from a host's outbox.
_LATE_SECONDS = 86_400.0


class Experience:
    """Learns from every migration once."""

    def __init__(self, store: migrations.MigrationStore) -> None:
        self._store = store
        self._corrections = correction.Corrections()
        self._since: float | None = None
        #: migrations that were learned from, and when they ended
        self._learned: dict[str, float] = {}
        self._lock = threading.Lock()

    def corrections(self, now: float) -> correction.Corrections:
        """Return what was learned, with what ended since the last time.

        A store that does not answer costs the newest lessons only.
        """
        with self._lock:
            self._learn(now)
        return self._corrections

    def _learn(self, now: float) -> None:
        since = now - _FIRST_SECONDS if self._since is None else self._since
        try:
            completed = self._store.completed(since)
        except errors.StoreError as error:
            LOG.warning('Nothing new is learned of predictions: %s', error)
            return
        self._since = now - _LATE_SECONDS
        for migration_id, lesson in completed:
            if migration_id not in self._learned:
                self._learned[migration_id] = lesson.ended_at
                self._corrections.learn(lesson)
        self._learned = {
            migration_id: ended_at
            for migration_id, ended_at in self._learned.items()
            if ended_at >= self._since
        }
