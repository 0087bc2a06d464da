"""What the steps of a plan do to the readings that they are made for.

CPU is looked at for every step; other readings only where a step is made for
one of them.
"""

from kvm_balancer.model import placement
from kvm_balancer.planner import gauges
from kvm_balancer.planner import reasons
from kvm_balancer.planner import workspace


def _others(work: workspace.Workspace) -> set[gauges.Reading]:
    """Return the readings but CPU that steps are made for."""
    return {
        step.cause.reading for step in work.steps if step.cause is not None
    } - {gauges.Reading.CPU}


class Tally:
    """One reading, and what the steps so far change of it.

    :ivar usage: what each unit has of it, shape ``(units,)``
    """

    def __init__(
        self,
        start: placement.Placement,
        work: workspace.Workspace,
        reading: gauges.Reading,
    ) -> None:
        self.gauge = gauges.Gauge(work.fleet, reading)
        self.usage = work.units.total(self.gauge.usage)
        #: more in use than when it was read, shape ``(hosts,)``
        self.change = self.gauge.in_use(start) - (
            self.gauge.in_use(placement.Placement(work.fleet))
        )

    def take(self, step: workspace.Step) -> None:
        """Count *step*."""
        usage = self.usage[step.unit]
        self.change[step.source] -= usage
        self.change[step.destination] += usage

    def load(self, host: int) -> float:
        """Return what *host* reads after the steps so far."""
        return self.gauge.changed_on(host, float(self.change[host]))


class Running:
    """Follows a plan, step by step."""

    def __init__(
        self, start: placement.Placement, work: workspace.Workspace
    ) -> None:
        self._tallies = {one: Tally(start, work, one) for one in _others(work)}

    def take(self, step: workspace.Step) -> reasons.Eased | None:
        """Take a step; say what it does where it is not made for CPU."""
        if not self._tallies:
            return None
        reading = step.cause.reading if step.cause else gauges.Reading.CPU
        tally = self._tallies.get(reading)
        before = tally.load(step.source) if tally is not None else 0.0
        for one in self._tallies.values():
            one.take(step)
        if tally is None:
            return None
        return reasons.Eased(reading, before, tally.load(step.source))


class Extremes:
    """The least that sources of steps may read when their turn comes."""

    def __init__(
        self, start: placement.Placement, work: workspace.Workspace
    ) -> None:
        self._tallies: dict[gauges.Reading, Tally] = {}
        for reading in _others(work):
            tally = Tally(start, work, reading)
            for step in work.steps:
                tally.change[step.source] -= tally.usage[step.unit]
            self._tallies[reading] = tally

    def least(self, step: workspace.Step, cpu: float) -> float:
        """Return it for the reading that *step* is made for.

        When all that is to leave the source has left it but the step.

        :param cpu: the same of CPU
        """
        reading = step.cause.reading if step.cause else gauges.Reading.CPU
        tally = self._tallies.get(reading)
        if tally is None:
            return cpu
        usage = tally.usage[step.unit]
        tally.change[step.source] += usage
        found = tally.load(step.source)
        tally.change[step.source] -= usage
        return found
