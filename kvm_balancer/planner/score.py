"""How well balanced a fleet is: spread and peak over the hosts that count."""

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement
from kvm_balancer.model import plan


def spread(loads: columns.Floats, counted: columns.Bools) -> float:
    """Return the standard deviation of *loads* over the *counted* hosts."""
    return float(loads[counted].std()) if counted.any() else 0.0


def summary(state: placement.Placement) -> plan.LoadSummary:
    """Sum up the loads of *state*."""
    counted = state.fleet.counted
    if not len(counted):
        return plan.LoadSummary(0.0, 0.0, 0.0, 0.0)
    cpu, memory = state.cpu_load, state.memory_load
    return plan.LoadSummary(
        cpu_stddev=spread(cpu, counted),
        cpu_max=float(cpu[counted].max()),
        memory_stddev=spread(memory, counted),
        memory_max=float(memory[counted].max()),
    )


class RunningSpread:
    """The spread of CPU load, kept up to date while single hosts change.

    Kept as a sum and a sum of squares around the first mean, which loses no
    digits for loads around 1.
    """

    def __init__(
        self,
        state: placement.Placement,
        counted: columns.Bools | None = None,
    ) -> None:
        """Begin with *state*.

        :param counted: hosts it is taken over; those of the fleet that
            count by default
        """
        self._counted = state.fleet.counted if counted is None else counted
        self._cpus = state.fleet.hosts.cpus
        self._count = int(np.count_nonzero(self._counted))
        self._load = state.cpu_load
        loads = self._load[self._counted]
        self._origin = float(loads.mean()) if self._count else 0.0
        self._sum = float((loads - self._origin).sum())
        self._squares = float(((loads - self._origin) ** 2).sum())

    def update(self, state: placement.Placement, host: int) -> None:
        """Take over the load that *host* has now."""
        new = float(state.cores[host] / self._cpus[host])
        if self._counted[host]:
            old = float(self._load[host]) - self._origin
            moved = new - self._origin
            self._sum += moved - old
            self._squares += moved * moved - old * old
        self._load[host] = new

    @property
    def mean(self) -> float:
        """The mean load of the hosts that count."""
        return self._origin + self._sum / max(1, self._count)

    @property
    def variance(self) -> float:
        """The square of the spread."""
        count = max(1, self._count)
        return max(0.0, self._squares / count - (self._sum / count) ** 2)

    @property
    def stddev(self) -> float:
        """The spread."""
        return float(self.variance**0.5)
