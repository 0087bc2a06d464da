"""How many migrations may run at one time, on every host and in all."""

import collections
import collections.abc

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import plan as plans


class Slots:
    """Free places for migrations, on every host and in all."""

    def __init__(
        self,
        fleet: columns.Fleet,
        busy: collections.abc.Iterable[tuple[str, str]],
        max_migrations: int,
    ) -> None:
        self._fleet = fleet
        self._left = max_migrations
        self._outgoing: collections.Counter[str] = collections.Counter()
        self._incoming: collections.Counter[str] = collections.Counter()
        for source, destination in busy:
            self._count(source, destination)

    def _count(self, source: str, destination: str) -> None:
        self._left -= 1
        self._outgoing[source] += 1
        self._incoming[destination] += 1

    def free(self, move: plans.Move) -> bool:
        """Whether both hosts and the fleet have a place.

        A host that is no longer known is left to the objection.
        """
        rows = self._fleet.host_row
        hosts = self._fleet.hosts
        source = rows.get(move.source)
        destination = rows.get(move.destination)
        if self._left <= 0:
            return False
        if source is None or destination is None:
            return True
        return bool(
            self._outgoing[move.source] < hosts.max_outgoing[source]
            and self._incoming[move.destination]
            < hosts.max_incoming[destination]
        )

    def take(self, move: plans.Move) -> None:
        """Hold the places of a move that starts."""
        self._count(move.source, move.destination)
