"""The migrations that are under way in a simulated fleet.

How long one takes is what the prediction model says of its guest at the
bandwidth it gets: that of the slower end, shared out equally among the
migrations there. When the share changes, the part of it that is left goes
on at the new pace. Disks that are copied along come before the memory, at
the same bandwidth. A guest writes otherwise while it is migrated than it was
seen to before, and that is drawn: otherwise every prediction would be right.
"""

import collections.abc
import dataclasses
import math

import numpy as np

from kvm_balancer.migration.foresight import prediction
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import outcome as outcomes
from kvm_balancer.model import plan as plans
from kvm_balancer.planner import disks as local_disks
from kvm_balancer.planner import terms as termed
from kvm_balancer.simulation import scenario as scenarios
from kvm_balancer.simulation import world as worlds

_LOST = 'a host of it has died'
_CHANCE = 'it broke off'
_GIVEN_UP = 'it does not converge'


@dataclasses.dataclass(slots=True, eq=False)
class Flight:
    """One migration, by row numbers.

    :ivar position: of its move in its plan
    :ivar writes: factor by which it writes more than was known
    :ivar fails_at: share of the work after which it breaks off; over 1 for
        never
    :ivar left: share of the work that is left
    :ivar share: of bandwidth that it has, MiB/s
    :ivar expected: what it takes at the share of bandwidth it has now
    :ivar alone: it had all of the bandwidth of both hosts so far
    """

    position: int
    move: plans.Move
    instance: int
    source: int
    destination: int
    began: float
    writes: float
    fails_at: float
    left: float = 1.0
    share: float = 0.0
    expected: plans.Prediction | None = None
    alone: bool = True

    @property
    def seconds_left(self) -> float:
        """Seconds until it ends, however it does, at this pace."""
        if self.expected is None:
            return math.inf
        end = max(0.0, 1.0 - self.fails_at)
        return max(0.0, self.left - end) * self.expected.total_seconds


@dataclasses.dataclass(frozen=True, slots=True)
class Landing:
    """The end of a migration."""

    flight: Flight
    at: float
    kind: outcomes.OutcomeKind
    reason: str
    taken: plans.Prediction

    @property
    def completed(self) -> bool:
        """True when the instance is at its destination."""
        return self.kind is outcomes.OutcomeKind.COMPLETED


