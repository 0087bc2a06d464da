"""What a move gains: the closed form, for many moves at once.

The gain of a move is the change of the sum of squared distances from the
mean load. With :math:`x` the distance of a host's load from the mean,
:math:`u` the load an instance puts on a host, and :math:`n` hosts, a move
from :math:`s` to :math:`d` gains

    2 u_s x_s - u_s^2  -  2 u_d x_d - u_d^2  +  (u_d - u_s)^2 / n

In that sum a unit and its source only ever meet a destination as products,
so a table of units against hosts is the product of two narrow matrices.
What a plan is sparing with divides the gain: one for a move, or its MiB.
"""

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.planner import pace
from kvm_balancer.planner import score
from kvm_balancer.planner import workspace


class Gains:
    """The gains of moves on a workspace, as it is now.

    :ivar spread: the spread of CPU load as it is now
    :ivar useful: units that put load on a host at all, shape ``(units,)``
    """

    def __init__(
        self, work: workspace.Workspace, exponent: float | None = None
    ) -> None:
        """Begin where *work* is.

        :param exponent: gains are divided by MiB to this; by default as
            the context prefers
        """
        self.spread = score.RunningSpread(work.state, work.counted)
        self.useful: columns.Bools = work.units.cpu_usage > 0
        self._work = work
        self._cpus = work.fleet.hosts.cpus
        self._largest = float(self._cpus.max(initial=1.0))
        self._weight = work.counted.astype(np.float64)
        self._count = max(1.0, float(self._weight.sum()))
        self._load = work.state.cpu_load
        if exponent is None:
            exponent = work.context.prefer.cost_exponent
        mib = np.maximum(work.units.mib / work.units.size, 1.0)
        self._price = work.units.size * mib**exponent

    def update(self, host: int) -> None:
        """Take over the load that *host* has now."""
        self.spread.update(self._work.state, host)
        cores = self._work.state.cores[host]
        self._load[host] = cores / self._cpus[host]

    def worthy(self, unit: int, most: float) -> bool:
        """Say whether what *unit* gains is worth moving it.

        Where networks differ, that is told apart by host already.

        :param most: what it gains, per price
        """
        if not self._work.pace.even:
            return True
        gained = most * float(self._price[unit])
        return gained >= float(self._work.worth.least_gain[unit])

    def give_up(self, unit: int) -> None:
        """Pass *unit* over: what it gains only ever becomes less."""
        self.useful[unit] = False

    def table(
        self, halves: columns.Floats, hosts: columns.Ints
    ) -> columns.Floats:
        """Return what units gain on hosts, per price.

        :param halves: of the units
        :returns: shape ``(len(halves), len(hosts))``
        """
        weight, cpus = self._weight[hosts], self._cpus[hosts]
        per_core = weight / cpus
        away = self._load[hosts] - self.spread.mean
        table: columns.Floats = halves @ np.stack(
            (
                np.ones(len(hosts)),
                -2.0 * away * per_core,
                -per_core * (1.0 / cpus - per_core / self._count),
                -2.0 * per_core / self._count,
            )
        )
        return table

    def dearer(
        self,
        table: columns.Floats,
        units: columns.Ints,
        more: pace.More | None,
    ) -> None:
        """Take off a table of gains what slower networks take.

        A unit goes nowhere where it is not worth what it costs there.
        """
        worth, price = self._work.worth, self._price[units][:, None]
        if more is None:
            table[table * price < worth.least_gain[units][:, None]] = -np.inf
            return
        least = worth.least_gain_on(units, more.core_seconds)
        table[table * price < least] = -np.inf
        table -= worth.lost(units, more.core_seconds) / price
        table *= 1.0 - more.dislike

    def at_most(
        self, halves: columns.Floats, coldest: columns.Floats | float
    ) -> columns.Floats:
        """Return what units gain at most on hosts not under a load.

        :param halves: of the units
        :param coldest: that load, for each of *units*; infinite where
            there are no such hosts
        :returns: for each of *units*
        """
        finite = np.isfinite(coldest)
        away = np.where(finite, coldest, 0.0) - self.spread.mean
        # no destination is better than one with the most cores
        share = 1.0 / self._largest
        most = (
            halves[:, 0]
            - halves[:, 1] * 2.0 * away * share
            - halves[:, 2] * share * share * (1.0 - 1.0 / self._count)
        )
        return np.where(finite, most, -np.inf)

    def halves(
        self, units: columns.Ints, sources: columns.Ints
    ) -> columns.Floats:
        """Return the half of the closed form that units bring in.

        It holds until a host changes.

        :param sources: the host of each of *units*
        :returns: shape ``(len(units), 4)``
        """
        usage = self._work.units.cpu_usage[units]
        taken = self._weight[sources] * usage / self._cpus[sources]
        away = self._load[sources] - self.spread.mean
        own = usage / self._cpus[sources]
        left = taken * (2.0 * away - own) + taken * taken / self._count
        rows: columns.Floats = np.stack(
            (left, usage, usage * usage, usage * taken), axis=1
        )
        rows /= self._price[units][:, None]
        return rows
