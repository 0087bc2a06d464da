"""What happens to a simulated fleet, apart from what the agent does.

Parameters only. All that is left to chance is drawn from one seed, in
streams of their own: what the agent does changes nothing of the load, of
who comes and goes, and of the hosts that fail.
"""

import dataclasses
import enum

import numpy as np

DAY_SECONDS = 86_400.0
HOUR_SECONDS = 3600.0


@dataclasses.dataclass(frozen=True, slots=True)
class Samples:
    """What is wrong with the samples of hosts; shares are 0 to 1.

    :ivar lost: share of the samples that never arrive
    :ivar wrong: share of the readings that are wrong
    :ivar wrong_by: factor by which those are, up or down
    :ivar noise: standard deviation of a reading, as a share of it
    """

    lost: float = 0.0
    wrong: float = 0.0
    wrong_by: float = 10.0
    noise: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class Wave:
    """Many instances that arrive at one time.

    :ivar at: seconds since the beginning
    """

    at: float
    instances: int


@dataclasses.dataclass(frozen=True, slots=True)
class Outage:
    """A host that dies, and comes back empty.

    :ivar at: seconds since the beginning
    :ivar seconds: until it is back
    """

    at: float
    host: str
    seconds: float


@dataclasses.dataclass(frozen=True, slots=True)
class Intrusion:
    """An instance that somebody else moves.

    :ivar at: seconds since the beginning
    """

    at: float
    instance: str
    destination: str


@dataclasses.dataclass(frozen=True, slots=True)
class Scenario:
    """A stretch of virtual time, and what happens in it.

    :ivar start: when it begins, in seconds since the epoch; all other times
        are seconds since then
    :ivar watch_hours: at first nothing is carried out: the agent only looks
    :ivar step_seconds: from one look at the fleet to the next
    :ivar limit: CPU load over which the time of hosts is counted
    :ivar arrivals_a_day: instances that come, and stay
    :ivar departures_a_day: instances that are deleted
    :ivar failures_a_day: hosts that die, of all of them
    :ivar repair_hours: until one is back, empty
    :ivar evacuation_seconds: until its instances run elsewhere
    :ivar failing_migrations: share of them that fail for no reason of ours
    :ivar surprise: standard deviation of the logarithm of what a guest
        writes while it is migrated against what was measured before
    """

    hours: float = 24.0
    start: float = 0.0
    watch_hours: float = 0.0
    step_seconds: float = 30.0
    seed: int = 0
    limit: float = 0.8
    arrivals_a_day: float = 0.0
    departures_a_day: float = 0.0
    failures_a_day: float = 0.0
    repair_hours: float = 4.0
    evacuation_seconds: float = 300.0
    failing_migrations: float = 0.0
    surprise: float = 0.3
    samples: Samples = Samples()
    waves: tuple[Wave, ...] = ()
    outages: tuple[Outage, ...] = ()
    intrusions: tuple[Intrusion, ...] = ()

    @property
    def seconds(self) -> float:
        """How long it is, in seconds."""
        return self.hours * HOUR_SECONDS


class Stream(enum.IntEnum):
    """What is drawn apart from everything else."""

    LOAD = 1
    EVENTS = 2
    SAMPLES = 3
    MIGRATIONS = 4


def generator(seed: int, stream: Stream) -> np.random.Generator:
    """Return the generator of one stream."""
    return np.random.default_rng((seed, int(stream)))
