"""Members of an anti-affinity group that one host would send to one other.

Rules of groups are asked about one instance at a time. Where several of the
members of a group run on a host, all of them look for a place when it fails:
each that goes somewhere takes a place there from the next.
"""

import collections.abc

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement

_ANTI_AFFINITY = int(columns.GroupPolicy.ANTI_AFFINITY)


class Companions:
    """Counts those who come from one host against ``max_per_host``.

    Where instances are and where they would go is given as rows of hosts,
    shape ``(instances,)``: ``home`` and ``goes``, the latter -1 for nowhere.

    :ivar limited: members of anti-affinity groups, shape ``(instances,)``
    :ivar shared: members of those of which a host may run several
    """

    def __init__(self, fleet: columns.Fleet) -> None:
        groups = fleet.groups
        self._fleet = fleet
        apart = groups.policy[groups.member_group] == _ANTI_AFFINITY
        self._instance = groups.member_instance[apart]
        self._group = groups.member_group[apart].astype(np.int64)
        self.limited: columns.Bools = np.zeros(len(fleet.instances), np.bool_)
        self.limited[self._instance] = True
        self.shared: columns.Bools = np.zeros_like(self.limited)
        several = groups.max_per_host[self._group] > 1
        self.shared[self._instance[several]] = True

    def full(
        self,
        state: placement.Placement,
        one: int,
        here: int,
        home: columns.Ints,
        goes: columns.Ints,
    ) -> columns.Ints:
        """Return the hosts that others fill for an instance on *here*.

        Others of the same host and group, that is.
        """
        found = [np.zeros(0, np.int32)]
        for members, count, most in self._apart(state, (one,)):
            mine = members[(home[members] == here) & (members != one)]
            there = goes[mine]
            hosts, sent = np.unique(there[there >= 0], return_counts=True)
            found.append(hosts[count[hosts] + sent + 1 > most])
        return np.concatenate(found)

    def senders(
        self,
        state: placement.Placement,
        one: int,
        there: int,
        home: columns.Ints,
        goes: columns.Ints,
    ) -> columns.Ints:
        """Return the hosts from which *one* could not go to *there*.

        Since others of its group would that are on them.
        """
        found = [np.zeros(0, np.int32)]
        for members, count, most in self._apart(state, (one,)):
            coming = members[(goes[members] == there) & (members != one)]
            hosts, sent = np.unique(home[coming], return_counts=True)
            found.append(hosts[count[there] + sent + 1 > most])
        return np.concatenate(found)

    def awaited(
        self,
        state: placement.Placement,
        unit: columns.Ints,
        home: columns.Ints,
        goes: columns.Ints,
    ) -> columns.Ints:
        """Return the hosts where *unit* would take the places of others.

        :param unit: instances that would come there together
        """
        found = [np.zeros(0, np.int32)]
        for members, count, most in self._apart(state, unit.tolist()):
            inside = np.isin(members, unit)
            others = members[~inside]
            others = others[goes[others] >= 0]
            way = home[others].astype(np.int64) * len(count) + goes[others]
            way, sent = np.unique(way, return_counts=True)
            hosts = way % len(count)
            coming = np.count_nonzero(inside)
            found.append(hosts[count[hosts] + coming + sent > most])
        return np.concatenate(found)

    def too_many(
        self,
        state: placement.Placement,
        rows: columns.Ints,
        home: columns.Ints,
        goes: columns.Ints,
    ) -> columns.Ints:
        """Return those of *rows* of whom more go somewhere than may.

        That is all of one group that go from one host to the same other one.

        :param rows: with all of each host that they are on
        """
        asked = np.zeros(len(home), np.bool_)
        asked[rows] = True
        there = goes[self._instance]
        sent = np.flatnonzero(asked[self._instance] & (there >= 0))
        hosts = len(self._fleet.hosts)
        to = self._group[sent] * hosts + there[sent]
        way = to * hosts + home[self._instance[sent]]
        ordered = np.sort(way)
        if not (ordered[1:] == ordered[:-1]).any():
            # one alone has been asked about
            return np.zeros(0, np.int32)
        _, first, place, count = np.unique(
            way, return_index=True, return_inverse=True, return_counts=True
        )
        over = count > 1
        to, groups = to[first[over]], self._group[sent[first[over]]]
        run = self._running(state, groups)
        run_there = np.searchsorted(run, to, 'right')
        run_there -= np.searchsorted(run, to, 'left')
        most = self._fleet.groups.max_per_host[groups]
        over[over] = run_there + count[over] > most
        found: columns.Ints = self._instance[sent[over[place]]]
        return found

    def _running(
        self, state: placement.Placement, groups: columns.Ints
    ) -> columns.Ints:
        """Return where members of *groups* run: group * hosts + host, sorted.

        Those that a running migration holds stand on both of its ends.
        """
        hosts = len(self._fleet.hosts)
        asked = np.zeros(len(self._fleet.groups), np.bool_)
        asked[groups] = True
        some = asked[self._group]
        here = self._group[some] * hosts + state.host[self._instance[some]]
        ends = [
            group * hosts + host
            for one, host in state.leaving.items()
            for group in self._fleet.groups_of.get(one, ())
        ]
        return np.sort(np.concatenate((here, np.array(ends, np.int64))))

    def _apart(
        self,
        state: placement.Placement,
        unit: collections.abc.Iterable[int],
    ) -> collections.abc.Iterator[tuple[columns.Ints, columns.Ints, int]]:
        """Go through the anti-affinity groups of *unit*.

        :returns: the members of each, how many of them every host runs, and
            how many it may
        """
        groups = self._fleet.groups
        groups_of = self._fleet.groups_of
        for group in {own for one in unit for own in groups_of.get(one, ())}:
            if groups.policy[group] != _ANTI_AFFINITY:
                continue
            members = groups.members(group)
            held = state.hosts_of(members)
            count = np.bincount(held, minlength=len(self._fleet.hosts))
            yield (
                members,
                count.astype(np.int32),
                int(groups.max_per_host[group]),
            )
