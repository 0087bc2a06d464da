"""Refinement: the same target with fewer moves.

A descent takes the best move each time, and in the end has made one or the
other that others make superfluous. So: take back the move that is missed
least, and then make the rest better without making more of it, until the
target is reached again. Three changes keep the number of moves:

- *redirect*: a moved unit goes to another host;
- *exchange*: two moved units change their destinations;
- *substitute*: a moved unit stays, and another one goes to where it went.

Each is a closed-form change of the sum of squares on at most four hosts, so
all of a kind are one array. What is looked at in all is limited by a number
of array cells, not by a clock: the same fleet gives the same plan.
"""

import dataclasses

import numpy as np
import numpy.typing as npt

from kvm_balancer.model import fleet as columns
from kvm_balancer.planner import sequence
from kvm_balancer.planner import workspace

#: cells of arrays that one refinement may compute: a tenth of a second
_MOST_CELLS = 20_000_000
#: cells of one array
_CELLS = 50_000
#: units that may go instead of others: those with the most to do
_MOST_SPARE = 512
#: hosts that moves are redirected to at one look
_MOST_HOSTS = 512
#: changes that may be tried to do without one more move
_MOST_CHANGES = 12
#: gains below it are noise of the arithmetic
_LEAST_GAIN = 1e-9
#: sums of floats are compared with this slack
_SLACK = 1e-6


@dataclasses.dataclass(frozen=True, slots=True)
class _Change:
    """One change of the set of moves: which, and how.

    :ivar gain: of the sum of squares
    :ivar move: index of the move that changes
    :ivar host: where it now goes; -1 for a substitution
    :ivar other: index of the move it exchanges with, or -1
    :ivar unit: the unit that goes instead, or -1
    """

    gain: float
    move: int
    host: int = -1
    other: int = -1
    unit: int = -1


_NONE = _Change(0.0, -1)


