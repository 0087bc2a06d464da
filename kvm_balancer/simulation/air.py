"""The migrations that are under way in a simulated fleet.

How long one takes is what the prediction model says of its guest over the
link that it has: of the bandwidth of the slower end its share among those
that copy there at the time. Before its first byte and after its last it
leaves the link to the others. When its share changes, the pass that it is in
goes on at the new pace. Disks that are copied along come before the memory,
at the same bandwidth. A guest writes otherwise while it is migrated than it
was seen to before, and that is drawn: otherwise every prediction would be
right.
"""

import collections
import collections.abc
import dataclasses
import math

import numpy as np

from kvm_balancer.migration.foresight import flow
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
#: What is nearer than this is there: times are sums.
_MOMENT = 1e-9


@dataclasses.dataclass(slots=True, eq=False)
class Flight:
    """One migration, by row numbers.

    :ivar position: of its move in its plan
    :ivar writes: factor by which it writes more than was known
    :ivar fails_at: share of its time after which it breaks off; over 1 for
        never
    :ivar shares: of bandwidth that it has had, MiB/s, one after another
    :ivar turns: when they changed, in seconds since its first byte
    :ivar expected: what it takes, if its share stays; None before its first
        byte
    :ivar sent: its last byte has gone
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
    shares: list[float] = dataclasses.field(default_factory=list)
    turns: list[float] = dataclasses.field(default_factory=list)
    expected: plans.Prediction | None = None
    sent: bool = False
    alone: bool = True

    @property
    def ends_at(self) -> float:
        """When it ends, however it does, if its share stays."""
        if self.expected is None:
            return math.inf
        return self.began + self.expected.total_seconds * min(
            1.0, self.fails_at
        )

    @property
    def turns_at(self) -> float:
        """When it takes its share of the link, or leaves it to others."""
        if self.sent:
            return math.inf
        if self.expected is None:
            return self._first_byte
        seconds = self.expected.total_seconds - prediction.FINISH_SECONDS
        return min(self.ends_at, self.began + seconds)

    def takes(self, share: float, now: float) -> bool:
        """Have another share from now on; say whether it is another one."""
        if self.shares and self.shares[-1] == share:
            return False
        seconds = max(0.0, now - self._first_byte)
        if self.shares and seconds > (self.turns or [0.0])[-1]:
            self.turns.append(seconds)
            self.shares.append(share)
        else:
            self.shares[-1:] = [share]
        return True

    @property
    def link(self) -> flow.Flow:
        """What it has of the link, from its first byte on."""
        return flow.Flow.of(
            (np.array([share]) for share in self.shares), self.turns
        )

    @property
    def _first_byte(self) -> float:
        return self.began + prediction.SETUP_SECONDS


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
        self._usage = world.base.instances.cpu_usage
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
        self._usage = usage
        self._share()

    def next_change(self) -> float:
        """Return when the next one ends, or the shares of others change.

        :returns: infinity without any
        """
        return min(
            (min(one.turns_at, one.ends_at) for one in self.flights),
            default=math.inf,
        )

    def advance(self, now: float) -> list[Landing]:
        """Let them all go on until *now*; return what has ended by then."""
        while (turn := self._next_turn()) <= now + _MOMENT:
            self._now = max(self._now, turn)
            self._share()
        self._now = now
        landed = [
            self._landed(one, one.expected, now)
            for one in self.flights
            if one.expected is not None and one.ends_at <= now + _MOMENT
        ]
        gone = [one.flight for one in landed]
        self.flights = [one for one in self.flights if one not in gone]
        return landed

    def _next_turn(self) -> float:
        return min((one.turns_at for one in self.flights), default=math.inf)

    def _share(self) -> None:
        """Share the link out among those that copy now."""
        for one in self.flights:
            one.sent |= one.expected is not None and one.turns_at <= self._now
        copying = [
            one
            for one in self.flights
            if not one.sent
            and (one.expected is not None or one.turns_at <= self._now)
        ]
        out = collections.Counter(one.source for one in copying)
        into = collections.Counter(one.destination for one in copying)
        nic = self._world.base.hosts.migration_mib_s
        for one in copying:
            here, there = nic[one.source], nic[one.destination]
            share = float(
                min(here / out[one.source], there / into[one.destination])
            )
            one.alone &= share >= min(here, there)
            if one.takes(share, self._now):
                one.expected = self._predicted(one)

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
        taken = now - flight.began
        done = min(1.0, taken / max(expected.total_seconds, 1e-9))
        disks = expected.disk_seconds * done
        return dataclasses.replace(
            expected,
            seconds=taken - disks,
            mib=expected.mib * done,
            disk_seconds=disks,
            disk_mib=expected.disk_mib * done,
            uncorrected=None,
        )

    def _predicted(self, flight: Flight) -> plans.Prediction:
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
        link = flight.link
        disks = local_disks.copied(
            self._world.base,
            np.array([row], np.int32),
            link,
            options,
            np.array([flight.source], np.int32),
        )
        memory = prediction.predict_over(
            float(instances.memory_usage_mib[row]),
            float(instances.dirty_rate_mib_s[row]) * flight.writes,
            link.after(float(disks.seconds[0])),
            float(instances.hot_set_mib[row]) or None,
            options,
            float(instances.cold_rate_mib_s[row]) * flight.writes,
            float(self._usage[row]),
            self._terms.manner,
        )
        return next(iter(disks.added_to((memory,))))
