"""Trade: the same target at less cost, or a lower spread.

A descent takes the best move each time, and in the end has made some that
others make superfluous. Trade makes the set of moves better as a whole. A
price says what balance may cost; whatever change is worth more than it
costs is made (see :mod:`.changes`); and the price rises while the spread is
over its target and falls while it is under it, so that moves are given back
and others bought until nothing is left to gain.

Rounds look at some hosts each, drawn anew for each sweep over the fleet, so
that the cost of a round does not grow with it. What is looked at in all is
limited by a number of array cells, not by a clock: the same fleet and seed
give the same plan, unless the budget of seconds ends it.
"""

import collections.abc

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.planner import changes
from kvm_balancer.planner import context as contexts
from kvm_balancer.planner import layout
from kvm_balancer.planner import prices
from kvm_balancer.planner import sequence
from kvm_balancer.planner import workspace

#: hosts of a round, where the target is reached and where it is not
_HOSTS, _HOSTS_BEYOND = 256, 48
#: units of a round that have moved, that have not, and drawn by lot
_MOVED, _UNMOVED, _DRAWN = 200, 300, 200
#: cells that are looked at in all, and as many more for each host
_CELLS, _CELLS_A_HOST = 2_000_000, 300
#: the same, where the target is not reached
_CELLS_BEYOND = 100_000_000
#: and so many times the cells of the first, once it is reached after all:
#: what was bought at any price is to be given back
_AFTER = 8
#: within limits of moves or GiB: what is won of the way to where no plan
#: gets counts from this share on; a sum of squares that is so near is there;
#: and this many times as long as until something was won last it goes on
_NOTICED, _REACHED, _AS_LONG = 0.003, 1e-6, 3
#: sweeps without anything better before it ends, and how often the spread
#: may pass the target meanwhile
_PATIENCE, _CROSSINGS = 30, 3
#: the price changes by this power of what the squares are too much
_EAGERNESS = 0.5
#: but by this share at least, and where nothing was changed any more
_LEAST_STEP, _STILL_STEP = 0.01, 0.02
#: and by this share at most, near the target and far from it
_STEEPEST, _STEEPEST_BEYOND = 0.05, 0.25
#: squares that are this share of the goal are far under it
_FAR = 0.5
#: where the price begins: it pays for this share of the moves so far
_PAYS_FOR = 0.9
#: a sum of squares that is as good as none
_NOTHING = 1e-12
#: nothing is moved for less of the sum of squares than this a move: a
#: thousandth of a host's load, squared
_LEAST_GAIN = 1e-5


class _Hope:
    """Whether a plan within limits may still get noticeably better.

    Its target is out of reach, and that the price rises tells nothing.

    :ivar looked: cells that were looked at so far
    """

    def __init__(self, squares: float, floor: float, least: int) -> None:
        """Begin to look.

        :param floor: that the sum of squares does not get under
        :param least: cells that are looked at in any case
        """
        self.looked = 0
        self._floor, self._least = floor, least
        self._mark, self._marked = squares, 0

    def lost(self, squares: float) -> bool:
        """Say whether to look any further is in vain.

        :param squares: of the best so far
        """
        left = self._mark - self._floor
        if squares <= self._mark - _NOTICED * left:
            self._mark, self._marked = squares, self.looked
        if squares - self._floor <= _REACHED * self._floor + _NOTHING:
            return True
        return self.looked > max(self._least, _AS_LONG * self._marked)