class Refinement:
    """A set of moves, and the fleet as it is after them."""

    def __init__(self, work: workspace.Workspace, first: int) -> None:
        """Take over the steps of *work* from the *first* on."""
        self._work = work
        self._units = work.units
        steps = work.steps[first:]
        self.unit = np.array([step.unit for step in steps], np.int32)
        self.source = np.array([step.source for step in steps], np.int32)
        self.destination = np.array(
            [step.destination for step in steps], np.int32
        )
        self._cpus = work.fleet.hosts.cpus
        counted = work.fleet.counted
        self._weight = counted.astype(np.float64)
        self._room = work.state.room.copy()
        load = work.state.cpu_load
        self._away = load - float(load[counted].mean())
        self._hosts = np.flatnonzero(work.may_take).astype(np.int32)
        self._fixed = self._in_groups()
        self._spare = self._spare_units()
        self._random = np.random.default_rng(work.context.seed)
        self._cells = 0

    def _in_groups(self) -> columns.Bools:
        """Return the units whose groups say where they may not meet.

        They keep their ways: what they may do hangs on others' ways.
        """
        grouped = np.zeros(len(self._work.state.host), np.bool_)
        grouped[list(self._work.fleet.groups_of)] = True
        units = self._units
        fixed: columns.Bools = np.logical_or.reduceat(
            grouped[units.members], units.offset[:-1]
        )
        return fixed

    def _spare_units(self) -> columns.Ints:
        """Return the units that could go instead of others."""
        work = self._work
        units = work.units
        rows = np.flatnonzero(
            work.free
            & (units.cpu_usage > 0)
            & (units.size == 1)
            & ~self._fixed
        ).astype(np.int32)
        home = work.state.host[units.first(rows)]
        rows = rows[self._away[home] > 0]
        busiest = np.argsort(-units.cpu_usage[rows], kind='stable')
        spare: columns.Ints = rows[busiest[:_MOST_SPARE]]
        return spare

    @property
    def squares(self) -> float:
        """The sum of squared distances from the mean."""
        return float((self._weight * self._away**2).sum())

    @property
    def exhausted(self) -> bool:
        """True once enough has been looked at."""
        return self._cells > _MOST_CELLS or self._work.out_of_time

    def drop(self) -> bool:
        """Take the move back that is missed least; False if none can be."""
        if not len(self.unit):
            return False
        usage = self._units.cpu_usage[self.unit]
        back = self._room[:, self.source] + _SLACK
        possible = (back >= self._units.need[:, self.unit]).all(axis=0)
        missed = self._change(self.source, usage) + self._change(
            self.destination, -usage
        )
        missed = np.where(
            possible, missed / self._units.size[self.unit], np.inf
        )
        move = int(np.argmin(missed))
        if not np.isfinite(missed[move]):
            return False
        unit = int(self.unit[move])
        self._shift(unit, int(self.destination[move]), -1)
        self._shift(unit, int(self.source[move]), 1)
        for name in ('unit', 'source', 'destination'):
            setattr(self, name, np.delete(getattr(self, name), move))
        return True

    def improve(self) -> bool:
        """Make the best of all changes; False where none is any good."""
        best = max(
            self._best_redirect(),
            self._best_exchange(),
            self._best_substitute(),
            key=lambda one: one.gain,
        )
        if best.gain <= _LEAST_GAIN:
            return False
        self._make(best)
        return True

    def ways(self) -> list[sequence.Way]:
        """Return where each unit goes now."""
        return [
            sequence.Way(unit, host)
            for unit, host in zip(
                self.unit.tolist(), self.destination.tolist(), strict=True
            )
        ]

    def _change(
        self, hosts: npt.NDArray[np.int32], cores: columns.Floats
    ) -> columns.Floats:
        """Return how the squares change when *hosts* get *cores* more."""
        share = cores / self._cpus[hosts]
        change: columns.Floats = (
            self._weight[hosts] * share * (2.0 * self._away[hosts] + share)
        )
        return change

    def _shift(self, unit: int, host: int, sign: int) -> None:
        """Put *unit* on *host* (1) or take it away from there (-1)."""
        usage = self._units.cpu_usage[unit]
        self._away[host] += sign * usage / self._cpus[host]
        self._room[:, host] -= sign * self._units.need[:, unit]

    def _sample(self, rows: columns.Ints, most: int) -> columns.Ints:
        if len(rows) <= most:
            return rows
        chosen = self._random.choice(len(rows), most, replace=False)
        sample: columns.Ints = rows[np.sort(chosen)]
        return sample

    def _some_moves(self, others: int) -> npt.NDArray[np.intp]:
        """Return the moves to look at against so many *others*."""
        count = len(self.unit)
        self._cells += min(count * others, _CELLS)
        most = max(1, _CELLS // max(1, others))
        if count <= most:
            return np.arange(count)
        return np.sort(self._random.choice(count, most, replace=False))

    def _best_redirect(self) -> _Change:
        hosts = self._sample(self._hosts, _MOST_HOSTS)
        moves = self._some_moves(len(hosts))
        if not len(moves) or not len(hosts):
            return _NONE
        unit = self.unit[moves]
        usage = self._units.cpu_usage[unit]
        leaves = self._change(self.destination[moves], -usage)
        gain = -leaves[:, None] - self._change(hosts[None, :], usage[:, None])
        allowed = self._allowed(unit, hosts) & ~self._fixed[unit][:, None]
        for need, room in zip(self._units.need, self._room, strict=True):
            allowed &= need[unit][:, None] <= room[hosts][None, :] + _SLACK
        allowed &= hosts[None, :] != self.source[moves][:, None]
        allowed &= hosts[None, :] != self.destination[moves][:, None]
        row, column, best = _best(gain, allowed)
        return _Change(best, int(moves[row]), host=int(hosts[column]))

    def _best_exchange(self) -> _Change:
        rows = self._some_moves(len(self.unit))
        if not len(rows):
            return _NONE
        every = np.arange(len(self.unit))
        if len(rows) < len(every):
            rows = every = self._random.permutation(every)[: len(rows)]
        unit, other = self.unit[rows], self.unit[every]
        here, there = self.destination[rows], self.destination[every]
        usage = self._units.cpu_usage
        more = usage[other][None, :] - usage[unit][:, None]
        gain = -self._change(here[:, None], more) - self._change(
            there[None, :], -more
        )
        allowed = self._pairs(unit, there) & self._pairs(other, here).T
        allowed &= ~(self._fixed[unit][:, None] | self._fixed[other][None, :])
        allowed &= here[:, None] != there[None, :]
        allowed &= self.source[rows][:, None] != there[None, :]
        allowed &= self.source[every][None, :] != here[:, None]
        for need, room in zip(self._units.need, self._room, strict=True):
            larger = need[other][None, :] - need[unit][:, None]
            allowed &= larger <= room[here][:, None] + _SLACK
            allowed &= -larger <= room[there][None, :] + _SLACK
        row, column, best = _best(gain, allowed)
        return _Change(best, int(rows[row]), other=int(every[column]))

    def _best_substitute(self) -> _Change:
        spare = self._spare
        moves = self._some_moves(len(spare))
        if not len(moves) or not len(spare):
            return _NONE
        units = self._units
        unit = self.unit[moves]
        source, here = self.source[moves], self.destination[moves]
        home = self._work.state.host[units.first(spare)]
        usage, other = units.cpu_usage[unit], units.cpu_usage[spare]
        more = other[None, :] - usage[:, None]
        same = source[:, None] == home[None, :]
        apart = (
            self._change(source, usage)[:, None]
            + self._change(home, -other)[None, :]
        )
        together = self._change(source[:, None], -more)
        gain = -self._change(here[:, None], more) - np.where(
            same, together, apart
        )
        allowed = self._pairs(spare, here).T & ~self._fixed[unit][:, None]
        allowed &= home[None, :] != here[:, None]
        for need, room in zip(units.need, self._room, strict=True):
            mine, its = need[unit][:, None], need[spare][None, :]
            allowed &= its - mine <= room[here][:, None] + _SLACK
            back = mine - np.where(same, its, 0.0)
            allowed &= back <= room[source][:, None] + _SLACK
        row, column, best = _best(gain, allowed)
        return _Change(best, int(moves[row]), unit=int(spare[column]))

    def _allowed(
        self, units: columns.Ints, hosts: columns.Ints
    ) -> columns.Bools:
        """Say what static filters allow; the rest is asked for later."""
        return self._work.admission.static(self._units.first(units), hosts)

    def _pairs(
        self, units: columns.Ints, hosts: columns.Ints
    ) -> columns.Bools:
        """The same for *hosts* that are there several times."""
        distinct, place = np.unique(hosts, return_inverse=True)
        pairs: columns.Bools = self._allowed(units, distinct)[:, place]
        return pairs

    def _make(self, change: _Change) -> None:
        move = change.move
        unit, here = int(self.unit[move]), int(self.destination[move])
        self._shift(unit, here, -1)
        if change.host >= 0:
            self._shift(unit, change.host, 1)
            self.destination[move] = change.host
        elif change.other >= 0:
            other = int(self.unit[change.other])
            there = int(self.destination[change.other])
            self._shift(other, there, -1)
            self._shift(other, here, 1)
            self._shift(unit, there, 1)
            self.destination[move] = there
            self.destination[change.other] = here
        else:
            self._substitute(move, unit, change.unit, here)

    def _substitute(self, move: int, unit: int, other: int, here: int) -> None:
        home = self._work.home(other)
        self._shift(unit, int(self.source[move]), 1)
        self._shift(other, home, -1)
        self._shift(other, here, 1)
        self.unit[move], self.source[move] = other, home
        self._spare = self._spare[self._spare != other]
        if self._units.size[unit] == 1:
            self._spare = np.append(self._spare, np.int32(unit))


def _best(
    gain: columns.Floats, allowed: columns.Bools
) -> tuple[int, int, float]:
    """Return row, column and value of the best allowed cell."""
    gain = np.where(allowed, gain, -np.inf)
    row, column = divmod(int(gain.argmax()), gain.shape[1])
    return row, column, float(gain[row, column])


def fewer_moves(
    work: workspace.Workspace, first: int, target: float
) -> list[sequence.Way]:
    """Return the fewest ways found that bring the spread to *target*.

    :param first: the step of *work* from which on steps may be changed; the
        steps so far reach the target
    """
    refinement = Refinement(work, first)
    enough = target**2 * float(work.fleet.counted.sum())
    best = refinement.ways()
    while not refinement.exhausted and refinement.drop():
        changes = 0
        while refinement.squares > enough:
            if changes >= _MOST_CHANGES or refinement.exhausted:
                return best
            if not refinement.improve():
                return best
            changes += 1
        best = refinement.ways()
    return best
