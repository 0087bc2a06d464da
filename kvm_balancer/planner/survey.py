"""A look at many hosts at once: what can leave each of them, and where to.

The units of all of them are set against the same few destinations in one
table, so that the cost of a look is that of its cells and not that of
calls. Destinations come in tiers (see :mod:`.cold`): a unit is set against
one only where something good enough may wait there.
"""

import collections.abc
import dataclasses

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement
from kvm_balancer.planner import cold
from kvm_balancer.planner import gain
from kvm_balancer.planner import workspace

#: gains below it are noise of the arithmetic
LEAST_GAIN = 1e-9
#: the next tier has to promise this many times what there is
_WORTH_A_LOOK = 1.03
#: destinations of a host that are remembered, of every tier
_RANKED = 48


@dataclasses.dataclass(frozen=True, slots=True)
class Offer:
    """A move: what it gains, which unit, where to."""

    gain: float
    unit: int
    destination: int


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Units of one host against some destinations.

    :ivar table: what they gain, shape ``(units, hosts)``; minus infinity
        where a unit may not go
    """

    units: columns.Ints
    hosts: columns.Ints
    table: columns.Floats


class Prospects:
    """What one host may gain: by destination, the best first.

    :ivar rest: what the units gain at most that were not looked at
    """

    def __init__(self) -> None:
        self.rest = 0.0
        self._blocks: list[_Block] = []
        #: gain, block, column of the block; the best last
        self._ranking: list[tuple[float, int, int]] = []

    def add(
        self,
        block: _Block,
        gains: collections.abc.Sequence[float],
        ranked: collections.abc.Sequence[int],
    ) -> None:
        """Add destinations, the best first.

        :param ranked: columns of the table of *block*
        """
        number = len(self._blocks)
        self._blocks.append(block)
        self._ranking[:0] = [
            (most, number, column)
            for most, column in zip(gains, ranked, strict=True)
            if most > LEAST_GAIN
        ][::-1]
        if number:
            self._ranking.sort()

    def best(self, busy: columns.Bools) -> tuple[float, int] | None:
        """Return the best gain and its destination; None where none is left.

        :param busy: hosts that are left out, shape ``(hosts,)``
        """
        while self._ranking:
            most, number, column = self._ranking[-1]
            host = int(self._blocks[number].hosts[column])
            if not busy[host]:
                return most, host
            self._ranking.pop()
        return None

    def offer(self, work: workspace.Workspace, busy: columns.Bools) -> Offer:
        """Return the move behind what is best."""
        most, number, column = self._ranking[-1]
        block = self._blocks[number]
        row = int(block.table[:, column].argmax())
        unit, host = int(block.units[row]), int(block.hosts[column])
        even = block.hosts[block.table[row] >= most - LEAST_GAIN]
        if len(even) > 1:
            host = work.best(unit, even[~busy[even]])
        return Offer(most, unit, host)


class Survey:
    """Looks at hosts of a workspace."""

    def __init__(self, work: workspace.Workspace, gains: gain.Gains) -> None:
        self._work = work
        self._gains = gains
        self._cold = cold.ColdHosts(work)

    def at_most(self) -> columns.Floats:
        """Return what every host can gain at most, shape ``(hosts,)``."""
        work = self._work
        hosts = work.fleet.hosts
        rows = np.flatnonzero(work.free & self._gains.useful)
        units = rows.astype(np.int32)
        home = work.state.host[work.units.first(units)]
        best = np.full(len(hosts), -np.inf)
        for zone in range(len(work.fleet.zones)):
            inside = np.flatnonzero(hosts.zone[home] == zone)
            if not len(inside):
                continue
            tiers = self._cold.zone_of(int(home[inside[0]])).tiers
            if tiers:
                here, at = units[inside], home[inside]
                halves = self._gains.halves(here, at)
                most = self._most(here, halves, tiers[0])
                np.maximum.at(best, at, most)
        return best

    def look(
        self, sources: collections.abc.Sequence[int], enough: float
    ) -> dict[int, Prospects]:
        """Return the prospects of every one of *sources*.

        :param enough: units that gain less in any case are not looked at
        """
        zone_of = self._work.fleet.hosts.zone
        by_zone: dict[int, list[int]] = {}
        for source in sources:
            by_zone.setdefault(int(zone_of[source]), []).append(source)
        found = {source: Prospects() for source in sources}
        for members in by_zone.values():
            self._look_inside(members, enough, found)
        return found

    def _look_inside(
        self, sources: list[int], enough: float, found: dict[int, Prospects]
    ) -> None:
        """Look at *sources*, all of one zone."""
        units, place = self._units_of(sources)
        home = np.array(sources, np.int32)
        halves = self._gains.halves(units, home[place])
        best = np.full(len(sources), LEAST_GAIN)
        rest = np.zeros(len(sources))
        for tier in self._cold.zone_of(sources[0]).tiers:
            most = self._most(units, halves, tier)
            worth = most > best[place] * _WORTH_A_LOOK
            near = most >= enough
            far = worth & ~near
            np.maximum.at(rest, place[far], most[far])
            kept = np.flatnonzero(worth & near)
            if not len(kept):
                break
            units, place, halves = units[kept], place[kept], halves[kept]
            table = self._table(units, halves, home[place], tier.hosts)
            first = np.flatnonzero(np.diff(place, prepend=-1))
            last = np.append(first[1:], len(place))
            by_host = np.maximum.reduceat(table, first, axis=0)
            ranked = np.argsort(-by_host, axis=1)[:, :_RANKED]
            gains = np.take_along_axis(by_host, ranked, axis=1)
            # the first says what to wait for, the others have to do now
            counts = np.maximum(1, np.count_nonzero(gains >= enough, axis=1))
            for row, (at, count) in enumerate(
                zip(place[first].tolist(), counts.tolist(), strict=True)
            ):
                part = slice(first[row], last[row])
                found[sources[at]].add(
                    _Block(units[part], tier.hosts, table[part]),
                    gains[row, :count].tolist(),
                    ranked[row, :count].tolist(),
                )
            at_all = place[first]
            best[at_all] = np.maximum(best[at_all], gains[:, 0])
        for source, most_left in zip(sources, rest.tolist(), strict=True):
            found[source].rest = most_left

    def _units_of(
        self, sources: list[int]
    ) -> tuple[columns.Ints, columns.Ints]:
        """Return all useful units of *sources*, and whose each is."""
        parts = [self._work.units_on(one) for one in sources]
        units = np.concatenate(parts)
        place = np.repeat(
            np.arange(len(sources), dtype=np.int32), [len(p) for p in parts]
        )
        useful = self._gains.useful[units]
        return units[useful], place[useful]

    def _most(
        self, units: columns.Ints, halves: columns.Floats, tier: cold.Tier
    ) -> columns.Floats:
        """Return what units gain at most on *tier* and those after it."""
        memory = self._work.units.need[placement.MEMORY_MIB, units]
        return self._gains.at_most(halves, tier.coldest_for(memory))

    def _table(
        self,
        units: columns.Ints,
        halves: columns.Floats,
        home: columns.Ints,
        hosts: columns.Ints,
    ) -> columns.Floats:
        table = self._gains.table(halves, hosts)
        if not self._work.pace.even:
            more = self._work.pace.more(units, hosts)
            self._gains.dearer(table, units, more)
        table[~self._work.allowed(units, hosts)] = -np.inf
        table[home[:, None] == hosts[None, :]] = -np.inf
        return table
