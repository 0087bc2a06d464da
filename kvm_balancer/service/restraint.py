"""What holds moves back by the clock: change windows and budgets.

The same restraints are heeded when a plan is made and when a move's turn
comes.
"""

import collections.abc
import threading

from oslo_config import cfg

from kvm_balancer.conf import windows
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import plan as plans
from kvm_balancer.planner import budget
from kvm_balancer.planner import schedule


class Restraint:
    """Windows of zones, and what was begun within the last hour."""

    def __init__(
        self,
        schedules: schedule.Schedules | None = None,
        budgets: budget.Params | None = None,
    ) -> None:
        self._schedules = schedules or schedule.Schedules()
        self._ledger = budget.Ledger(budgets or budget.Params())
        #: plans are made and moves begun by different threads
        self._lock = threading.Lock()

    def closed_zones(self, fleet: columns.Fleet, now: float) -> dict[str, str]:
        """Return the zones of *fleet* in which nothing is moved, and why."""
        return self._schedules.all_closed(fleet.zones, now)

    def allowance(
        self, fleet: columns.Fleet, now: float
    ) -> budget.Allowance | None:
        """Return what is left of the budgets; None without any."""
        with self._lock:
            return self._ledger.allowance(fleet, now)

    def objection(
        self,
        fleet: columns.Fleet,
        moves: collections.abc.Sequence[plans.Move],
        now: float,
        promised: collections.abc.Sequence[plans.Move] = (),
    ) -> str:
        """Say why *moves* are not to begin now; empty where they may.

        :param moves: that are made together, from one host
        :param promised: moves that are about to begin
        """
        closed = self._schedules.objection(fleet, moves, now)
        if closed:
            return closed
        with self._lock:
            return self._ledger.objection(moves, now, promised)

    def note(
        self, source: str, destination: str, mib: float, at: float
    ) -> None:
        """Take down that a migration began."""
        with self._lock:
            self._ledger.note(source, destination, mib, at)


def read(conf: cfg.ConfigOpts) -> Restraint:
    """Make the restraints that *conf* asks for.

    :raises ConfigurationError: when a window is none
    """
    return Restraint(windows.read(conf), budgets(conf))


def budgets(conf: cfg.ConfigOpts) -> budget.Params:
    """Return the budgets that *conf* sets."""
    group = conf.budgets
    return budget.Params(
        moves=group.moves_per_hour,
        gib=group.gib_per_hour,
        host_moves=group.host_moves_per_hour,
        nic_gib=group.nic_gib_per_hour,
    )
