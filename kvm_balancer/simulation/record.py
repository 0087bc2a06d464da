"""What is written down of a simulated stretch of time."""

import dataclasses

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import plan as plans
from kvm_balancer.policies import credit
from kvm_balancer.simulation import air as airs
from kvm_balancer.simulation import world as worlds


@dataclasses.dataclass(frozen=True, slots=True)
class Migration:
    """A migration that ended; times in seconds since the beginning."""

    instance: str
    source: str
    destination: str
    began: float
    ended: float
    completed: bool
    predicted: plans.Prediction
    taken: plans.Prediction


@dataclasses.dataclass(frozen=True, slots=True)
class Decided:
    """A plan that was made."""

    at: float
    policy: str
    moves: int
    summary: str
    spread_before: float
    spread_after: float


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Series:
    """The fleet over time, as it truly was; shape ``(looks,)`` each.

    :ivar second: since the beginning
    :ivar spread: of CPU load, over the hosts that run
    :ivar mean: likewise
    :ivar peak: load of the hottest of them
    :ivar over: how many of them were over the limit
    :ivar migrations: the most that were under way at once until the next look
    """

    second: columns.Floats
    spread: columns.Floats
    mean: columns.Floats
    peak: columns.Floats
    over: columns.Floats
    migrations: columns.Floats


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Record:
    """All that is known of a simulation that is over.

    :ivar step_seconds: that each look stands for
    :ivar dropped: moves of plans that were not begun
    :ivar over_seconds: that each host was over the limit
    :ivar instance_days: that all instances together existed
    """

    step_seconds: float
    seconds: float
    limit: float
    hosts: tuple[str, ...]
    series: Series
    migrations: tuple[Migration, ...]
    plans: tuple[Decided, ...]
    verdicts: tuple[credit.Verdict, ...]
    dropped: int
    over_seconds: columns.Floats
    instance_days: float
    arrived: int
    departed: int
    refused: int
    failed_hosts: int
    #: what the agent had to tell of others
    notices: tuple[str, ...] = ()


class Recorder:
    """Writes down while time goes on.

    :param looks: how many there will be
    :param since: from when on it counts, in seconds since the beginning
    """

    def __init__(
        self,
        world: worlds.World,
        looks: int,
        limit: float,
        step_seconds: float,
        since: float = 0.0,
    ) -> None:
        self._world = world
        self._limit = limit
        self._step = step_seconds
        self._since = since
        self._rows = np.zeros((len(dataclasses.fields(Series)), looks))
        self._looks = 0
        self._over = np.zeros(len(world.base.hosts))
        self._instance_seconds = 0.0
        self._migrations: list[Migration] = []
        self._plans: list[Decided] = []
        self._verdicts: list[credit.Verdict] = []
        self._notices: list[str] = []
        self.dropped = 0

    def look(self, usage: columns.Floats, flights: int, now: float) -> None:
        """Take down what the fleet is like.

        :param usage: of all instances that ever exist
        """
        world = self._world
        rows = world.rows
        hosts = world.base.hosts
        cores = hosts.cpu_overhead + np.bincount(
            world.host[rows], weights=usage[rows], minlength=len(hosts)
        )
        load = (cores / hosts.cpus)[world.up]
        over = load > self._limit
        if now >= self._since:
            self._over[np.flatnonzero(world.up)[over]] += self._step
            self._instance_seconds += self._step * len(rows)
        self._rows[:, self._looks] = (
            now,
            load.std() if len(load) else 0.0,
            load.mean() if len(load) else 0.0,
            load.max(initial=0.0),
            np.count_nonzero(over),
            flights,
        )
        self._looks += 1

    def under_way(self, flights: int) -> None:
        """Take down how many migrations there are between two looks.

        Most begin and end there: a look would not see them.
        """
        seen = self._rows[-1]
        seen[self._looks - 1] = max(seen[self._looks - 1], flights)

    def plan(self, plan: plans.Plan, now: float) -> None:
        """Take down a plan."""
        self._plans.append(
            Decided(
                now,
                plan.policy,
                len(plan.moves),
                plan.summary,
                plan.before.cpu_stddev,
                plan.after.cpu_stddev,
            )
        )

    def landing(self, landing: airs.Landing) -> None:
        """Take down how a migration ended."""
        move = landing.flight.move
        self._migrations.append(
            Migration(
                move.instance,
                move.source,
                move.destination,
                landing.flight.began,
                landing.at,
                landing.completed,
                move.prediction,
                landing.taken,
            )
        )

    def verdict(self, verdict: credit.Verdict) -> None:
        """Take down what a plan has brought."""
        self._verdicts.append(verdict)

    def notice(self, text: str, now: float) -> None:
        """Take down what the agent told."""
        self._notices.append(f'hour {now / 3600.0:.2f}: {text}')

    def finish(self) -> Record:
        """Return all of it."""
        world = self._world
        return Record(
            step_seconds=self._step,
            seconds=self._looks * self._step,
            limit=self._limit,
            hosts=world.base.hosts.name,
            series=Series(*self._rows[:, : self._looks]),
            migrations=tuple(self._migrations),
            plans=tuple(self._plans),
            verdicts=tuple(self._verdicts),
            dropped=self.dropped,
            over_seconds=self._over,
            instance_days=self._instance_seconds / 86_400.0,
            arrived=world.arrived,
            departed=world.departed,
            refused=world.refused,
            failed_hosts=world.failed,
            notices=tuple(self._notices),
        )
