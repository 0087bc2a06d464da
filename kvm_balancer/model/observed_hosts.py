"""The hosts that were heard of: their last samples, rows and overhead."""

import collections.abc
import dataclasses

import numpy as np
import numpy.typing as npt

from kvm_balancer import errors
from kvm_balancer.model import arrivals
from kvm_balancer.model import fleet
from kvm_balancer.model import observation
from kvm_balancer.model import records
from kvm_balancer.model import sample
from kvm_balancer.model import windows

_STATES = {one.name.lower(): one for one in fleet.HostState}
#: Fields of a host's facts that its record has under the same name.
_FACTS = tuple(
    {field.name for field in dataclasses.fields(records.HostRecord)}
    & {field.name for field in dataclasses.fields(sample.HostFacts)}
    - {'state'}
)
_FIRST_ROWS = 64


@dataclasses.dataclass(slots=True)
class Host:
    """What is kept of a host; its row is its place in the columns.

    :ivar ids: of the instances in its last sample; ``names`` likewise
    """

    row: int
    name: str
    arrival: arrivals.Arrival
    facts: sample.HostFacts
    usage: sample.HostUsage
    ids: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    record: records.HostRecord | None = None


class ObservedHosts:
    """Hosts by name, and the windows of their overhead by row."""

    def __init__(self, params: observation.Params) -> None:
        self._params = params
        self._limits = arrivals.Limits(
            params.silent_after_seconds, params.future_tolerance_seconds
        )
        self._hosts: dict[str, Host] = {}
        self._names: dict[int, str] = {}
        self._free: list[int] = []
        self._overhead = windows.Windows(
            params.window_samples, params.ewma_seconds
        )

    def __len__(self) -> int:
        return len(self._hosts)

    def __iter__(self) -> collections.abc.Iterator[Host]:
        return iter(self._hosts.values())

    @property
    def rows(self) -> int:
        """Rows there are, free ones included."""
        return len(self._overhead)

    def name(self, row: int) -> str:
        """Return the name of the host in *row*; empty for none."""
        return self._names.get(row, '')

    def find(self, name: str) -> Host:
        """Return a host by name.

        :raises NotFound: when it was never heard of, or is forgotten
        """
        found = self._hosts.get(name)
        if found is None:
            raise errors.NotFound(f'no host {name!r} has sent a sample')
        return found

    def age_seconds(self, host: Host, now: float) -> float:
        """Return the age of its last sample."""
        return max(0.0, now - host.arrival.seen_at)

    def hear(self, reading: sample.Sample, now: float) -> Host:
        """Take what a sample says of its host.

        :raises SampleRefused: when its time has not come, or is over
        """
        known = self._hosts.get(reading.host)
        last = known.arrival if known is not None else None
        arrival = arrivals.accepted(reading, last, self._limits, now)
        if known is None:
            row = self._free.pop() if self._free else len(self)
            known = Host(
                row, reading.host, arrival, reading.facts, reading.usage
            )
            self._hosts[reading.host] = known
            self._names[row] = reading.host
        elif known.facts != reading.facts:
            known.facts = reading.facts
            known.record = None
        known.arrival = arrival
        known.usage = reading.usage
        return known

    def load(
        self,
        hosts: collections.abc.Sequence[Host],
        seconds: fleet.Floats,
    ) -> None:
        """Put the overhead of different *hosts* into their windows.

        :param seconds: the time over which it was taken; 0 where no rate
            is known yet
        """
        if self.rows < len(self):
            self._overhead.grow(max(_FIRST_ROWS, 2 * len(self)))
        rows = np.array([host.row for host in hosts], np.intp)
        load = np.array([host.usage.cpu_overhead for host in hosts])
        known = seconds > 0
        self._overhead.add(rows[known], load[known], seconds[known])

    def forget_old(self, now: float) -> list[int]:
        """Forget hosts not heard of for long.

        :returns: the rows that are free now
        """
        limit = self._params.forget_after_seconds
        old = [one for one in self if self.age_seconds(one, now) > limit]
        for host in old:
            del self._hosts[host.name], self._names[host.row]
        rows = [host.row for host in old]
        self._overhead.clear(np.array(rows, np.intp))
        self._free.extend(rows)
        return rows

    def as_records(self, now: float) -> list[records.HostRecord]:
        """Return all hosts for a fleet, in the order of iteration."""
        rows = np.array([host.row for host in self], np.intp)
        overhead = observation.estimated(self._params, self._overhead, rows)
        return [
            self._record(host, load, now)
            for host, load in zip(self, overhead.tolist(), strict=True)
        ]

    def lasting(self) -> fleet.Floats:
        """Return the overhead that hosts have had all through a while.

        :returns: in cores, in the order of iteration
        """
        rows = np.array([host.row for host in self], np.intp)
        return observation.lasting(self._params, self._overhead, rows)

    def latest(self) -> fleet.Floats:
        """Return the overhead of hosts as it was read last, likewise."""
        rows = np.array([host.row for host in self], np.intp)
        return observation.latest(self._overhead, rows)

    def places(self) -> npt.NDArray[np.int32]:
        """Return, by row, the place of each host in that order, or -1."""
        places = np.full(self.rows, -1, np.int32)
        places[[host.row for host in self]] = np.arange(len(self))
        return places

    def _record(
        self, host: Host, overhead: float, now: float
    ) -> records.HostRecord:
        if host.record is None:
            facts = {name: getattr(host.facts, name) for name in _FACTS}
            host.record = records.HostRecord(
                name=host.name, state=_STATES[host.facts.state], **facts
            )
        age = self.age_seconds(host, now)
        usage = host.usage
        return dataclasses.replace(
            host.record,
            cpu_overhead=overhead,
            sample_age_seconds=age,
            silent=age > self._params.silent_after_seconds,
            memory_used_mib=usage.memory_used_mib,
            cpu_pressure=_share(usage.pressure.cpu_some),
            memory_pressure=_share(usage.pressure.memory_some),
            io_pressure=_share(usage.pressure.io_some),
        )


def _share(percent: float | None) -> float | None:
    return None if percent is None else percent / 100.0
