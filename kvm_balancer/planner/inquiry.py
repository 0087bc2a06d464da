"""One filter asked at a time; what it cannot judge is refused.

A filter that raises or breaks its contract refuses what it was asked about:
to skip a rule is not safe. It is named in :attr:`Inquiry.problems`. Where it
fails for a few instances alone, these stay where they are, and the others go
as ever.
"""

import numpy as np

from kvm_balancer.filters import base
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement

#: where the only set of instances begins
ONE_SET = np.zeros(1, np.int32)
#: instances that a filter may fail for, before it is given up
_MOST_UNJUDGED = 64


class Inquiry:
    """Asks filters about things as they are.

    :ivar state: where everything is
    :ivar problems: what went wrong, by name of the filter
    """

    def __init__(self, state: placement.Placement) -> None:
        self.state = state
        self.problems: dict[str, str] = {}
        #: instances that a filter failed for, by its name
        self._unjudged: dict[str, columns.Bools] = {}

    def note(self, one: base.Filter, error: Exception) -> None:
        """Keep what went wrong first of all with a filter."""
        self.problems.setdefault(
            one.name,
            f'filter {one.name} refuses what it cannot judge: '
            f'{type(error).__name__}: {error}',
        )

    def idle(self, one: base.Filter) -> bool:
        """Say whether a filter need not be asked about this fleet at all."""
        try:
            return one.idle(self.state.fleet)
        except Exception as error:
            self.note(one, error)
            return False

    def ask(
        self,
        one: base.Filter,
        instances: columns.Ints,
        hosts: columns.Ints,
        state: placement.Placement | None = None,
    ) -> columns.Bools:
        """Ask one filter.

        :param state: where everything is, instead of :attr:`state`
        :returns: shape ``(len(instances), len(hosts))``
        """
        answer = self.answer(one, instances, hosts, state)
        shape = (len(instances), len(hosts))
        return (
            answer if answer.shape == shape else np.broadcast_to(answer, shape)
        )

    def answer(
        self,
        one: base.Filter,
        instances: columns.Ints,
        hosts: columns.Ints,
        state: placement.Placement | None = None,
    ) -> columns.Bools:
        """Ask one filter; return what broadcasts to instances and hosts."""
        now = self.state if state is None else state
        shape = (len(instances), len(hosts))
        bad = self._unjudged.get(one.name)
        if bad is not None and bad[instances].any():
            found = np.zeros(shape, np.bool_)
            rows = np.flatnonzero(~bad[instances])
            if len(rows):
                found[rows] = self.answer(one, instances[rows], hosts, now)
            return found
        try:
            return _checked(one.passes(now, instances, hosts), shape)
        except Exception as error:
            self.note(one, error)
        if len(instances) > 1 and self._tell_apart(one, instances, hosts, now):
            return self.answer(one, instances, hosts, now)
        return np.zeros((1, 1), np.bool_)

    def _tell_apart(
        self,
        one: base.Filter,
        instances: columns.Ints,
        hosts: columns.Ints,
        now: placement.Placement,
    ) -> bool:
        """Find out of which of *instances* a filter has no judgement.

        They are not asked about again: they cost others nothing.

        :returns: False where that is all of them, or too many
        """
        none = np.zeros(len(now.host), np.bool_)
        bad = self._unjudged.setdefault(one.name, none)
        for row in range(len(instances)):
            if np.count_nonzero(bad) > _MOST_UNJUDGED:
                return False
            alone = instances[row : row + 1]
            try:
                _checked(one.passes(now, alone, hosts), (1, len(hosts)))
            except Exception as error:
                self.note(one, error)
                bad[alone] = True
        return bool(bad[instances].any() and not bad[instances].all())

    def ask_together(
        self,
        one: base.Filter,
        members: columns.Ints,
        first: columns.Ints,
        hosts: columns.Ints,
        state: placement.Placement | None = None,
    ) -> columns.Bools:
        """Ask one filter about sets of instances.

        :param members: rows of instances; those of a set are on one host,
            and side by side
        :param first: where each set begins in *members*
        :param state: where everything is, instead of :attr:`state`
        :returns: shape ``(len(first), len(hosts))``
        """
        now = self.state if state is None else state
        shape = (len(first), len(hosts))
        try:
            answer = one.passes_together(now, members, first, hosts)
            return np.broadcast_to(_checked(answer, shape), shape)
        except Exception as error:
            self.note(one, error)
        if len(first) == 1:
            return np.zeros(shape, np.bool_)
        return np.concatenate(
            [
                self.ask_together(one, unit, ONE_SET, hosts, now)
                for unit in np.split(members, first[1:])
            ]
        )

    def ask_unit(
        self, one: base.Filter, members: columns.Ints, hosts: columns.Ints
    ) -> columns.Bools:
        """Ask one filter about instances that go together.

        :returns: shape ``(len(hosts),)``
        """
        passed: columns.Bools = (
            self.ask(one, members, hosts)
            if len(members) == 1
            else self.ask_together(one, members, ONE_SET, hosts)
        ).reshape(-1)
        return passed


def _checked(answer: columns.Bools, shape: tuple[int, int]) -> columns.Bools:
    """Return what a filter answered.

    :raises ValueError: where that is not what it was asked
    """
    found: columns.Bools
    found = np.asarray(answer, np.bool_)
    if found.shape != shape and found is not base.ALL:
        np.broadcast_to(found, shape)
    return found
