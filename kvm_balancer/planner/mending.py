"""Mending of broken rules, one after the other, with the fewest moves."""

import collections

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.planner import reasons
from kvm_balancer.planner import rules
from kvm_balancer.planner import workspace


class Mending:
    """Mends rules on a workspace.

    :ivar reasons: why an instance was not moved that should have been, by
        row
    """

    def __init__(
        self,
        work: workspace.Workspace,
        broken: collections.abc.Iterable[rules.Broken] = (),
    ) -> None:
        """Begin where *work* is.

        :param broken: all that is to be mended: who breaks several rules
            goes before others
        """
        self._work = work
        self._breaks = collections.Counter(
            instance for one in broken for instance in one.instances
        )
        self.reasons: dict[int, str] = {}
        units = work.units
        self._unit_of = np.empty(len(work.fleet.instances), np.int32)
        self._unit_of[units.members] = np.repeat(
            np.arange(len(units), dtype=np.int32), units.size
        )

    def mend(self, broken: rules.Broken) -> None:
        """Make one rule hold, where that is possible."""
        if broken.kind is rules.Kind.APART:
            self._gather(broken.instances)
        else:
            self._scatter(broken)

    def _units(self, instances: tuple[int, ...]) -> list[int]:
        """Return the units of *instances*, the best to move first.

        Those that mend most rules, of them the cheapest.
        """
        units = self._work.units
        distinct = np.unique(self._unit_of[list(instances)])
        breaks = [
            sum(self._breaks[one] for one in units.of(unit).tolist())
            for unit in distinct.tolist()
        ]
        order = np.lexsort(
            (units.mib[distinct], units.size[distinct], -np.array(breaks))
        )
        found: list[int] = distinct[order].tolist()
        return found

    def _may_move(self, unit: int) -> bool:
        if not self._work.free[unit]:
            for one in self._work.units.of(unit).tolist():
                self.reasons[one] = reasons.stays(self._work, one)
            return False
        if self._work.out_of_time or not self._work.may_move(unit):
            self._note(unit, reasons.unplaced(self._work, unit))
            return False
        return True

    def _note(self, unit: int, why: str) -> None:
        for one in self._work.units.of(unit).tolist():
            self.reasons[one] = why

    def _scatter(self, broken: rules.Broken) -> None:
        """Let as many instances leave their host as are too many there."""
        work = self._work
        home = int(work.state.host[broken.instances[0]])
        staying = [
            one for one in broken.instances if work.state.host[one] == home
        ]
        too_many = broken.too_many - (len(broken.instances) - len(staying))
        for unit in self._units(tuple(staying)):
            if too_many <= 0:
                return
            if not self._may_move(unit):
                continue
            hosts = work.neighbours(home)
            hosts = work.open_to(unit, hosts)
            if not len(hosts):
                self._note(unit, reasons.unplaced(work, unit))
                continue
            gone = len(set(work.units.of(unit).tolist()) & {*staying})
            if self._helps(broken, unit, hosts):
                too_many -= gone

    def _helps(
        self, broken: rules.Broken, unit: int, hosts: columns.Ints
    ) -> bool:
        """Move *unit* to the best of *hosts* where that mends anything.

        One that breaks the rule wherever it goes is left where it is.
        """
        work = self._work
        first = len(work.steps)
        before = rules.remaining(work.fleet, work.state.host, broken)
        self._move(unit, work.best(unit, hosts))
        if rules.remaining(work.fleet, work.state.host, broken) < before:
            return True
        work.rewind(first)
        self._note(
            unit,
            f'all {int(work.units.size[unit])} of its affinity group go '
            'together, and would break it wherever they go',
        )
        return False

    def _gather(self, members: tuple[int, ...]) -> None:
        """Bring *members* together: where most are, or as near as can be."""
        work = self._work
        on: dict[int, list[int]] = collections.defaultdict(list)
        for one in members:
            on[int(work.state.host[one])].append(one)
        if len(on) < 2:
            return
        fewest = sorted(
            (host for host in on if self._suits(members, host)),
            key=lambda host: self._cost(on, host),
        )
        if any(self._bring(members, host) for host in fewest):
            return
        zone_hosts = work.neighbours(next(iter(on)))
        others = zone_hosts[~np.isin(zone_hosts, list(on))]
        largest = int(self._units(members)[-1])
        for host in work.preferred(largest, self._coldest(others)).tolist():
            if self._suits(members, host) and self._bring(members, host):
                return

    def _suits(self, members: tuple[int, ...], host: int) -> bool:
        """Say whether *host* is in all aggregates that *members* require.

        One that is there in spite of that has to leave by itself.
        """
        fleet = self._work.fleet
        wanted = fleet.requirements[
            fleet.instances.requirement[list(members)]
        ].any(axis=0)
        return not bool((wanted & ~fleet.hosts.aggregates[host]).any())

    def _coldest(self, hosts: columns.Ints) -> columns.Ints:
        load = self._work.state.cpu_load[hosts]
        ordered: columns.Ints = hosts[np.argsort(load, kind='stable')]
        return ordered

    def _cost(
        self, on: dict[int, list[int]], host: int
    ) -> tuple[int, float, int]:
        """Return what it takes to bring everybody to *host*."""
        units = self._work.units
        coming = self._units(
            tuple(
                one
                for there, members in on.items()
                if there != host
                for one in members
            )
        )
        count = sum(int(units.size[unit]) for unit in coming)
        return count, float(units.mib[coming].sum()), host

    def _bring(self, members: tuple[int, ...], host: int) -> bool:
        """Move all of *members* to *host*, or none of them."""
        work = self._work
        first = len(work.steps)
        target = np.array((host,), np.int32)
        if not work.may_take[host]:
            return False
        for unit in self._units(members):
            if work.home(unit) == host:
                continue
            if not self._may_move(unit) or not len(work.open_to(unit, target)):
                if work.free[unit] and work.may_move(unit):
                    self._note(unit, reasons.unplaced(work, unit))
                work.rewind(first)
                return False
            self._move(unit, host)
        return True

    def _move(self, unit: int, host: int) -> None:
        why = reasons.standing(self._work, unit, host)
        self._work.move(unit, host, why)
