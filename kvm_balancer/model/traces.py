"""Load over time of many instances, as it was recorded.

A value holds until the next reading of its instance. What was recorded is
kept as columns; who looks things up at many moments lays it out on a grid
first.
"""

import dataclasses

import numpy as np
import numpy.typing as npt

from kvm_balancer.model import fleet as columns

_DAY_SECONDS = 86_400.0
#: What was read more rarely says nothing of what came after its last value.
_MOST_LAST_SECONDS = 3600.0

#: Values on a grid: half the size, and no reading has more digits.
Values = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Traces:
    """What instances used, each by itself and oldest first.

    :ivar name: of each instance
    :ivar offset: where the readings of each begin, shape ``(names + 1,)``
    :ivar second: of each reading, since any moment
    :ivar cpu_usage: in cores
    :ivar memory_usage_mib: NaN where it was not recorded
    :ivar dirty_rate_mib_s: likewise
    """

    name: tuple[str, ...]
    offset: npt.NDArray[np.intp]
    second: columns.Floats
    cpu_usage: columns.Floats
    memory_usage_mib: columns.Floats
    dirty_rate_mib_s: columns.Floats

    def __len__(self) -> int:
        return len(self.name)

    @property
    def tells_memory(self) -> bool:
        """True where memory in use or dirty rates were recorded."""
        return bool(
            np.isfinite(self.memory_usage_mib).any()
            or np.isfinite(self.dirty_rate_mib_s).any()
        )

    @property
    def start(self) -> float:
        """The second of the earliest reading; 0 without any."""
        return float(self.second.min()) if len(self.second) else 0.0


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Traces at equal steps of time; each goes round when it has ended.

    One of a day or more goes round after whole days, so that what comes
    every day goes on to.

    :ivar step_seconds: from one value to the next
    :ivar offset: where the values of each trace begin, shape ``(traces,)``
    :ivar length: how many it has, shape ``(traces,)``
    :ivar begins: the step of its first value since the start of all
    :ivar peak: highest CPU usage of each, in cores
    :ivar peak_memory_mib: most memory in use of each; 0 where nothing was
        recorded
    """

    step_seconds: float
    offset: npt.NDArray[np.int64]
    length: npt.NDArray[np.int64]
    begins: npt.NDArray[np.int64]
    peak: columns.Floats
    peak_memory_mib: columns.Floats
    cpu_usage: Values
    memory_usage_mib: Values
    dirty_rate_mib_s: Values

    def at(
        self,
        trace: npt.NDArray[np.intp],
        shift: npt.NDArray[np.int64],
        seconds: float,
    ) -> npt.NDArray[np.int64]:
        """Return where the values of traces are at a moment.

        :param trace: number of a trace, shape ``(n,)``
        :param shift: steps by which each runs ahead, of the same shape
        :param seconds: since the start of all
        :returns: places in the columns of values
        """
        step = int(seconds // self.step_seconds) + shift - self.begins[trace]
        places: npt.NDArray[np.int64] = (
            self.offset[trace] + step % self.length[trace]
        )
        return places


def lay_out(traces: Traces, step_seconds: float) -> Grid:
    """Lay *traces* out on a grid.

    :param traces: of at least one reading each
    :param step_seconds: of the grid; values between its steps are lost
    """
    start = traces.start
    parts: list[npt.NDArray[np.intp]] = []
    begins: list[int] = []
    for first, last in zip(
        traces.offset[:-1].tolist(), traces.offset[1:].tolist(), strict=True
    ):
        second = traces.second[first:last] - start
        begin = int(second[0] // step_seconds)
        count = _length(second, step_seconds)
        moments = (begin + np.arange(count)) * step_seconds
        held = np.searchsorted(second, moments, side='right') - 1
        parts.append(first + np.maximum(held, 0))
        begins.append(begin)
    length = np.array([len(one) for one in parts], np.int64)
    rows = np.concatenate(parts) if parts else np.zeros(0, np.intp)
    offset = np.concatenate(([0], np.cumsum(length)[:-1]))[: len(length)]
    cpu_usage = traces.cpu_usage[rows].astype(np.float32)
    memory_mib = traces.memory_usage_mib[rows].astype(np.float32)
    return Grid(
        step_seconds,
        offset.astype(np.int64),
        length,
        np.array(begins, np.int64),
        _peaks(cpu_usage, offset),
        _peaks(memory_mib, offset),
        cpu_usage,
        memory_mib,
        traces.dirty_rate_mib_s[rows].astype(np.float32),
    )


def _peaks(values: Values, offset: npt.NDArray[np.intp]) -> columns.Floats:
    """Return the highest value of each trace; 0 where none is known."""
    if not len(offset):
        return np.zeros(0)
    return np.fmax.reduceat(np.nan_to_num(values), offset).astype(np.float64)


def _length(second: columns.Floats, step_seconds: float) -> int:
    """Return how many steps a trace has before it goes round.

    Its last value holds for as long as others did at least: that of 23:55, or
    of the last half hour of a day, belongs to the day.
    """
    whole, last = float(second[-1] - second[0]), step_seconds
    if whole:
        gap = float(np.diff(second).min())
        last = max(step_seconds, min(gap, _MOST_LAST_SECONDS))
    whole += last
    if whole >= _DAY_SECONDS:
        whole -= whole % _DAY_SECONDS
    return max(1, round(whole / step_seconds))
