"""The migrations that the agent has asked for and not seen the end of.

Owns what is in the air: who holds room on which hosts, when each was last
heard of, and which is due to be asked about. Threads of the agent (decision,
listener, API) use it at once.
"""

import collections.abc
import dataclasses
import threading

from kvm_balancer.migration import events
from kvm_balancer.migration import request
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement


@dataclasses.dataclass(slots=True)
class Flight:
    """One migration in the air.

    :ivar position: index of its move in its plan; None outside of a plan
    :ivar confirmed: its executor has said that it has accepted it
    :ivar heard_at: when it was last asked for or heard of
    """

    wanted: request.Request
    position: int | None
    heard_at: float
    confirmed: bool = False
    state: str = 'dispatched'
    statistics: events.Statistics | None = None


class Flights:
    """All of them, by migration id."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: dict[str, Flight] = {}

    def add(self, flight: Flight) -> None:
        """Note a migration that is asked for."""
        with self._lock:
            self._flights[flight.wanted.migration_id] = flight

    def get(self, migration_id: str) -> Flight | None:
        """Return one of them, if it is in the air."""
        with self._lock:
            return self._flights.get(migration_id)

    def land(self, migration_id: str) -> Flight | None:
        """Take one out; None when it was not in the air."""
        with self._lock:
            return self._flights.pop(migration_id, None)

    def heard(
        self,
        migration_id: str,
        at: float,
        state: str,
        statistics: events.Statistics | None = None,
    ) -> bool:
        """Note news of one.

        :returns: whether it is in another state than before
        """
        with self._lock:
            flight = self._flights.get(migration_id)
            if flight is None:
                return False
            changed = flight.state != state
            flight.confirmed = True
            flight.heard_at = max(flight.heard_at, at)
            flight.state = state
            flight.statistics = statistics or flight.statistics
            return changed

    def silent(self, before: float) -> list[Flight]:
        """Return those not heard of since then."""
        with self._lock:
            return [
                flight
                for flight in self._flights.values()
                if flight.heard_at < before
            ]

    def all(self) -> list[Flight]:
        """Return all that are in the air."""
        with self._lock:
            return list(self._flights.values())

    def busy(self) -> list[tuple[str, str]]:
        """Return the source and destination of each."""
        return [
            (flight.wanted.source, flight.wanted.destination)
            for flight in self.all()
        ]

    def rows(
        self, fleet: columns.Fleet
    ) -> collections.abc.Sequence[placement.InFlight]:
        """Return them as rows of *fleet*, where it knows both names."""
        known = (
            (
                fleet.instance_row.get(flight.wanted.instance),
                fleet.host_row.get(flight.wanted.destination),
            )
            for flight in self.all()
        )
        return [
            placement.InFlight(instance, destination)
            for instance, destination in known
            if instance is not None and destination is not None
        ]