class Trade:
    """One trade with a set of moves."""

    def __init__(
        self,
        work: workspace.Workspace,
        first: int,
        target: float,
        prefer: contexts.Prefer,
        floor: float | None = None,
    ) -> None:
        """Take over the steps of *work* from the *first* on.

        :param floor: see :func:`improve`
        """
        self._work = work
        self._now = layout.Layout(work, first, prices.of(work, prefer))
        goal = target**2 * float(work.counted.sum())
        self._goal = max(_NOTHING, goal)
        self._best = self._now.snapshot()
        self._beyond = self._best.squares > self._goal
        self._random = np.random.default_rng(work.context.seed)
        self._cells_within = _CELLS + _CELLS_A_HOST * len(work.fleet.hosts)
        self._cells = _CELLS_BEYOND if self._beyond else self._cells_within
        self._hope: _Hope | None = None
        if floor is not None and self._beyond:
            least = max(floor, self._goal)
            self._hope = _Hope(self._best.squares, least, self._cells_within)
        self._loose = np.flatnonzero(self._now.loose).astype(np.int32)
        # nothing leaves its zone, so what is there need be told once
        zone = work.fleet.hosts.zone[self._now.home[self._loose]]
        self._loose_in = [
            self._loose[zone == one] for one in range(len(work.fleet.zones))
        ]
        self._price = self._first_price()

    def run(self) -> layout.Snapshot:
        """Trade until nothing is gained any more; return the best.

        The steps of the workspace stay as they are, and its placement too.
        """
        cost = self._now.cost[self._loose]
        ceiling = float(cost.mean()) / _LEAST_GAIN if len(cost) else 1.0
        patience, crossings, was_over = _PATIENCE, 0, True
        while patience and crossings < _CROSSINGS and not self._ended:
            price, better = self._price, self._sweep(ceiling)
            over = self._now.squares > self._goal
            rising = self._beyond and over and self._price > price
            if better or rising:
                patience, crossings = _PATIENCE, 0
            else:
                patience -= 1
                crossings += int(over != was_over)
            was_over = over
        self._now.leave()
        return self._best

    def _sweep(self, ceiling: float) -> bool:
        """Look at all hosts once; say whether anything better was found."""
        better = False
        for hosts in self._windows():
            made = self._round(hosts)
            better |= self._compare()
            self._reprice(made, ceiling)
            if self._ended:
                break
        return better

    @property
    def _ended(self) -> bool:
        if self._hope is not None and self._hope.lost(self._best.squares):
            return True
        return self._cells <= 0 or self._work.out_of_time

    def _first_price(self) -> float:
        """Return what the moves so far were worth, by and large."""
        now = self._now
        units = now.moved
        cpus = self._work.fleet.hosts.cpus
        usage = self._work.units.cpu_usage[units]
        missed = np.zeros(len(units))
        for host, cores in ((now.home[units], usage), (now.at[units], -usage)):
            share = cores / cpus[host]
            missed += now.weight[host] * share * (2 * now.away[host] + share)
        worthy = missed > changes.LEAST_WORTH
        if not worthy.any():
            average = float(now.cost.mean()) if len(now.cost) else 1.0
            return average / max(1e-6, now.squares / len(cpus))
        price = now.cost[units][worthy] / missed[worthy]
        return float(np.quantile(price, _PAYS_FOR))

    def _windows(self) -> collections.abc.Iterator[columns.Ints]:
        """Yield the hosts of each round of a sweep: a few of one zone."""
        zone = self._work.fleet.hosts.zone
        most = _HOSTS_BEYOND if self._beyond else _HOSTS
        order = self._random.permutation(len(zone))
        order = order[np.argsort(zone[order], kind='stable')]
        ends = np.flatnonzero(np.diff(zone[order])) + 1
        for inside in np.split(order, ends):
            parts = -(-len(inside) // most)
            for part in np.array_split(inside, parts):
                if len(part) > 1:
                    yield np.sort(part).astype(np.int32)

    def _round(self, hosts: columns.Ints) -> int:
        """Make the good changes among *hosts*; return how many."""
        units, rows = self._units_of(hosts)
        if not len(units):
            return 0
        cells = len(units) * (len(rows) + len(hosts) // 4) + 1000
        self._cells -= cells
        if self._hope is not None:
            self._hope.looked += cells
        look = changes.Look(self._now, units, hosts, self._price)
        busy: set[int] = set()
        made = 0
        for change in look.changes(rows):
            touched = {host for _, host in change.puts}
            touched.update(int(self._now.at[unit]) for unit, _ in change.puts)
            if busy.isdisjoint(touched) and self._make(change):
                busy |= touched
                made += 1
        self._now.settle()
        return made

    def _make(self, change: changes.Change) -> bool:
        """Make a change, unless limits or filters refuse it."""
        now = self._now
        moves, mib = now.moves, now.mib
        before = [(unit, int(now.at[unit])) for unit, _ in change.puts]
        for unit, host in change.puts:
            now.put(unit, host)
        if not now.over_limits(moves, mib) and all(
            now.stands(unit) for unit, _ in change.puts
        ):
            return True
        for unit, host in before:
            now.put(unit, host)
        return False

    def _units_of(
        self, hosts: columns.Ints
    ) -> tuple[columns.Ints, columns.Ints]:
        """Return the units of *hosts* to look at, and which make room."""
        now = self._now
        loose = self._loose_in[int(self._work.fleet.hosts.zone[hosts[0]])]
        inside = np.zeros(len(now.away), np.bool_)
        inside[hosts] = True
        units = loose[inside[now.at[loose]]]
        there = now.at[units] != now.home[units]
        moved = self._some(units[there], _MOVED)
        units = units[~there]
        worth = self._at_most(units, float(now.away[hosts].min()))
        promising = np.flatnonzero(worth > 0)
        if len(promising) > _UNMOVED:
            order = np.argsort(-worth[promising], kind='stable')
            promising = promising[order[:_UNMOVED]]
        found = [moved, units[promising]]
        if self._beyond:
            rest = np.ones(len(units), np.bool_)
            rest[promising] = False
            found.append(self._some(units[rest], _DRAWN))
        both = np.concatenate(found)
        rows = np.arange(len(both) if self._beyond else len(moved))
        return both, self._some(rows.astype(np.int32), 2 * _MOVED)

    def _at_most(self, units: columns.Ints, coldest: float) -> columns.Floats:
        """Return what it is worth at most that *units* leave home."""
        now, work = self._now, self._work
        here = now.at[units]
        share = work.units.cpu_usage[units] / work.fleet.hosts.cpus[here]
        gain = now.weight[here] * share * (2.0 * now.away[here] - share)
        gain -= share * (2.0 * coldest + share)
        worth: columns.Floats = self._price * gain - now.cost[units]
        return worth

    def _some(self, rows: columns.Ints, most: int) -> columns.Ints:
        if len(rows) <= most:
            return rows
        chosen = self._random.choice(len(rows), most, replace=False)
        sample: columns.Ints = rows[np.sort(chosen)]
        return sample

    def _compare(self) -> bool:
        """Keep what is there now, if it is the best so far."""
        now, best = self._now, self._best
        squares = max(self._goal, now.squares)
        kept = max(self._goal, best.squares)
        better = squares < kept - changes.LEAST_WORTH or (
            squares <= kept and now.spent < best.cost - changes.LEAST_WORTH
        )
        if better:
            self._best = now.snapshot()
        if self._beyond and self._best.squares <= self._goal:
            self._beyond = False
            self._cells = min(self._cells, _AFTER * self._cells_within)
        return better

    def _reprice(self, made: int, ceiling: float) -> None:
        """Raise the price while the spread is too high, or lower it."""
        too_much = self._now.squares / self._goal
        far = self._beyond or too_much < _FAR
        steepest = _STEEPEST_BEYOND if far else _STEEPEST
        least = _LEAST_STEP if made else _STILL_STEP
        step = min(steepest, abs(too_much**_EAGERNESS - 1.0))
        factor = 1.0 + max(least, step)
        if too_much <= 1.0:
            factor = 1.0 / factor
        self._price = min(ceiling, self._price * factor)


def spent(
    work: workspace.Workspace, first: int, prefer: contexts.Prefer
) -> float:
    """Return what the steps of *work* from the *first* on cost."""
    counts = prices.of(work, prefer)
    if work.particular or not work.pace.even:
        return layout.Layout(work, first, counts).spent
    return float(
        counts.units[[step.unit for step in work.steps[first:]]].sum()
    )


def improve(
    work: workspace.Workspace,
    first: int,
    target: float,
    prefer: contexts.Prefer,
    floor: float | None = None,
) -> list[sequence.Way]:
    """Return the best ways found to bring the spread to *target*.

    :param first: the step of *work* from which on steps may be changed
    :param prefer: what to be sparing with
    :param floor: the sum of squares that no plan within its limits of moves
        and GiB gets under; None where it has no such limit
    """
    return layout.ways(Trade(work, first, target, prefer, floor).run())
