"""Room for the failure of a host: its instances fit on the others, one by one.

That there is as much room as is needed in all does not help an instance that
fits nowhere. So it is tried out: for each host in use, what runs on it is
put on the others in use, the largest first. What was found stands for as long
as there is still room for it, and only what has lost its place looks for
another, so that a move costs little. It may miss a way that there is, and
never finds one that there is not.
"""

import numpy as np

from kvm_balancer.filters import groups
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement
from kvm_balancer.planner import workspace

#: sums of floats are compared with this slack
_SLACK = 1e-6


class Failover:
    """Where the instances of every host would go if it failed."""

    def __init__(
        self, work: workspace.Workspace, offered: columns.Floats
    ) -> None:
        """Begin where *work* is.

        :param offered: what hosts offer, shape ``(4, hosts)``, CPU last
        """
        self._work = work
        self._offered = offered
        usage = work.fleet.instances.cpu_usage
        self._need: columns.Floats = np.vstack((work.state.need, usage))
        #: where each instance would go, by row; -1 where nobody looked yet
        self._goes = np.full(len(usage), -1, np.int32)
        self._hardest = -1
        self._rules = [
            one
            for one in work.admission.filters
            if isinstance(one, groups.GroupsFilter)
        ]

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
        room = self._offered - used
        home = self._work.state.host
        order = np.argsort(home, kind='stable').astype(np.int32)
        ends = np.searchsorted(home[order], hosts, side='right')
        begins = np.searchsorted(home[order], hosts, side='left')
        goes = self._goes.copy()
        gone = ~active[goes] | (goes == home) | (goes < 0)
        # rules of groups are about who has come
        gone |= self._work.fleet.grouped & touched[goes]
        goes[gone] = -1
        asked = list(
            zip(hosts.tolist(), begins.tolist(), ends.tolist(), strict=True)
        )
        # who had no way the last time most likely has none now
        asked.sort(key=lambda one: one[0] != self._hardest)
        for host, begin, end in asked:
            rows = order[begin:end]
            there = self._stands(rows, goes[rows], room)
            if (there < 0).any():
                others = hosts[hosts != host]
                found = self._search(rows, there, others, room, tight=False)
                if found is None:
                    nowhere = np.full_like(there, -1)
                    found = self._search(rows, nowhere, others, room)
                if found is None:
                    self._hardest = host
                    return False
                there = found
            goes[rows] = there
        self._goes = goes
        return True

    def _stands(
        self, rows: columns.Ints, goes: columns.Ints, room: columns.Floats
    ) -> columns.Ints:
        """Return where *rows* would go still; -1 where there is no room."""
        placed = goes >= 0
        if not placed.any():
            return goes
        hosts, place = np.unique(goes[placed], return_inverse=True)
        coming = np.zeros((len(self._need), len(hosts)))
        for resource, need in enumerate(self._need[:, rows[placed]]):
            coming[resource] = np.bincount(place, need, len(hosts))
        enough = (coming <= room[:, hosts] + _SLACK).all(axis=0)
        if enough.all():
            return goes
        kept: columns.Ints = np.where(
            np.isin(goes, hosts[enough]), goes, -1
        ).astype(np.int32)
        return kept

    def _search(
        self,
        rows: columns.Ints,
        goes: columns.Ints,
        hosts: columns.Ints,
        room: columns.Floats,
        tight: bool = True,
    ) -> columns.Ints | None:
        """Find where those of *rows* go that go nowhere yet.

        :param tight: where least memory is left; else where half of the
            hosts have less, which are neither filled nor emptied next
        :returns: where all of them go; None where there may be no way
        """
        goes = goes.copy()
        left = room[:, hosts]
        for index in np.flatnonzero(goes >= 0).tolist():
            place = int(np.searchsorted(hosts, goes[index]))
            left[:, place] -= self._need[:, rows[index]]
        lost = np.flatnonzero(goes < 0)
        memory = self._need[placement.MEMORY_MIB, rows[lost]]
        lost = lost[np.argsort(-memory, kind='stable')]
        admission = self._work.admission
        allowed = admission.static(rows[lost], hosts)
        for one in self._rules:
            allowed = allowed & admission.ask(one, rows[lost], hosts)
        for index, may_go in zip(lost.tolist(), allowed, strict=True):
            need = self._need[:, rows[index]]
            fits = may_go & (need[:, None] <= left + _SLACK).all(axis=0)
            if not fits.any():
                return None
            open_hosts = np.flatnonzero(fits)
            free = left[placement.MEMORY_MIB, open_hosts]
            rank = 0 if tight else len(free) // 2
            place = int(open_hosts[np.argpartition(free, rank)[rank]])
            left[:, place] -= need
            goes[index] = hosts[place]
        return goes
