"""All filters as one question, at column speed.

Filters that look at the fleet alone are asked once for each class of
instances, and their answers are kept as masks over hosts. The others are
asked at every step, for the instances and hosts in question only.
"""

import collections.abc

import numpy as np

from kvm_balancer.filters import base
from kvm_balancer.filters import groups
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement
from kvm_balancer.planner import inquiry


class Admission(inquiry.Inquiry):
    """Says where instances may go, by all active filters.

    :param by_class: answers are kept by class of instance; to tell those
        apart takes longer than to ask about a few
    """

    def __init__(
        self,
        state: placement.Placement,
        filters: collections.abc.Sequence[base.Filter],
        by_class: bool = True,
    ) -> None:
        super().__init__(state)
        self.filters = tuple(filters)
        self._hosts = np.arange(len(state.fleet.hosts), dtype=np.int32)
        self._cached: list[base.Filter] = []
        self._asked: list[base.Filter] = []
        self._class_of = self._classify(by_class)
        classes = int(self._class_of.max(initial=0)) + 1
        self._known = np.zeros(classes, np.bool_)
        self._mask = np.zeros((classes, len(self._hosts)), np.bool_)

    def _classify(self, by_class: bool) -> columns.Ints:
        fleet = self.state.fleet
        found = np.zeros(len(fleet.instances), np.int64)
        for one in self.filters:
            keys = None
            if self.idle(one):
                continue
            if by_class and not one.dynamic:
                try:
                    keys = one.classes(fleet)
                except Exception as error:
                    self.note(one, error)
            if one.wish or keys is None or keys.shape != found.shape:
                self._asked.append(one)
                continue
            self._cached.append(one)
            span = int(keys.max(initial=0)) + 1
            if span > 1:
                joint = found * span + keys
                _, found = np.unique(joint, return_inverse=True)
        return found.astype(np.int32)

    @property
    def local(self) -> bool:
        """True where an answer only changes with the host it is about."""
        return all(one.local or not one.dynamic for one in self._asked)

    def _masks(self, kinds: columns.Ints, instances: columns.Ints) -> None:
        """Make sure that the masks of *kinds* are known."""
        for kind, one in zip(kinds.tolist(), instances.tolist(), strict=True):
            if self._known[kind]:
                continue
            row = np.array((one,), np.int32)
            mask = np.ones(len(self._hosts), np.bool_)
            for cached in self._cached:
                mask &= self.ask(cached, row, self._hosts)[0]
            self._mask[kind] = mask
            self._known[kind] = True

    def static(
        self, instances: columns.Ints, hosts: columns.Ints
    ) -> columns.Bools:
        """Say what the filters allow that answer by classes.

        :returns: shape ``(len(instances), len(hosts))``
        """
        kinds = self._class_of[instances]
        if not self._known[kinds].all():
            self._masks(kinds, instances)
        return self._masks_of(kinds, hosts)

    def among_rules(
        self, instances: columns.Ints, hosts: columns.Ints
    ) -> columns.Bools:
        """Say what rules allow, whatever room there is: those of groups, too.

        :returns: shape ``(len(instances), len(hosts))``
        """
        passed = self.static(instances, hosts)
        for one in self.filters:
            if isinstance(one, groups.GroupsFilter) and not self.idle(one):
                passed = passed & self.ask(one, instances, hosts)
        return passed

    def _masks_of(
        self, kinds: columns.Ints, hosts: columns.Ints
    ) -> columns.Bools:
        """Return the masks of *kinds*; the fewer of both are picked first."""
        if len(kinds) < len(self._known):
            return self._mask[kinds][:, hosts]
        return self._mask[:, hosts][kinds]

    def besides(
        self, kept: collections.abc.Collection[type[base.Filter]]
    ) -> tuple[base.Filter, ...]:
        """Return the filters that :meth:`static` does not ask.

        :param kept: classes of filters that are left out
        """
        return tuple(one for one in self._asked if type(one) not in kept)

    @property
    def wishes(self) -> bool:
        """True where any filter is asked that is a wish alone."""
        return any(one.wish for one in self._asked)

    def allowed(
        self,
        instances: columns.Ints,
        hosts: columns.Ints,
        wishes: bool = True,
    ) -> columns.Bools:
        """Say which of *instances* may go to which of *hosts* now.

        :param wishes: filters that are wishes alone have a say, too
        :returns: shape ``(len(instances), len(hosts))``
        """
        kinds = self._class_of[instances]
        if not self._known[kinds].all():
            self._masks(kinds, instances)
        passed = self._masks_of(kinds, hosts)
        for one in self._asked:
            if wishes or not one.wish:
                answer = self.answer(one, instances, hosts)
                if answer.size > 1 or not answer.all():
                    passed &= answer
        return passed

    def wished(
        self,
        state: placement.Placement,
        instances: columns.Ints,
        host: int,
    ) -> bool:
        """Say whether no wish speaks against *instances* on *host*.

        :param instances: those that go together, of one host
        :param state: where everything is, instead of :attr:`state`
        """
        hosts = np.array((host,), np.int32)
        return all(
            self.ask_together(
                one, instances, inquiry.ONE_SET, hosts, state
            ).all()
            for one in self._asked
            if one.wish
        )

    def together(
        self,
        members: columns.Ints,
        first: columns.Ints,
        hosts: columns.Ints,
        wishes: bool = True,
    ) -> columns.Bools:
        """Say which sets of instances may go to which of *hosts* as one.

        :param members: rows of instances; those of a set are on one host,
            and side by side
        :param first: where each set begins in *members*
        :param wishes: filters that are wishes alone have a say, too
        :returns: shape ``(len(first), len(hosts))``
        """
        each = self.static(members, hosts)
        passed: columns.Bools = np.logical_and.reduceat(each, first)
        for one in self._asked:
            if wishes or not one.wish:
                passed &= self.ask_together(one, members, first, hosts)
        return passed

    def nearest(
        self, members: columns.Ints, hosts: columns.Ints
    ) -> columns.Ints:
        """Return those of *hosts* that come nearest to all wishes.

        None of them grants all; wishes count in the order of the filters.
        """
        for one in self._asked:
            if not one.wish or not len(hosts):
                continue
            try:
                near = one.nearest(self.state, members, hosts)
            except Exception as error:
                self.note(one, error)
                continue
            if near.any():
                hosts = hosts[near]
        return hosts

    def refusals(
        self,
        members: int | columns.Ints,
        hosts: columns.Ints,
        wishes: bool = True,
    ) -> str:
        """Say in one line which filter refuses how many of *hosts*.

        A host is counted for the first filter that refuses it.

        :param members: an instance, or those that go together
        :param wishes: filters that are wishes alone have a say, too
        """
        refused = self._refused(members, hosts, wishes)
        return ', '.join(f'{count} {reason}' for count, reason in refused)

    def refusal(
        self,
        members: int | columns.Ints,
        host: columns.Ints,
        wishes: bool = True,
    ) -> str:
        """Say in one line why the first filter that does refuses *host*.

        :param members: an instance, or those that go together
        :param host: one alone, shape ``(1,)``
        :param wishes: filters that are wishes alone have a say, too
        :returns: empty where none does
        """
        for _, reason in self._refused(members, host, wishes):
            return f'it is one of those that {reason}'
        return ''

    def _refused(
        self, members: int | columns.Ints, hosts: columns.Ints, wishes: bool
    ) -> collections.abc.Iterator[tuple[int, str]]:
        """Go through the filters: how many of *hosts* each refuses, and why.

        A host is counted for the first filter that refuses it.
        """
        rows = np.atleast_1d(np.asarray(members, np.int32))
        left = hosts
        for one in self.filters:
            if not len(left):
                break
            if one.wish and not wishes:
                continue
            passed = self.ask_unit(one, rows, left)
            refused = int(len(left) - np.count_nonzero(passed))
            if refused:
                reason = self._reason(one, int(rows[0]))
                yield refused, f'{reason}{together(len(rows))}'
            left = left[passed]

    def _reason(self, one: base.Filter, instance: int) -> str:
        try:
            return one.reason(self.state, instance)
        except Exception as error:
            self.note(one, error)
            return f'are refused by filter {one.name}'


def together(size: int) -> str:
    """Say of how many that go together a reason is; empty of one alone."""
    if size == 1:
        return ''
    return f', for all {size} of its affinity group at once'