class Air:
    """All migrations under way, and the bandwidth they share."""

    def __init__(
        self,
        world: worlds.World,
        terms: termed.Terms,
        scenario: scenarios.Scenario,
    ) -> None:
        self._world = world
        self._terms = terms
        self._scenario = scenario
        self._dice = scenarios.generator(
            scenario.seed, scenarios.Stream.MIGRATIONS
        )
        self._now = 0.0
        self.flights: list[Flight] = []

    def begin(self, position: int, move: plans.Move, now: float) -> Flight:
        """Begin the migration of a move."""
        base, dice, chosen = self._world.base, self._dice, self._scenario
        fails, when = dice.random(2).tolist()
        flight = Flight(
            position,
            move,
            base.instance_row[move.instance],
            base.host_row[move.source],
            base.host_row[move.destination],
            now,
            math.exp(chosen.surprise * float(dice.standard_normal())),
            when if fails < chosen.failing_migrations else 2.0,
        )
        self.flights.append(flight)
        return flight

    def pace(self, usage: columns.Floats) -> None:
        """Share the bandwidth out anew, after some began or ended.

        :param usage: cores that all instances use
        """
        count = len(self._world.base.hosts)
        sources = [flight.source for flight in self.flights]
        destinations = [flight.destination for flight in self.flights]
        out = np.bincount(sources or [0], minlength=count)
        into = np.bincount(destinations or [0], minlength=count)
        nic = self._world.base.hosts.migration_mib_s
        for flight in self.flights:
            share = float(
                min(
                    nic[flight.source] / out[flight.source],
                    nic[flight.destination] / into[flight.destination],
                )
            )
            whole = min(nic[flight.source], nic[flight.destination])
            flight.alone &= share >= whole
            if share != flight.share:
                flight.share = share
                flight.expected = self._predicted(
                    flight, share, float(usage[flight.instance])
                )

    def next_end(self) -> float:
        """Return when the next one ends; infinity without any."""
        return self._now + min(
            (one.seconds_left for one in self.flights), default=math.inf
        )

    def advance(self, now: float) -> list[Landing]:
        """Let them all go on until *now*; return what has ended by then."""
        passed = now - self._now
        self._now = now
        landed: list[Landing] = []
        for flight in self.flights:
            expected = flight.expected
            if expected is None:
                continue
            over = flight.seconds_left <= passed + 1e-9
            flight.left -= passed / max(expected.total_seconds, 1e-9)
            if over:
                landed.append(self._landed(flight, expected, now))
        gone = [one.flight for one in landed]
        self.flights = [one for one in self.flights if one not in gone]
        return landed

    def lose(self, now: float) -> list[Landing]:
        """End those of which a host has died, or whose instance is gone."""
        up, host = self._world.up, self._world.host
        lost = [
            one
            for one in self.flights
            if not (up[one.source] and up[one.destination])
            or host[one.instance] != one.source
        ]
        self.flights = [one for one in self.flights if one not in lost]
        return [
            Landing(
                one,
                now,
                outcomes.OutcomeKind.FAILED,
                _LOST,
                self._taken(one, one.move.prediction, now),
            )
            for one in lost
        ]

    def busy(self) -> collections.abc.Iterator[tuple[str, str]]:
        """Return the source and destination of each."""
        for one in self.flights:
            yield one.move.source, one.move.destination

    def _landed(
        self, flight: Flight, expected: plans.Prediction, now: float
    ) -> Landing:
        kind, reason = outcomes.OutcomeKind.COMPLETED, ''
        if flight.fails_at <= 1.0:
            kind, reason = outcomes.OutcomeKind.FAILED, _CHANCE
        elif not expected.converges:
            kind, reason = outcomes.OutcomeKind.FAILED, _GIVEN_UP
        return Landing(
            flight, now, kind, reason, self._taken(flight, expected, now)
        )

    def _taken(
        self, flight: Flight, expected: plans.Prediction, now: float
    ) -> plans.Prediction:
        """Return what it did take, in the form of what it was to take."""
        done = min(1.0, max(0.0, 1.0 - flight.left))
        taken = now - flight.began
        disks = (
            taken * expected.disk_seconds / max(expected.total_seconds, 1e-9)
        )
        return dataclasses.replace(
            expected,
            seconds=taken - disks,
            mib=expected.mib * done,
            disk_seconds=disks,
            disk_mib=expected.disk_mib * done,
            uncorrected=None,
        )

    def _predicted(
        self, flight: Flight, bandwidth_mib_s: float, cpu_cores: float
    ) -> plans.Prediction:
        instances, row = self._world.base.instances, flight.instance
        kind = self._terms.kind
        term = self._terms.term(
            int(kind[flight.source]),
            int(kind[flight.destination]),
            int(instances.wish[row]),
        )
        options = term.options
        if flight.move.profile is plans.Profile.DRAIN:
            options = dataclasses.replace(options, profile=plans.Profile.DRAIN)
        memory = prediction.predict(
            float(instances.memory_usage_mib[row]),
            float(instances.dirty_rate_mib_s[row]) * flight.writes,
            bandwidth_mib_s,
            float(instances.hot_set_mib[row]) or None,
            options,
            float(instances.cold_rate_mib_s[row]) * flight.writes,
            cpu_cores,
            self._terms.manner,
        )
        disks = local_disks.copied(
            self._world.base,
            np.array([row], np.int32),
            np.array([bandwidth_mib_s]),
            options,
            np.array([flight.source], np.int32),
        )
        return next(iter(disks.added_to((memory,))))
