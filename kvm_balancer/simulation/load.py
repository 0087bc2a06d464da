"""What simulated instances use: recorded, or made up.

A load answers for all instances at one moment, as columns. Moments are
seconds since the epoch: days and weekends are those of the calendar, and a
recording is played back at the time at which it was made.
"""

import collections.abc
import dataclasses
from typing import Protocol

import numpy as np
import numpy.typing as npt

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import traces
from kvm_balancer.simulation import scenario as scenarios

_DAY = scenarios.DAY_SECONDS
#: The epoch began on the fourth day of a week.
_FIRST_WEEKDAY = 3
#: A guest uses a little more than its virtual CPUs: its emulator runs, too.
_MOST_A_VCPU = 1.05


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """What instances have in use, and how they write it.

    NaN where it is as their fleet says; shape ``(instances,)`` both.
    """

    usage_mib: columns.Floats
    dirty_rate_mib_s: columns.Floats


class Load(Protocol):
    """Says what instances use."""

    def cpu_usage(self, seconds: float) -> columns.Floats:
        """Return the cores in use, shape ``(instances,)``.

        :param seconds: since the epoch
        """
        ...

    def memory(self, seconds: float) -> Memory | None:
        """Return what memory does; None where all of it is as it was.

        :param seconds: since the epoch
        """
        ...


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """Every instance has a trace, and a time by which it runs ahead.

    An instance that the recording has by id or name has its own. Any other
    draws one, and a shift: instances that share a trace are not busy
    together. A trace whose peak is more than all virtual CPUs, or all memory,
    of who drew it is made smaller as a whole, so that it keeps its shape.

    :ivar start: when the recording begins, in seconds since the epoch
    :ivar factor: by which each multiplies its trace
    :ivar most: cores that each can use at most
    :ivar memory_factor: by which each multiplies the memory in use
    """

    grid: traces.Grid
    start: float
    trace: npt.NDArray[np.intp]
    shift: npt.NDArray[np.int64]
    factor: columns.Floats
    most: columns.Floats
    memory_factor: columns.Floats
    tells_memory: bool

    def _places(self, seconds: float) -> npt.NDArray[np.int64]:
        return self.grid.at(self.trace, self.shift, seconds - self.start)

    def cpu_usage(self, seconds: float) -> columns.Floats:
        used = self.grid.cpu_usage[self._places(seconds)] * self.factor
        found: columns.Floats = np.minimum(used, self.most)
        return found

    def memory(self, seconds: float) -> Memory | None:
        if not self.tells_memory:
            return None
        grid = self.grid
        places = self._places(seconds)
        usage: columns.Floats = (
            grid.memory_usage_mib[places] * self.memory_factor
        )
        return Memory(usage, grid.dirty_rate_mib_s[places].astype(np.float64))


def recorded(
    instances: columns.Instances,
    recording: traces.Traces,
    step_seconds: float,
    seed: int,
    factor: float = 1.0,
) -> Recorded:
    """Give each of *instances* its trace.

    :param factor: by which all that was recorded is multiplied
    """
    grid = traces.lay_out(recording, step_seconds)
    dice = scenarios.generator(seed, scenarios.Stream.LOAD)
    most = instances.vcpus * _MOST_A_VCPU
    count = len(instances)
    trace = dice.integers(0, len(recording), count).astype(np.intp)
    shift = dice.integers(0, grid.length[trace])
    peak = np.maximum(grid.peak[trace] * factor, 1e-9)
    factors = factor * np.minimum(1.0, most / peak)
    most_mib = np.maximum(grid.peak_memory_mib[trace], 1e-9)
    fits = np.minimum(1.0, instances.memory_mib / most_mib)
    numbers = {name: number for number, name in enumerate(recording.name)}
    for row, names in enumerate(
        zip(instances.id, instances.name, strict=True)
    ):
        for name in names:
            if name in numbers:
                trace[row], shift[row] = numbers[name], 0
                factors[row], fits[row] = factor, 1.0
                break
    return Recorded(
        grid,
        recording.start,
        trace,
        shift,
        factors,
        most,
        fits,
        recording.tells_memory,
    )


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Synthetic:
    """A level, a day and a week, noise, and bursts; all by the instance.

    :ivar level: mean of each, in cores
    :ivar swing: by how much a day goes up and down, as a share of the level
    :ivar peak_at: when a day is busiest, in seconds after midnight
    :ivar weekend: share of the level that is left on Saturday and Sunday
    :ivar noise: standard deviation of a moment, as a share of the level
    :ivar bursting: share of the time in which an instance uses all it has
    """

    level: columns.Floats
    most: columns.Floats
    swing: columns.Floats
    peak_at: columns.Floats
    weekend: float
    noise: float
    bursting: float
    seed: int
    #: for so long a moment, or a burst, lasts
    moment_seconds: float = 120.0

    def cpu_usage(self, seconds: float) -> columns.Floats:
        phase = (seconds - self.peak_at) / _DAY * 2.0 * np.pi
        usage = self.level * (1.0 + self.swing * np.cos(phase))
        if (seconds // _DAY + _FIRST_WEEKDAY) % 7 >= 5:
            usage = usage * self.weekend
        moment = int(seconds // self.moment_seconds)
        if self.noise or self.bursting:
            dice = np.random.default_rng((self.seed, moment))
            if self.noise:
                size = self.noise * self.level
                usage = usage + size * dice.standard_normal(len(usage))
            if self.bursting:
                usage[dice.random(len(usage)) < self.bursting] = np.inf
        found: columns.Floats = np.clip(usage, 0.0, self.most)
        return found

    def memory(self, seconds: float) -> Memory | None:
        return None


def synthetic(
    instances: columns.Instances,
    seed: int,
    swing: float = 0.5,
    weekend: float = 0.6,
    noise: float = 0.1,
    bursting: float = 0.0,
    peak_hour: float | None = None,
    moment_seconds: float = 120.0,
) -> Synthetic:
    """Make a load around what *instances* use in their fleet.

    :param swing: the most by which days go up and down, 0 to 1
    :param peak_hour: when all are busiest; None for one of its own each
    :param moment_seconds: for so long noise, or a burst, stays the same
    """
    dice = scenarios.generator(seed, scenarios.Stream.LOAD)
    count = len(instances)
    peak_at = dice.uniform(0.0, _DAY, count)
    if peak_hour is not None:
        peak_at = np.full(count, peak_hour * scenarios.HOUR_SECONDS)
    return Synthetic(
        instances.cpu_usage.copy(),
        instances.vcpus * _MOST_A_VCPU,
        swing * dice.uniform(0.0, 1.0, count),
        peak_at,
        weekend,
        noise,
        bursting,
        seed,
        moment_seconds,
    )


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Stepped:
    """A load that changes for some instances, between two moments.

    :ivar under: the load without it
    :ivar rows: of the instances
    :ivar factor: by which theirs is multiplied, shape ``(rows,)``
    :ivar spans: from when until when, in seconds since the epoch
    """

    under: Load
    rows: npt.NDArray[np.intp]
    factor: columns.Floats | float
    spans: collections.abc.Sequence[tuple[float, float]]
    most: columns.Floats

    def cpu_usage(self, seconds: float) -> columns.Floats:
        usage = self.under.cpu_usage(seconds)
        if any(begin <= seconds < end for begin, end in self.spans):
            usage = usage.copy()
            usage[self.rows] *= self.factor
        found: columns.Floats = np.minimum(usage, self.most)
        return found

    def memory(self, seconds: float) -> Memory | None:
        return self.under.memory(seconds)
