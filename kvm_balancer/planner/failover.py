"""Room for the failure of a host: its instances fit on the others, one by one.

That there is as much room as is needed in all does not help an instance that
fits nowhere. So it is tried out: for each host in use, what runs on it is
put on the others in use, the largest first. What was found stands for as long
as there is still room for it, and only what has lost its place looks for
another, so that a move costs little. It may miss a way that there is, and
never finds one that there is not.
"""

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement
from kvm_balancer.planner import admission
from kvm_balancer.planner import companions

#: sums of floats are compared with this slack
_SLACK = 1e-6
#: hosts among which a place is looked for at first, and instances that look
#: for one at a time
_SAMPLED, _AT_ONCE = 512, 4096
#: of an instance's row: a large prime, so that neighbours go far apart
_STRIDE = 7919
_NOWHERE = np.zeros(0, np.int32)


class Failover:
    """Where the instances of every host would go if it failed."""

    def __init__(
        self,
        state: placement.Placement,
        rules: admission.Admission,
        offered: columns.Floats,
    ) -> None:
        """Begin where *state* is.

        :param rules: which hosts would be let have which instances
        :param offered: what hosts offer, shape ``(4, hosts)``, CPU last
        """
        self._state, self._rules = state, rules
        self._companions = companions.Companions(state.fleet)
        self._offered = offered
        usage = state.fleet.instances.cpu_usage
        self._need: columns.Floats = np.vstack((state.need, usage))
        #: where each instance would go, by row; -1 where nobody looked yet
        self._goes = np.full(len(usage), -1, np.int32)
        self._hardest = -1

    def settle(
        self, active: columns.Bools, used: columns.Floats
    ) -> columns.Ints:
        """Return where the instances of *active* hosts would go.

        Each as if its host alone failed.

        :param active: hosts of one zone, shape ``(hosts,)``
        :param used: what is in use of what they offer
        :returns: rows of hosts, shape ``(instances,)``; -1 where there may be
            no way, and for instances of other hosts
        """
        hosts = np.flatnonzero(active).astype(np.int32)
        home = self._state.host
        room = self._offered - used + _SLACK
        goes = np.full(len(home), -1, np.int32)
        rows = np.flatnonzero(active[home]).astype(np.int32)
        rows = rows[np.argsort(home[rows], kind='stable')]
        for one in self._guess(rows, goes, hosts, room):
            begin, end = np.searchsorted(
                home[rows], (home[one], home[one] + 1)
            )
            mine = rows[begin:end]
            mine = mine[(goes[mine] >= 0) | (mine == one)]
            allowed = self._allowed(np.array((one,), np.int32), hosts)
            found = self._search(mine, goes[mine], hosts, room, allowed)
            if found is not None:
                goes[mine] = found
        for host in np.unique(home[rows[goes[rows] < 0]]).tolist():
            # what went where it liked may have taken the last place
            mine = rows[home[rows] == host]
            found = self._anew(mine, hosts, room)
            if found is not None:
                goes[mine] = found
        return goes

    def _anew(
        self, rows: columns.Ints, hosts: columns.Ints, room: columns.Floats
    ) -> columns.Ints | None:
        """Find where all of *rows*, of one host, go, from the beginning."""
        nowhere = np.full_like(rows, -1)
        every = self._allowed(rows, hosts)
        return self._search(rows, nowhere, hosts, room, every, tight=True)

    def holds(
        self,
        active: columns.Bools,
        used: columns.Floats,
        touched: columns.Bools,
    ) -> bool:
        """Say whether every one of *active* hosts may fail.

        :param active: hosts of one zone, shape ``(hosts,)``
        :param used: what is in use of what they offer
        :param touched: hosts that something has come to since it was asked
            the last time, shape ``(hosts,)``
        """
        hosts = np.flatnonzero(active).astype(np.int32)
        home = self._state.host
        room = self._offered - used + _SLACK
        goes = self._goes.copy()
        gone = ~active[goes] | (goes == home) | (goes < 0)
        # rules of groups are about who has come
        gone |= self._state.fleet.grouped & touched[goes]
        # what was found in other zones stands
        goes[gone & active[home]] = -1
        rows = np.flatnonzero(active[home]).astype(np.int32)
        rows = rows[np.argsort(home[rows], kind='stable')]
        self._forget_full(rows, goes, room)
        lost = self._guess(rows, goes, hosts, room)
        allowed = self._allowed(lost, hosts)
        asked = np.unique(home[lost])
        # who had no way the last time most likely has none now
        asked = asked[np.argsort(asked != self._hardest, kind='stable')]
        begins = np.searchsorted(home[rows], asked, side='left')
        ends = np.searchsorted(home[rows], asked, side='right')
        first = np.searchsorted(home[lost], asked, side='left')
        last = np.searchsorted(home[lost], asked, side='right')
        for place, host in enumerate(asked.tolist()):
            mine = rows[begins[place] : ends[place]]
            found = self._search(
                mine,
                goes[mine],
                hosts,
                room,
                allowed[first[place] : last[place]],
            )
            if found is None:
                found = self._anew(mine, hosts, room)
            if found is None:
                self._hardest = host
                self._keep(goes)
                return False
            goes[mine] = found
        self._goes = goes
        return True

    def _guess(
        self,
        rows: columns.Ints,
        goes: columns.Ints,
        hosts: columns.Ints,
        room: columns.Floats,
    ) -> columns.Ints:
        """Send all that go nowhere yet where each has room by itself.

        All at once, and most often that is that: those of one host go far
        apart. Those of one host that have too little room together where they
        would go are left out.

        :param rows: of all instances of a zone
        :param room: of every host, shape ``(4, hosts)``
        :returns: those that still go nowhere
        """
        lost = rows[goes[rows] < 0]
        there = hosts[np.argsort(room[placement.MEMORY_MIB, hosts])]
        if len(there) > _SAMPLED:
            some = np.linspace(0, len(there) - 1, _SAMPLED).astype(np.int32)
            there = there[some]
        for begin in range(0, len(lost), _AT_ONCE):
            mine = lost[begin : begin + _AT_ONCE]
            fits = self._allowed(mine, there)
            for resource, need in enumerate(self._need[:, mine]):
                fits &= need[:, None] <= room[resource, there]
            count = np.count_nonzero(fits, axis=1)
            span = np.maximum((count + 1) // 2, 1)
            rank = count // 4 + mine.astype(np.int64) * _STRIDE % span
            passed = np.cumsum(fits, axis=1, dtype=np.int32)
            place = (passed > rank[:, None]).argmax(axis=1)
            goes[mine] = np.where(count > 0, there[place], -1)
        home = self._state.host
        asked = np.zeros(room.shape[1], np.bool_)
        asked[home[lost]] = True
        self._forget_full(rows[asked[home[rows]]], goes, room)
        left: columns.Ints = rows[goes[rows] < 0]
        return left

    def _allowed(
        self, rows: columns.Ints, hosts: columns.Ints
    ) -> columns.Bools:
        """Say where rules let *rows* be among *hosts*, but for at home."""
        allowed = self._rules.among_rules(rows, hosts)
        away: columns.Bools = self._state.host[rows][:, None] != hosts
        return allowed & away

    def _keep(self, goes: columns.Ints) -> None:
        """Keep what was found before it turned out that a host may not fail.

        Whoever asked takes back what it did. Whether there is still room is
        looked at anew in any case; but what rules of groups say may change
        with that, and what was found for their members is forgotten.
        """
        grouped = self._state.fleet.grouped
        self._goes = np.where(grouped, self._goes, goes).astype(np.int32)

    def _forget_full(
        self, rows: columns.Ints, goes: columns.Ints, room: columns.Floats
    ) -> None:
        """Take those out of *goes* for whom there is no room any more.

        That is all of those of one host that would go to the same other one,
        or those of a group of which that may not run so many.

        :param room: of every host, shape ``(4, hosts)``
        """
        placed = rows[goes[rows] >= 0]
        pair = self._state.host[placed].astype(np.int64) * room.shape[1]
        pairs, place = np.unique(pair + goes[placed], return_inverse=True)
        full = np.zeros(len(pairs), np.bool_)
        there = pairs % room.shape[1]
        for resource, need in enumerate(self._need):
            coming = np.bincount(place, need[placed], len(pairs))
            full |= coming > room[resource, there]
        goes[placed[full[place]]] = -1
        home = self._state.host
        goes[self._companions.too_many(self._state, placed, home, goes)] = -1

    def _filled(
        self,
        one: int,
        rows: columns.Ints,
        goes: columns.Ints,
        hosts: columns.Ints,
    ) -> columns.Ints:
        """Return places among *hosts* that others of its group fill for *one*.

        :param rows: instances of its host, of which *goes* says where they go
        """
        if not self._companions.limited[one]:
            return _NOWHERE
        state = self._state
        there = np.full(len(state.host), -1, np.int32)
        there[rows] = goes
        full = self._companions.full(
            state, one, int(state.host[one]), state.host, there
        )
        return np.searchsorted(hosts, full).astype(np.int32)

    def _search(
        self,
        rows: columns.Ints,
        goes: columns.Ints,
        hosts: columns.Ints,
        room: columns.Floats,
        allowed: columns.Bools,
        tight: bool = False,
    ) -> columns.Ints | None:
        """Find where those of *rows* go that go nowhere yet.

        :param rows: instances of one host
        :param allowed: where rules let those go, ``(those, hosts)``
        :param tight: where least memory is left; else on any of those that
            have neither least nor most of it, which are neither filled nor
            emptied next, each on another: what loses one place is little
        :returns: where all of them go; None where there may be no way
        """
        goes = goes.copy()
        left = room[:, hosts]
        placed = goes >= 0
        if placed.any():
            there = np.searchsorted(hosts, goes[placed])
            for resource, need in enumerate(self._need[:, rows[placed]]):
                left[resource] -= np.bincount(there, need, len(hosts))
        lost = np.flatnonzero(~placed)
        needs = self._need[:, rows[lost]]
        memory = needs[placement.MEMORY_MIB]
        for one in np.argsort(-memory, kind='stable').tolist():
            need = needs[:, one]
            fits = allowed[one] & (need[:, None] <= left).all(axis=0)
            fits[self._filled(int(rows[lost[one]]), rows, goes, hosts)] = False
            open_hosts = fits.nonzero()[0]
            if not len(open_hosts):
                return None
            free = left[placement.MEMORY_MIB, open_hosts]
            rank = 0
            if not tight:
                span = (len(free) + 1) // 2
                rank = len(free) // 4 + int(rows[lost[one]]) * _STRIDE % span
            place = int(open_hosts[free.argpartition(rank)[rank]])
            left[:, place] -= need
            goes[lost[one]] = hosts[place]
        return goes
