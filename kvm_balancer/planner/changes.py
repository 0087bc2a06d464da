"""Changes of a set of moves, and what each is worth at a price.

The price says what a unit of the sum of squares may cost. A change is worth
its gain at that price, less what it costs, more what it saves. There are
three, and each is a closed form on at most four hosts, so that all of a
kind are one array:

- *shift*: one unit goes elsewhere: to another host, away from home, or back;
- *swap*: two units change hosts;
- *chain*: one unit goes where another was, and that one goes on to a third.

Swaps and chains find what shifts cannot: where memory is full, nothing
comes in before something leaves.
"""

import dataclasses

import numpy as np
import numpy.typing as npt

from kvm_balancer.model import fleet as columns
from kvm_balancer.planner import layout

#: worth below it is noise of the arithmetic
LEAST_WORTH = 1e-9
#: sums of floats are compared with this slack
_SLACK = 1e-6
#: of the changes of a kind that a unit has, so many are proposed
_EACH = 2


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """Units that go elsewhere, together.

    :ivar puts: each unit and its host, in an order of no meaning
    """

    worth: float
    puts: tuple[tuple[int, int], ...]


class Look:
    """A look at some units and hosts of a layout, at one price."""

    def __init__(
        self,
        now: layout.Layout,
        units: columns.Ints,
        hosts: columns.Ints,
        price: float,
    ) -> None:
        """Prepare what all changes have in common.

        :param units: all of them on one of *hosts*
        :param hosts: in ascending order
        """
        work = now.work
        self._now, self._units, self._hosts = now, units, hosts
        self._price = price
        self._cpus = work.fleet.hosts.cpus
        self._usage = work.units.cpu_usage[units]
        self._need = work.units.need[:, units]
        self._at, self._home = now.at[units], now.home[units]
        least = work.worth.least_gain[units]
        self._cost = np.maximum(now.cost[units], price * least)
        self._refund = np.where(self._at != self._home, self._cost, 0.0)
        self._place = np.searchsorted(hosts, self._at)
        self._surcharge = self._surcharges()
        #: worth of leaving, without what is saved by being home again
        self._leave = self._worth(self._at, -self._usage)
        self._allowed = self._may_go()
        self._best, self._best_worth = self._destinations()

    def _surcharges(self) -> columns.Floats | None:
        """Return what units cost more on hosts; None where nothing."""
        now, units = self._now, self._units
        more = now.work.pace.more(units, self._hosts)
        found = now.surcharge(units, self._hosts, more)
        if found is None:
            return None
        if more is not None:
            least = now.work.worth.least_gain_on(units, more.core_seconds)
            dear = np.maximum(now.cost[units][:, None], self._price * least)
            found += dear - self._cost[:, None]
        self._refund += found[np.arange(len(found)), self._place]
        return found

    def _worth(
        self, hosts: columns.Ints, cores: columns.Floats
    ) -> columns.Floats:
        """Return what it is worth that *hosts* get *cores* more."""
        now = self._now
        share = cores / self._cpus[hosts]
        worth: columns.Floats = (
            -self._price
            * now.weight[hosts]
            * share
            * (2.0 * now.away[hosts] + share)
        )
        return worth

    def _may_go(self) -> columns.Bools:
        """Say which units rules let be on which hosts, ``(units, hosts)``."""
        allowed = self._now.allowed(self._units, self._hosts)
        allowed = allowed & self._now.work.may_take[self._hosts]
        place = np.searchsorted(self._hosts, self._home)
        place = np.minimum(place, len(self._hosts) - 1)
        inside = np.flatnonzero(self._hosts[place] == self._home)
        allowed[inside, place[inside]] = True
        return allowed

    def _destinations(self) -> tuple[columns.Ints, columns.Floats]:
        """Return the best other host of each unit, and its worth."""
        now, hosts = self._now, self._hosts
        per_core = now.weight[hosts] / self._cpus[hosts]
        usage = self._usage
        table = np.stack((usage, usage * usage), axis=1) @ np.stack(
            (
                -2.0 * self._price * per_core * now.away[hosts],
                -self._price * per_core / self._cpus[hosts],
            )
        )
        table -= self._cost[:, None]
        if self._surcharge is not None:
            table -= self._surcharge
        refused = ~self._allowed
        room = now.room[:, hosts] + _SLACK
        # what there is plenty of needs no look at every pair
        scarce = self._need.max(axis=1) > room.min(axis=1)
        for resource in np.flatnonzero(scarce).tolist():
            refused |= self._need[resource][:, None] > room[resource][None, :]
        every = np.arange(len(usage))
        refused[every, self._place] = True
        table[refused] = -np.inf
        column = table.argmax(axis=1)
        best, worth = hosts[column], table[every, column]
        home = np.where(
            (self._at != self._home) & now.fits(self._need, self._home),
            self._worth(self._home, usage),
            -np.inf,
        )
        better = home >= worth
        return (
            np.where(better, self._home, best).astype(np.int32),
            np.where(better, home, worth) + self._refund,
        )

    def changes(self, rows: columns.Ints) -> list[Change]:
        """Return good changes, the best first.

        :param rows: units, by index, that swap or make room in a chain;
            every unit may be the other one
        """
        found = self._shifts()
        if len(rows):
            found += self._pairs(rows)
        found.sort(key=lambda one: (-one.worth, one.puts))
        return found

    def _shifts(self) -> list[Change]:
        worth = self._leave + self._best_worth
        return [
            Change(float(worth[row]), (self._on(row, int(self._best[row])),))
            for row in np.flatnonzero(worth > LEAST_WORTH).tolist()
        ]

    def _on(self, row: int, host: int) -> tuple[int, int]:
        return int(self._units[row]), host

    def _pairs(self, rows: columns.Ints) -> list[Change]:
        """Return swaps and chains: what *rows* leave to the others."""
        more = self._usage[None, :] - self._usage[rows][:, None]
        here, there = self._room_here(rows)
        left = self._refund - np.where(
            self._at[rows][:, None] == self._home[None, :],
            0.0,
            self._cost[None, :],
        )
        left += self._exchanged(self._at[rows][:, None], more)
        if self._surcharge is not None:
            left -= self._surcharge[:, self._place[rows]].T
        left[~here] = -np.inf
        chain = left + self._leave[None, :]
        chain += self._best_worth[rows][:, None]
        chain[self._best[rows][:, None] == self._at[None, :]] = -np.inf
        found = [
            Change(
                worth,
                (
                    self._on(row, int(self._best[row])),
                    self._on(column, int(self._at[row])),
                ),
            )
            for worth, row, column in _highest(chain, rows)
        ]
        left += self._exchanged(self._at[None, :], -more)
        left += self._refund[rows][:, None] - np.where(
            self._at[None, :] == self._home[rows][:, None],
            0.0,
            self._cost[rows][:, None],
        )
        if self._surcharge is not None:
            left -= self._surcharge[rows][:, self._place]
        left[~there] = -np.inf
        return found + [
            Change(
                worth,
                (
                    self._on(row, int(self._at[column])),
                    self._on(column, int(self._at[row])),
                ),
            )
            for worth, row, column in _highest(left, rows)
        ]

    def _exchanged(
        self,
        hosts: npt.NDArray[np.int32],
        more: npt.NDArray[np.float64],
    ) -> columns.Floats:
        """Return what *more* cores on *hosts* are worth, as a table."""
        now = self._now
        per_core = 1.0 / self._cpus[hosts]
        factor = -self._price * now.weight[hosts] * per_core
        worth: columns.Floats = factor * more
        worth *= 2.0 * now.away[hosts] + more * per_core
        return worth

    def _room_here(
        self, rows: columns.Ints
    ) -> tuple[columns.Bools, columns.Bools]:
        """Say where others fit instead of *rows*, and *rows* of others."""
        now = self._now
        apart = self._at[rows][:, None] != self._at[None, :]
        here = apart & self._allowed[:, self._place[rows]].T
        there = apart & self._allowed[rows][:, self._place]
        room = now.room[:, self._at] + _SLACK
        most = self._need.max(axis=1) - self._need.min(axis=1)
        scarce = most > room.min(axis=1)
        for resource in np.flatnonzero(scarce).tolist():
            need, left = self._need[resource], room[resource]
            more = need[None, :] - need[rows][:, None]
            here &= more <= left[rows][:, None]
            there &= more >= -left[None, :]
        return here, there


def _highest(
    table: columns.Floats, rows: columns.Ints
) -> list[tuple[float, int, int]]:
    """Return the highest cells of each row: value, row, column."""
    found: list[tuple[float, int, int]] = []
    every = np.arange(len(rows))
    for _ in range(_EACH):
        column = table.argmax(axis=1)
        worth = table[every, column]
        good = np.flatnonzero(worth > LEAST_WORTH)
        found += zip(
            worth[good].tolist(),
            rows[good].tolist(),
            column[good].tolist(),
            strict=True,
        )
        table[every, column] = -np.inf
    return found
