"""The migrations that the agent has asked for and not seen the end of.

Owns what is in the air: who holds memory on which hosts, when each was last
heard of, and which is due to be asked about; and, for what has landed, which
hosts have not been looked at since. What is told to be unknown stays in the
air until it is known: its instance is in no other migration meanwhile.
Threads of the agent (decision, listener, API) use it at once. All times are
of the agent's clock.
"""

import collections
import collections.abc
import dataclasses
import threading

from kvm_balancer.messages import migration as messages
from kvm_balancer.migration import events
from kvm_balancer.migration import request
from kvm_balancer.migration.lifecycle import states
from kvm_balancer.migration.lifecycle import track
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import outcome
from kvm_balancer.model import placement
from kvm_balancer.model import track as tracks

_UNKNOWN = outcome.OutcomeKind.UNKNOWN.value
_ENDS = frozenset(kind.value for kind in outcome.OutcomeKind)


@dataclasses.dataclass(slots=True)
class Flight:
    """One migration in the air.

    :ivar position: index of its move in its plan; None outside of a plan
    :ivar confirmed: its executor has said that it has accepted it
    :ivar heard_at: when it was last heard of; at first, when it was sent
    :ivar asked_at: when it was last asked for in vain
    :ivar silent_since: since when it is asked for in vain; None where it was
        heard of since
    :ivar over_at: since when its executor says that it has ended
    :ivar doubted: it was told that nobody knows how it ended
    :ivar unknown: that is so: nobody has followed it since; neither a plan
        nor a budget waits for it
    :ivar told: the last report of its progress
    :ivar recorder: what its reports have shown, on its executor's clock
    """

    wanted: request.Request
    position: int | None
    heard_at: float
    confirmed: bool = False
    state: str = 'dispatched'
    statistics: events.Statistics | None = None
    asked_at: float = 0.0
    silent_since: float | None = None
    over_at: float | None = None
    doubted: bool = False
    unknown: bool = False
    told: messages.Progress | None = None
    recorder: track.Recorder | None = None

    def stand(self, state: str) -> None:
        """Take in where it stands, as the store does with its row."""
        self.state = state
        self.unknown = states.stays_unknown(self.unknown, self.doubted, state)

    def take(self, told: messages.Progress) -> int:
        """Take a report in; return the number of what was decided since.

        :returns: 0 where nothing was
        """
        before = 0 if self.told is None else self.told.decisions
        self.told = told
        self.statistics = told.statistics
        if self.recorder is None:
            self.recorder = track.Recorder(told.at)
        if told.statistics != events.Statistics():
            self.recorder.take(told.statistics, told.at)
        self.recorder.enter(told.state.value, told.at)
        return told.decisions if told.decisions > before else 0


class Flights:
    """All of them, by migration id."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: dict[str, Flight] = {}
        #: when a migration last changed a host
        self._changed: dict[str, float] = {}

    def add(self, flight: Flight) -> None:
        """Note a migration that is asked for."""
        with self._lock:
            self._flights[flight.wanted.migration_id] = flight

    def get(self, migration_id: str) -> Flight | None:
        """Return one of them, if it is in the air."""
        with self._lock:
            return self._flights.get(migration_id)

    def doubt(self, migration_id: str) -> Flight | None:
        """Note that it is unknown how one ended; it stays in the air.

        :returns: it, where it was not so before; None where it was not there
        """
        with self._lock:
            flight = self._flights.get(migration_id)
            if flight is None or flight.unknown:
                return None
            flight.doubted = flight.unknown = True
            flight.state = outcome.OutcomeKind.UNKNOWN.value
            flight.over_at = None
            return flight

    def land(self, migration_id: str) -> Flight | None:
        """Take one out; None when it was not in the air."""
        with self._lock:
            return self._flights.pop(migration_id, None)

    def heard(
        self,
        migration_id: str,
        at: float,
        state: str,
        told: messages.Progress | None = None,
    ) -> int | None:
        """Note news of one.

        :returns: None where its story has nothing new to tell; the number
            of what was decided; 0 where it is in another state than before
        """
        with self._lock:
            flight = self._flights.get(migration_id)
            if flight is None:
                return None
            changed = flight.state != state
            decided = 0 if told is None else flight.take(told)
            flight.confirmed = True
            flight.silent_since = None
            flight.heard_at = max(flight.heard_at, at)
            flight.stand(state)
            if state not in _ENDS or (flight.unknown and state == _UNKNOWN):
                flight.over_at = None
            elif flight.over_at is None:
                flight.over_at = at
            return decided if changed or decided else None

    def track(self, migration_id: str) -> tracks.Track:
        """Return what the reports of one have shown; empty for nothing."""
        with self._lock:
            flight = self._flights.get(migration_id)
            if flight is None or flight.recorder is None:
                return tracks.Track()
            return flight.recorder.track()

    def asked(self, migration_id: str, at: float) -> None:
        """Note that one was asked for and nobody answered."""
        with self._lock:
            flight = self._flights.get(migration_id)
            if flight is not None:
                flight.asked_at = at
                if flight.silent_since is None:
                    flight.silent_since = at

    def silent(self, before: float) -> list[Flight]:
        """Return those neither heard of nor asked for since then."""
        with self._lock:
            return [
                flight
                for flight in self._flights.values()
                if max(flight.heard_at, flight.asked_at) < before
            ]

    def changed(self, source: str, destination: str, at: float) -> None:
        """Note that a migration has changed two hosts."""
        with self._lock:
            self._changed[source] = self._changed[destination] = at

    def unsettled(self, fleet: columns.Fleet) -> frozenset[str]:
        """Return the hosts that *fleet* shows as they were before a change.

        Their last samples are older than it. A host that is silent, or not
        in the fleet, is not waited for.
        """
        with self._lock:
            for host in [
                name for name in self._changed if self._seen(name, fleet)
            ]:
                del self._changed[host]
            return frozenset(self._changed)

    def _seen(self, host: str, fleet: columns.Fleet) -> bool:
        row = fleet.host_row.get(host)
        if row is None or fleet.hosts.silent[row]:
            return True
        age = float(fleet.hosts.sample_age_seconds[row])
        return fleet.taken_at - age > self._changed[host]

    def all(self) -> list[Flight]:
        """Return all that are in the air."""
        with self._lock:
            return list(self._flights.values())

    def by_owner(self) -> collections.Counter[str]:
        """Count, by the owner of its instance, what takes slots."""
        with self._lock:
            return collections.Counter(
                flight.wanted.owner
                for flight in self._flights.values()
                if not flight.unknown
            )

    def busy(self, fleet: columns.Fleet) -> list[tuple[str, str]]:
        """Return the source and destination of each.

        Those of migrations that others began, and *fleet* shows, as well; not
        those that are unknown, whose hosts would wait for them without end,
        until they are known to run on.
        """
        flights = [one for one in self.all() if not one.unknown]
        ours = {flight.wanted.instance for flight in flights}
        return [
            *((one.wanted.source, one.wanted.destination) for one in flights),
            *_others(fleet, ours),
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


def _others(
    fleet: columns.Fleet, ours: collections.abc.Container[str]
) -> collections.abc.Iterator[tuple[str, str]]:
    """Return source and destination of the transits that are not *ours*."""
    transits, names = fleet.transits, fleet.hosts.name
    for instance, host, arriving in zip(
        transits.instance.tolist(),
        transits.host.tolist(),
        transits.arriving.tolist(),
        strict=True,
    ):
        if fleet.instances.id[instance] not in ours:
            here, other = names[fleet.instances.host[instance]], names[host]
            yield (here, other) if arriving else (other, here)
