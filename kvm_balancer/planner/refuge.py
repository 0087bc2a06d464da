"""Room for the failure of any host stays a place for each of its instances.

For each instance of an enabled host a refuge is kept: the host that would
take it if its own failed. A move is refused where it would take a refuge
away, or would bring an instance to where it has none. What is kept of a
refuge is as much as the one host needs there that needs most: one host fails
at a time. Whoever had no refuge to begin with is not waited for.

To look for other refuges for everybody is what makes a place where there
seemed to be none. That takes too long for each move that is thought of: so a
move may be refused for which room could be made, and none is allowed that
breaks what held.
"""

import math

import numpy as np

from kvm_balancer.filters import base
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement
from kvm_balancer.planner import admission
from kvm_balancer.planner import companions
from kvm_balancer.planner import failover
from kvm_balancer.planner import kept_room
from kvm_balancer.planner import supply

#: sums of floats are compared with this slack, in MiB, vCPUs and GiB
_SLACK = 1e-6
#: hosts among which refuges that nobody needs are looked for
_ROOMIEST = 8
_NOWHERE = np.zeros(0, np.int32)


class Refuges(base.Filter):
    """Lets instances go where everybody keeps a refuge."""

    name = 'headroom'
    dynamic = True

    def __init__(self, fleet: columns.Fleet) -> None:
        super().__init__()
        self._rules: admission.Admission | None = None
        self._fleet = fleet
        self._companions = companions.Companions(fleet)
        self._counted = fleet.hosts.counted_on
        self._zones = [
            np.flatnonzero(self._counted & (fleet.hosts.zone == zone)).astype(
                np.int32
            )
            for zone in range(len(fleet.zones))
        ]
        #: where everybody was when it was last looked
        self._home: columns.Ints = np.zeros(0, np.int32)

    def goes_by(self, rules: admission.Admission) -> None:
        """Go by *rules* from now on, of which this filter is one."""
        self._rules = rules

    def passes(
        self,
        state: placement.Placement,
        instances: columns.Ints,
        hosts: columns.Ints,
    ) -> columns.Bools:
        if not len(instances):
            return base.ALL
        every = np.arange(len(instances), dtype=np.int32)
        passed, scarce = self._at_sight(state, instances, every, hosts)
        scarce &= (self._goes[instances] >= 0) | ~self._counted[
            state.host[instances]
        ]
        for row in np.flatnonzero(scarce).tolist():
            self._with_refuge(state, int(instances[row]), hosts, passed[row])
        return passed

    def passes_together(
        self,
        state: placement.Placement,
        members: columns.Ints,
        first: columns.Ints,
        hosts: columns.Ints,
    ) -> columns.Bools:
        passed, scarce = self._at_sight(state, members, first, hosts)
        sets = np.split(members, first[1:])
        for row in np.flatnonzero(scarce).tolist():
            for place in np.flatnonzero(passed[row]).tolist():
                passed[row, place] = self._one_by_one(
                    state, sets[row], hosts[place]
                )
        return passed

    def _at_sight(
        self,
        state: placement.Placement,
        members: columns.Ints,
        first: columns.Ints,
        hosts: columns.Ints,
    ) -> tuple[columns.Bools, columns.Bools]:
        """Say where sets of instances leave the refuges of others alone.

        :returns: that, shape ``(sets, hosts)``; and for which sets there is
            not plenty of refuges of their own, shape ``(sets,)``
        """
        self._follow(state)
        need = np.add.reduceat(state.need[:, members], first, axis=1)
        left = state.room[:, hosts] - self._kept.most[:, hosts] + _SLACK
        passed = np.ones((len(first), len(hosts)), np.bool_)
        for some, most in zip(need, left, strict=True):
            passed &= some[:, None] <= most[None, :]
        passed |= ~self._counted[hosts]
        self._own_refuges(state, members, first, need, hosts, passed)
        limited = np.flatnonzero(self._companions.limited[members])
        sets = np.searchsorted(first, limited, side='right') - 1
        last = [*first[1:].tolist(), len(members)]
        for row in np.unique(sets).tolist():
            unit = members[first[row] : last[row]]
            taken = self._companions.awaited(
                state, unit, self._home, self._goes
            )
            passed[row] &= ~np.isin(hosts, taken)
        return passed, ~self._plenty(state, members, first, need)

    def _own_refuges(
        self,
        state: placement.Placement,
        members: columns.Ints,
        first: columns.Ints,
        need: columns.Floats,
        hosts: columns.Ints,
        passed: columns.Bools,
    ) -> None:
        """Let sets go to their own refuges, if others leave room for that.

        What is kept there for themselves is theirs.

        :param need: of each set, shape ``(3, sets)``
        :param passed: the answer so far, shape ``(sets, hosts)``
        """
        place_of = np.full(len(self._counted), -1, np.int32)
        place_of[hosts] = np.arange(len(hosts))
        there = self._goes[members]
        places = np.where(there >= 0, place_of[there], -1)
        sets = np.repeat(
            np.arange(len(first)), np.diff([*first.tolist(), len(members)])
        )
        asked = np.flatnonzero(places >= 0)
        asked = asked[~passed[sets[asked], places[asked]]]
        for one in asked.tolist():
            row, refuge = int(sets[one]), int(there[one])
            home = int(state.host[members[one]])
            mine = members[(sets == row) & (there == refuge)]
            most = self._kept.without(
                home, refuge, state.need[:, mine].sum(axis=1)
            )
            left = state.room[:, refuge] - most + _SLACK
            passed[row, places[one]] = bool((need[:, row] <= left).all())

    def _with_refuge(
        self,
        state: placement.Placement,
        one: int,
        hosts: columns.Ints,
        passed: columns.Bools,
    ) -> None:
        """Refuse to an instance the *hosts* from which it had no refuge.

        :param passed: what is not refused so far, shape ``(hosts,)``
        """
        refuge, need = int(self._goes[one]), state.need[:, one]
        asked = passed & self._counted[hosts]
        if refuge >= 0:
            # It stays its refuge where that has room for both.
            room = state.room[:, refuge] + _SLACK - need
            crowded = self._kept.over(refuge, room)
            full = self._companions.senders(
                state, one, refuge, self._home, self._goes
            )
            asked &= np.isin(hosts, [refuge, *crowded, *full.tolist()])
        for place in np.flatnonzero(asked).tolist():
            passed[place] = self._look(state, one, int(hosts[place])) >= 0

    def _plenty(
        self,
        state: placement.Placement,
        members: columns.Ints,
        first: columns.Ints,
        need: columns.Floats,
    ) -> columns.Bools:
        """Say which sets have two refuges to choose of that nobody needs.

        Whichever host they are on, they have one then, unless others of their
        groups on that fill it. Looked for among those with most room: that is
        quick, and most often enough.

        :param need: of each set, shape ``(3, sets)``
        :returns: shape ``(sets,)``
        """
        found = np.zeros(len(first), np.bool_)
        home = self._fleet.hosts.zone[state.host[members]]
        for zone in np.unique(home).tolist():
            hosts = self._zones[zone]
            if len(hosts) > _ROOMIEST:
                spare = state.room[placement.MEMORY_MIB, hosts]
                spare = spare - self._kept.most[placement.MEMORY_MIB, hosts]
                last = len(hosts) - _ROOMIEST
                hosts = hosts[np.argpartition(spare, last)[last:]]
            fits = self._asked().among_rules(members, hosts)
            fits = fits & (hosts[None, :] != self._goes[members][:, None])
            fits = np.logical_and.reduceat(fits, first)
            left = state.room[:, hosts] - self._kept.most[:, hosts] + _SLACK
            for some, most in zip(need, left, strict=True):
                fits &= some[:, None] <= most[None, :]
            mine = home[first] == zone
            found[mine] = np.count_nonzero(fits[mine], axis=1) > 1
        shared = self._companions.shared[members]
        return found & ~np.logical_or.reduceat(shared, first)

    def _asked(self) -> admission.Admission:
        if self._rules is None:
            raise ValueError('there are no rules to go by yet')
        return self._rules

    def _follow(self, state: placement.Placement) -> None:
        """Take over what has moved since the last time."""
        if not len(self._home):
            self._begin(state)
        for one in np.flatnonzero(state.host != self._home).tolist():
            self._moved(state, one)

    def _begin(self, state: placement.Placement) -> None:
        self._home = state.host.copy()
        offered = supply.capacities(self._fleet, math.inf)
        found = failover.Failover(state, self._asked(), offered)
        self._goes = np.full(len(state.host), -1, np.int32)
        count = len(self._fleet.hosts)
        self._kept = kept_room.KeptRoom(count)
        for hosts in self._zones:
            active = np.zeros(count, np.bool_)
            active[hosts] = True
            goes = found.settle(active, supply.used(state))
            inside = active[state.host] & (goes >= 0)
            self._goes[inside] = goes[inside]
        placed = np.flatnonzero(self._goes >= 0)
        self._kept.send_all(
            state.host[placed], self._goes[placed], state.need[:, placed]
        )

    def _moved(self, state: placement.Placement, one: int) -> None:
        """Give an instance a refuge from where it is now."""
        home, need = int(self._home[one]), state.need[:, one]
        refuge, here = int(self._goes[one]), int(state.host[one])
        if refuge >= 0:
            self._kept.release(home, refuge, need)
        self._home[one], self._goes[one] = here, -1
        if self._counted[here] and (refuge >= 0 or not self._counted[home]):
            if refuge < 0 or not self._takes(state, one, here, refuge):
                refuge = self._look(state, one, here)
            self._goes[one] = refuge
            if self._goes[one] >= 0:
                self._kept.send(here, int(self._goes[one]), need)
        if self._fleet.grouped[one]:
            self._make_way(state, one, here)

    def _make_way(
        self, state: placement.Placement, one: int, here: int
    ) -> None:
        """Look for other refuges for those whose group has come to theirs."""
        groups = set(self._fleet.groups_of.get(one, ()))
        grouped = self._fleet.grouped & (self._goes == here)
        for other in np.flatnonzero(grouped).tolist():
            if groups.isdisjoint(self._fleet.groups_of.get(other, ())):
                continue
            # Where it is counted: it may have moved as well, and not be yet.
            home, need = int(self._home[other]), state.need[:, other]
            self._kept.release(home, here, need)
            self._goes[other] = self._look(state, other, home)
            if self._goes[other] >= 0:
                self._kept.send(home, int(self._goes[other]), need)

    def _takes(
        self, state: placement.Placement, one: int, home: int, refuge: int
    ) -> bool:
        """Say whether *refuge* is one for an instance if it were on *home*."""
        zone = self._fleet.hosts.zone
        if refuge == home or zone[refuge] != zone[home]:
            return False
        left = state.room[:, refuge] - self._kept.of(home, refuge) + _SLACK
        row = np.array((one,), np.int32)
        there = np.array((refuge,), np.int32)
        fits = (state.need[:, one] <= left).all()
        if not fits or refuge in self._filled(state, one, home):
            return False
        return bool(self._asked().among_rules(row, there).all())

    def _filled(
        self, state: placement.Placement, one: int, home: int
    ) -> columns.Ints:
        """Return the refuges that others of *home* fill for *one* there."""
        if not self._companions.limited[one]:
            return _NOWHERE
        return self._companions.full(state, one, home, self._home, self._goes)

    def _look(self, state: placement.Placement, one: int, home: int) -> int:
        """Return a refuge for an instance if it were on *home*.

        Of those that have room one in the middle: neither the emptiest, which
        others need, nor the fullest.

        :returns: -1 where there is none
        """
        hosts = self._zones[int(self._fleet.hosts.zone[home])]
        room = state.room[:, hosts] + _SLACK
        for there, sent in self._kept.sent(home):
            room[:, int(np.searchsorted(hosts, there))] -= sent
        fits = (state.need[:, one, None] <= room).all(axis=0)
        hosts, room = hosts[fits], room[placement.MEMORY_MIB, fits]
        row = np.array((one,), np.int32)
        fits = self._asked().among_rules(row, hosts)[0] & (hosts != home)
        fits &= ~np.isin(hosts, self._filled(state, one, home))
        hosts, room = hosts[fits], room[fits]
        if not len(hosts):
            return -1
        middle = len(hosts) // 2
        return int(hosts[np.argpartition(room, middle)[middle]])

    def reason(self, state: placement.Placement, instance: int) -> str:
        return (
            'hold room for what would have no other place if its host failed'
        )

    def remedy(
        self, state: placement.Placement, instance: int, hosts: columns.Ints
    ) -> str:
        return (
            'free memory on other hosts of the zone, or take headroom out of '
            '[planner] filters'
        )
