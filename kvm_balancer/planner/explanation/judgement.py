"""What every rule has to say of an instance, and of each host for it.

A search only asks whether something may be done; here every rule is asked by
itself, so that each refusal has a name, figures, and what would change it.
"""

import collections
import collections.abc
import dataclasses

import numpy as np

from kvm_balancer.filters import base as filter_base
from kvm_balancer.model import fleet as columns
from kvm_balancer.planner import admission
from kvm_balancer.planner import workspace
from kvm_balancer.planner.explanation import records

_COOLING = records.Rule(
    'cooldown',
    'cools down after a migration',
    'wait, or lower [agent] host_cooldown_seconds',
)


#: Says of an instance, by id, why it may not be moved; empty if not known.
Known = collections.abc.Callable[[str], str]


class Judge:
    """Says what holds for units and hosts on a workspace, as it is now."""

    def __init__(
        self, work: workspace.Workspace, known: Known | None = None
    ) -> None:
        """Judge what is on *work*.

        :param known: what else there is to say of instances that may not
            be moved
        """
        self.work = work
        self._known = known
        self._fleet = work.fleet

    def staying(self, instance: int) -> records.Rule | None:
        """Return what keeps *instance* where it is; None where nothing."""
        work = self.work
        if work.state.in_flight[instance]:
            return records.Rule(
                'in flight', 'it is in a migration already', 'wait for its end'
            )
        found = self._own(instance)
        if found is not None:
            return found
        home = int(work.state.host[instance])
        if not work.may_leave[home]:
            return self._closed(home, self._fleet.hosts.max_outgoing)
        idle = work.context.unattended
        if idle is not None and idle[home]:
            return records.Rule(
                'policies',
                f'no policy looks after {self._fleet.hosts.name[home]}',
                'set run in [policies:zone:NAME] or [policies:aggregate:NAME]',
            )
        return None

    def _own(self, instance: int) -> records.Rule | None:
        """Return what the instance itself, or one it goes with, has."""
        if not self._fleet.instances.movable[instance]:
            uid = self._fleet.instances.id[instance]
            told = self._known(uid) if self._known is not None else ''
            return records.Rule(
                'movable',
                told or 'it is pinned, locked, opted out or not ours to move',
                # What is told says by itself what would change it.
                ''
                if told
                else 'let the balancer have it, or wait until it runs',
            )
        pinned = self.work.pins.why(instance)
        if pinned:
            return records.Rule(
                'pinned', pinned, 'take the pattern out of pinned_names'
            )
        why = self.work.means.why(instance)
        if why:
            return records.Rule(
                'convergence', why, 'allow it more, in [migration] or for it'
            )
        cooling = self.work.context.cooling_instances
        if cooling is not None and cooling[instance]:
            return records.Rule(
                'cooldown',
                'it cools down after a migration',
                'wait, or lower [agent] instance_cooldown_seconds',
            )
        unit = self.unit_of(instance)
        for other in self.work.units.of(unit).tolist():
            if other == instance or self.work.units.movable[unit]:
                continue
            if not self._fleet.instances.movable[other]:
                name = self._fleet.instances.name[other]
                return records.Rule(
                    'affinity',
                    f'it goes with {name} of its affinity group, which may '
                    'not be moved',
                    f'let the balancer have {name}',
                )
        return None

    def unit_of(self, instance: int) -> int:
        """Return what *instance* moves with."""
        units = self.work.units
        if units.single:
            return instance
        place = int(np.flatnonzero(units.members == instance)[0])
        return int(np.searchsorted(units.offset, place, side='right')) - 1

    def _closed(self, host: int, slots: columns.Ints) -> records.Rule:
        """Say why *host* neither gives nor takes."""
        fleet, context = self._fleet, self.work.context
        name = fleet.hosts.name[host]
        if fleet.hosts.silent[host]:
            return records.Rule(
                'stale_host',
                f'{name} has gone silent: nobody knows what it runs now',
                f'see to the executor of {name}',
            )
        if not slots[host]:
            return records.Rule(
                'slots',
                f'{name} grants no place for migrations that way',
                'raise [host] max_incoming or max_outgoing there',
            )
        closed = context.closed_zones.get(fleet.zones[fleet.hosts.zone[host]])
        if closed is not None:
            return records.Rule(
                'window', closed, 'wait, or change [windows] for the zone'
            )
        if context.limits.spent and context.allowance is not None:
            return records.Rule(
                'budget',
                context.allowance.spent,
                'wait, or raise the budgets in [budgets]',
            )
        cooling = context.cooling_hosts
        if cooling is not None and cooling[host]:
            return records.Rule(
                _COOLING.rule, f'{name} {_COOLING.text}', _COOLING.remedy
            )
        return records.Rule('planner', f'{name} is left alone')

    def places(
        self, unit: int, hosts: columns.Ints
    ) -> tuple[records.Place, ...]:
        """Say of each of *hosts* what becomes of *unit* there, and whether."""
        refused = self._refusals(unit, hosts)
        return tuple(
            dataclasses.replace(place, refused=refused.get(host))
            for place, host in zip(
                self.spreads(unit, hosts), hosts.tolist(), strict=True
            )
        )

    def spreads(
        self, unit: int, hosts: columns.Ints
    ) -> tuple[records.Place, ...]:
        """Say of each of *hosts* what *unit* would do there; none refuses."""
        if not len(hosts):
            return ()
        fleet, work = self._fleet, self.work
        usage = float(work.units.cpu_usage[unit])
        before = work.state.cores[hosts] / fleet.hosts.cpus[hosts]
        after = before + usage / fleet.hosts.cpus[hosts]
        spread = self._spreads(unit, hosts)
        return tuple(
            records.Place(
                host=fleet.hosts.name[host],
                cpu_before=float(before[place]),
                cpu_after=float(after[place]),
                cpu_spread=float(spread[place]),
            )
            for place, host in enumerate(hosts.tolist())
        )

    def _refusals(
        self, unit: int, hosts: columns.Ints
    ) -> dict[int, records.Rule]:
        """Return the first rule that keeps *unit* from each host."""
        work, found = self.work, dict[int, records.Rule]()
        members, left = work.units.of(unit), hosts
        for one in work.admission.filters:
            if one.wish and not work.heeds_wishes:
                continue
            if not len(left):
                return found
            passed = work.admission.ask_unit(one, members, left)
            refused = left[~passed]
            if len(refused):
                rule = self._rule(one, members, refused)
                found.update(dict.fromkeys(refused.tolist(), rule))
            left = left[passed]
        for host in left[~work.may_take[left]].tolist():
            found[host] = self._closed(host, self._fleet.hosts.max_incoming)
        return found

    def _rule(
        self,
        one: filter_base.Filter,
        members: columns.Ints,
        hosts: columns.Ints,
    ) -> records.Rule:
        instance = int(members[0])
        together = admission.together(len(members))
        try:
            return records.Rule(
                one.name,
                f'hosts that {one.reason(self.work.state, instance)}'
                f'{together} are refused',
                one.remedy(self.work.state, instance, hosts),
            )
        except Exception as error:
            # It is somebody's plugin; that it refuses is known already.
            return records.Rule(
                one.name,
                f'filter {one.name} refuses what it cannot judge',
                f'mend the filter: {type(error).__name__}: {error}',
            )

    def _spreads(self, unit: int, hosts: columns.Ints) -> columns.Floats:
        """Return the spread of the fleet, were *unit* on each of *hosts*."""
        fleet, state = self._fleet, self.work.state
        counted, cpus = fleet.counted, fleet.hosts.cpus
        load = state.cores / cpus
        home = self.work.home(unit)
        usage = float(self.work.units.cpu_usage[unit])
        count = max(1, int(np.count_nonzero(counted)))
        middle = float(load[counted].mean()) if counted.any() else 0.0
        away = np.where(counted, load - middle, 0.0)
        left = (away[home] - usage / cpus[home]) * counted[home]
        come = (away[hosts] + usage / cpus[hosts]) * counted[hosts]
        elsewhere = away.sum() - away[home] - away[hosts]
        squares = (away**2).sum() - away[home] ** 2 - away[hosts] ** 2
        mean = (elsewhere + left + come) / count
        variance = (squares + left**2 + come**2) / count - mean**2
        spread: columns.Floats = np.sqrt(np.maximum(variance, 0.0))
        return spread


def tally(
    places: collections.abc.Iterable[records.Place],
) -> tuple[records.Refused, ...]:
    """Put the hosts together that the same rule refuses, most first."""
    counted = collections.Counter(
        place.refused for place in places if place.refused is not None
    )
    return tuple(
        records.Refused(count, rule) for rule, count in counted.most_common()
    )
