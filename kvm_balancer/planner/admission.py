"""All filters as one question, at column speed.

Filters that look at the fleet alone are asked once for each class of
instances, and their answers are kept as masks over hosts. The others are
asked at every step, for the instances and hosts in question only.

A filter that raises or breaks its contract refuses everything it was asked
about: to skip a rule is not safe. It is named in :attr:`Admission.problems`.
"""

import collections.abc

import numpy as np

from kvm_balancer.filters import base
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement


class Admission:
    """Says where instances may go, by all active filters.

    :ivar problems: what went wrong, by name of the filter
    """

    def __init__(
        self,
        state: placement.Placement,
        filters: collections.abc.Sequence[base.Filter],
    ) -> None:
        self.state = state
        self.filters = tuple(filters)
        self.problems: dict[str, str] = {}
        self._hosts = np.arange(len(state.fleet.hosts), dtype=np.int32)
        self._cached: list[base.Filter] = []
        self._asked: list[base.Filter] = []
        self._class_of = self._classify()
        classes = int(self._class_of.max(initial=0)) + 1
        self._known = np.zeros(classes, np.bool_)
        self._mask = np.zeros((classes, len(self._hosts)), np.bool_)

    def _classify(self) -> columns.Ints:
        fleet = self.state.fleet
        found = np.zeros(len(fleet.instances), np.int64)
        for one in self.filters:
            keys = None
            if not one.dynamic:
                try:
                    keys = one.classes(fleet)
                except Exception as error:
                    self._note(one, error)
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

    def _note(self, one: base.Filter, error: Exception) -> None:
        self.problems.setdefault(
            one.name,
            f'filter {one.name} refuses what it cannot judge: '
            f'{type(error).__name__}: {error}',
        )

    def ask(
        self,
        one: base.Filter,
        instances: columns.Ints,
        hosts: columns.Ints,
        state: placement.Placement | None = None,
    ) -> columns.Bools:
        """Ask one filter; a failure refuses.

        :param state: where everything is, instead of :attr:`state`
        :returns: shape ``(len(instances), len(hosts))``
        """
        shape = (len(instances), len(hosts))
        answer = self._answer(one, instances, hosts, state or self.state)
        return (
            answer if answer.shape == shape else np.broadcast_to(answer, shape)
        )

    def _answer(
        self,
        one: base.Filter,
        instances: columns.Ints,
        hosts: columns.Ints,
        state: placement.Placement,
    ) -> columns.Bools:
        """Ask one filter; what broadcasts to instances and hosts."""
        shape = (len(instances), len(hosts))
        try:
            answer = np.asarray(one.passes(state, instances, hosts), np.bool_)
            if answer.shape != shape:
                np.broadcast_to(answer, shape)
            return answer
        except Exception as error:
            self._note(one, error)
            return np.zeros((1, 1), np.bool_)

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
        passed = self._mask[:, hosts][kinds]
        for one in self._asked:
            if wishes or not one.wish:
                answer = self._answer(one, instances, hosts, self.state)
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

        :param state: where everything is, instead of :attr:`state`
        """
        hosts = np.array((host,), np.int32)
        return all(
            self.ask(one, instances, hosts, state).all()
            for one in self._asked
            if one.wish
        )

    def refusals(
        self, instance: int, hosts: columns.Ints, wishes: bool = True
    ) -> str:
        """Say in one line which filter refuses how many of *hosts*.

        A host is counted for the first filter that refuses it.

        :param wishes: filters that are wishes alone have a say, too
        """
        row = np.array((instance,), np.int32)
        left = hosts
        parts: list[str] = []
        for one in self.filters:
            if not len(left):
                break
            if one.wish and not wishes:
                continue
            passed = self.ask(one, row, left)[0]
            refused = int(len(left) - np.count_nonzero(passed))
            if refused:
                parts.append(f'{refused} {self._reason(one, instance)}')
            left = left[passed]
        return ', '.join(parts)

    def _reason(self, one: base.Filter, instance: int) -> str:
        try:
            return one.reason(self.state, instance)
        except Exception as error:
            self._note(one, error)
            return f'are refused by filter {one.name}'
