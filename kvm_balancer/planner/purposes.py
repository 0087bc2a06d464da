"""What policies want less of, followed through a plan step by step.

A plan of several policies serves several purposes: rules that are broken,
instances on hosts that drain, load over limits, spread, hosts in use. Each
is told by one amount, of which there is less the more is done. What part of
a plan has taken away of it, out of what all of the plan takes away, is what
that part gains for its policy.
"""

import abc
import collections.abc
import dataclasses
from typing import ClassVar

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement
from kvm_balancer.model import plan
from kvm_balancer.planner import easing
from kvm_balancer.planner import gauges
from kvm_balancer.planner import rules
from kvm_balancer.planner import score
from kvm_balancer.planner import workspace

#: digits after the point that sums of floats are told by
_DIGITS = 9


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """A plan at its start, to be followed from there.

    :ivar work: that the steps were searched on
    :ivar state: where everything is, which the steps then change
    :ivar places: the hosts that the policy looks after, by place, each of
        shape ``(hosts,)``
    """

    work: workspace.Workspace
    state: placement.Placement
    places: tuple[columns.Bools, ...]

    @property
    def hosts(self) -> columns.Bools:
        """The hosts of all places, shape ``(hosts,)``."""
        found: columns.Bools = np.logical_or.reduce(self.places)
        return found


class Purpose(abc.ABC):
    """An amount of what a policy wants less of.

    :ivar left: how much there is of it now
    """

    #: what it is, to be read: ``broken rules``
    what: ClassVar[str]
    #: amounts of it are whole numbers
    counted: ClassVar[bool] = False
    left: float

    @abc.abstractmethod
    def take(self, step: workspace.Step) -> None:
        """Count *step*, which was just made on the state."""


#: Begins to follow a plan for a policy; None where it has nothing to tell.
Begin = collections.abc.Callable[[Setting], Purpose | None]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Aim:
    """A policy that took part in a plan.

    :ivar places: as of :class:`Setting`
    """

    policy: str
    begin: Begin
    places: tuple[columns.Bools, ...]


class Progress:
    """All purposes of one plan.

    A plugin of others that raises is named among the problems of the
    workspace, and no longer followed.
    """

    def __init__(
        self,
        aims: collections.abc.Iterable[Aim],
        work: workspace.Workspace,
        state: placement.Placement,
    ) -> None:
        self._problems = work.problems
        self._steps = 0
        self._followed: dict[str, Purpose] = {}
        self._left: dict[str, list[float]] = {}
        for aim in aims:
            try:
                found = aim.begin(Setting(work, state, aim.places))
            except Exception as error:
                self._give_up(aim.policy, error)
                continue
            if found is not None:
                self._followed[aim.policy] = found
                self._left[aim.policy] = [float(found.left)]

    def _give_up(self, policy: str, error: Exception) -> None:
        self._followed.pop(policy, None)
        self._problems[f'purpose of {policy}'] = (
            f'what parts of the plan gain for {policy} is not told: '
            f'{type(error).__name__}: {error}'
        )

    def take(self, step: workspace.Step) -> None:
        """Count *step*, which was just made on the state."""
        self._steps += 1
        for policy, one in list(self._followed.items()):
            try:
                one.take(step)
                self._left[policy].append(float(one.left))
            except Exception as error:
                self._give_up(policy, error)

    @property
    def purposes(self) -> tuple[plan.Purpose, ...]:
        """What all of the plan takes away."""
        return tuple(
            plan.Purpose(policy, one.what, *self._ends(policy), one.counted)
            for policy, one in self._followed.items()
        )

    def _ends(self, policy: str) -> tuple[float, float]:
        left = self._left[policy]
        return _rounded(left[0]), _rounded(left[-1])

    def left(self) -> list[tuple[float, ...]]:
        """Return what every step leaves of the purposes, in their order."""
        if not self._followed:
            return [()] * self._steps
        followed = [self._left[policy][1:] for policy in self._followed]
        return [
            tuple(map(_rounded, row)) for row in zip(*followed, strict=True)
        ]


def _rounded(amount: float) -> float:
    """Return *amount* as it is told: what sums of floats lose is nothing."""
    return round(amount, _DIGITS) + 0.0


class Spread(Purpose):
    """How far CPU loads are apart.

    Over several places it is taken over their hosts together, from the mean
    of each place: between places nothing evens out.
    """

    what = 'CPU spread'

    def __init__(self, setting: Setting) -> None:
        state = setting.state
        self._state = state
        #: of every host, the place it counts in; -1 for none
        self._place = np.full(len(state.fleet.hosts), -1)
        self._running: list[score.RunningSpread] = []
        self._count: list[int] = []
        for hosts in setting.places:
            counted = hosts & state.fleet.counted
            counted = counted if counted.any() else hosts
            self._place[counted] = len(self._running)
            self._running.append(score.RunningSpread(state, counted))
            self._count.append(int(np.count_nonzero(counted)))
        self._squares = sum(map(self._of, range(len(self._running))))
        self.left = self._stddev()

    def _of(self, place: int) -> float:
        """Return the sum of squares around the mean of a place."""
        return self._count[place] * self._running[place].variance

    def _stddev(self) -> float:
        mean = self._squares / max(1, sum(self._count))
        return float(max(0.0, mean) ** 0.5)

    def take(self, step: workspace.Step) -> None:
        for end in (step.source, step.destination):
            place = int(self._place[end])
            if place >= 0:
                self._squares -= self._of(place)
                self._running[place].update(self._state, end)
                self._squares += self._of(place)
        self.left = self._stddev()


class Draining(Purpose):
    """Instances that are on hosts to be emptied."""

    what = 'instances on draining hosts'
    counted = True

    def __init__(self, setting: Setting) -> None:
        state = setting.state
        hosts = state.fleet.hosts
        self._units = setting.work.units
        self._draining = setting.hosts & (
            hosts.state == columns.HostState.DRAINING
        )
        self.left = float(np.count_nonzero(self._draining[state.host]))

    def take(self, step: workspace.Step) -> None:
        change = int(self._draining[step.destination]) - int(
            self._draining[step.source]
        )
        self.left += change * int(self._units.size[step.unit])


class InUse(Purpose):
    """Hosts that run anything."""

    what = 'hosts in use'
    counted = True

    def __init__(self, setting: Setting) -> None:
        state = setting.state
        fleet = state.fleet
        self._units = setting.work.units
        self._among = setting.hosts & fleet.hosts.counted_on
        self._there = np.bincount(state.host, minlength=len(fleet.hosts))
        self.left = float(np.count_nonzero(self._among & (self._there > 0)))

    def take(self, step: workspace.Step) -> None:
        size = int(self._units.size[step.unit])
        for end, more in ((step.source, -size), (step.destination, size)):
            before = int(self._there[end])
            self._there[end] = before + more
            if self._among[end]:
                self.left += int(before + more > 0) - int(before > 0)


class Rules(Purpose):
    """Hard rules that do not hold.

    A group counts once for each host that it has too many members on, and
    once where it is apart.
    """

    what = 'broken rules'
    counted = True

    def __init__(self, setting: Setting) -> None:
        state = setting.state
        self._fleet, self._host = state.fleet, state.host
        self._units = setting.work.units
        self._among = setting.hosts
        #: by group
        self._of: dict[int, int] = {}
        self._misplaced: set[int] = set()
        for one in rules.broken(self._fleet, self._host):
            if one.group >= 0:
                self._of[one.group] = self._broken(one.group)
            elif self._among[self._host[one.instances[0]]]:
                self._misplaced.add(one.instances[0])
        self.left = float(sum(self._of.values()) + len(self._misplaced))

    def _broken(self, group: int) -> int:
        """Count what is broken of a group on hosts that are looked after."""
        return sum(
            bool(self._among[self._host[list(one.instances)]].any())
            for one in rules.of_group(self._fleet, self._host, group)
        )

    def take(self, step: workspace.Step) -> None:
        fleet, members = self._fleet, self._units.of(step.unit).tolist()
        for group in {
            group for one in members for group in fleet.groups_of.get(one, ())
        }:
            now = self._broken(group)
            self.left += now - self._of.get(group, 0)
            self._of[group] = now
        if not self._among[step.source]:
            return
        for one in members:
            self.left -= one in self._misplaced
            self._misplaced.discard(one)
            if rules.misplaced(fleet, self._host, one):
                self._misplaced.add(one)
                self.left += 1


class Excess(Purpose):
    """What readings of hosts are over their limits, all added up.

    In shares of a host, as readings are.
    """

    what = 'load over limits'

    def __init__(
        self, setting: Setting, limits: collections.abc.Iterable[gauges.Limit]
    ) -> None:
        state, work = setting.state, setting.work
        self._among = setting.hosts & ~work.fleet.hosts.silent
        self._tallies: list[tuple[easing.Tally, columns.Floats]] = []
        self._over: list[columns.Floats] = []
        for limit in limits:
            tally = easing.Tally(state, work, limit.reading)
            if tally.gauge.known:
                over = tally.gauge.changed(tally.change) - limit.most
                found = self._among & (over > 0.0)
                self._tallies.append((tally, limit.most))
                self._over.append(np.where(found, over, 0.0))
        self.left = float(sum(over.sum() for over in self._over))

    def _excess(
        self, tally: easing.Tally, most: columns.Floats, host: int
    ) -> float:
        """Return what *host* is over a limit; nothing where nobody knows."""
        over = tally.load(host) - float(most[host])
        return over if self._among[host] and over > 0.0 else 0.0

    def take(self, step: workspace.Step) -> None:
        for (tally, most), over in zip(self._tallies, self._over, strict=True):
            tally.take(step)
            for end in (step.source, step.destination):
                now = self._excess(tally, most, end)
                self.left += now - float(over[end])
                over[end] = now
