"""The contract of a filter: where instances may go.

A filter answers for a block of instances against a block of hosts in one
call. One that looks at the fleet alone says which instances share an answer
(:meth:`Filter.classes`), and is then asked once for each class and never
again. One that looks at the growing plan sets :attr:`Filter.dynamic` and is
asked at every step. A plain function of one instance and one host is adapted
by :class:`OneByOne`.

The host an instance is on is never asked about.
"""

import abc
import dataclasses
from typing import ClassVar
from typing import Final

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement


@dataclasses.dataclass(frozen=True, slots=True)
class Params:
    """Options of a filter; a filter with options derives its own."""


class Filter(abc.ABC):
    """Says where instances may go, and why not elsewhere."""

    #: the name it is configured by
    name: ClassVar[str]
    #: True where the answer changes while a plan grows
    dynamic: ClassVar[bool] = False
    #: True where what was answered about a host stands until an instance
    #: arrives there or leaves it: of a dynamic filter, that saves asking
    local: ClassVar[bool] = False
    #: True where what has to leave its host goes even where it refuses, if
    #: no host passes
    wish: ClassVar[bool] = False
    #: the class its options are kept in
    params_class: ClassVar[type[Params]] = Params

    def __init__(self, params: Params | None = None) -> None:
        self.params = self.params_class() if params is None else params

    def classes(self, fleet: columns.Fleet) -> columns.Ints | None:
        """Number the instances such that equal numbers get equal answers.

        :returns: shape ``(instances,)``, numbers from 0; None (the default)
            where every instance may get an answer of its own
        """
        return None

    @abc.abstractmethod
    def passes(
        self,
        state: placement.Placement,
        instances: columns.Ints,
        hosts: columns.Ints,
    ) -> columns.Bools:
        """Say which of *instances* may go to which of *hosts*.

        :param state: where everything is, the moves planned so far included
        :param instances: rows of instances
        :param hosts: rows of hosts
        :returns: shape ``(len(instances), len(hosts))``, or what broadcasts
            to it
        """

    def passes_together(
        self,
        state: placement.Placement,
        members: columns.Ints,
        first: columns.Ints,
        hosts: columns.Ints,
    ) -> columns.Bools:
        """Say which sets of instances may go to which of *hosts* as one.

        By default each member of a set is asked about after those before it
        were put there: right for every filter, and slow for a dynamic one.

        :param members: rows of instances; those of a set are on one host,
            and side by side
        :param first: where each set begins in *members*
        :returns: shape ``(len(first), len(hosts))``, or what broadcasts to
            it
        """
        if not self.dynamic:
            shape = (len(members), len(hosts))
            each = np.broadcast_to(self.passes(state, members, hosts), shape)
            passed: columns.Bools = np.logical_and.reduceat(each, first)
            return passed
        return np.array(
            [
                [self._one_by_one(state, unit, host) for host in hosts]
                for unit in np.split(members, first[1:])
            ],
            np.bool_,
        ).reshape(len(first), len(hosts))

    def _one_by_one(
        self,
        state: placement.Placement,
        unit: columns.Ints,
        host: np.int32,
    ) -> bool:
        """Say whether all of *unit* may go to *host*, one after the other."""
        there = np.array((host,), np.int32)
        home = int(state.host[unit[0]])
        gone = 0
        try:
            for index in range(len(unit)):
                one = unit[index : index + 1]
                if not np.all(self.passes(state, one, there)):
                    return False
                state.move(one, int(host))
                gone += 1
            return True
        finally:
            if gone:
                state.take_back(unit[:gone], home)

    def idle(self, fleet: columns.Fleet) -> bool:
        """Say whether it has nothing to say of *fleet*, whatever is moved.

        It is not asked at all then. By default it never is idle.
        """
        return False

    def nearest(
        self,
        state: placement.Placement,
        members: columns.Ints,
        hosts: columns.Ints,
    ) -> columns.Bools:
        """Say which of *hosts* come nearest to a wish that none grants.

        :param members: instances that go together, of one host
        :returns: shape ``(len(hosts),)``; all of them (the default) where
            they are even
        """
        return np.ones(len(hosts), np.bool_)

    @abc.abstractmethod
    def reason(self, state: placement.Placement, instance: int) -> str:
        """Say why hosts are refused to *instance*.

        :returns: what completes "12 hosts ...": "are in another zone"
        """

    def remedy(
        self, state: placement.Placement, instance: int, hosts: columns.Ints
    ) -> str:
        """Say what would let *instance* go to one of *hosts*, all refused.

        :returns: what an operator could do: "enable host-3"; empty (the
            default) where nobody can tell
        """
        return ''


class OneByOne(Filter):
    """Adapts a function of one instance and one host: slower, but right."""

    @abc.abstractmethod
    def host_passes(
        self, state: placement.Placement, instance: int, host: int
    ) -> bool:
        """Say whether *instance* may go to *host*; both are rows."""

    def passes(
        self,
        state: placement.Placement,
        instances: columns.Ints,
        hosts: columns.Ints,
    ) -> columns.Bools:
        rows = hosts.tolist()
        return np.array(
            [
                [self.host_passes(state, one, host) for host in rows]
                for one in instances.tolist()
            ],
            np.bool_,
        ).reshape(len(instances), len(hosts))


#: the answer that nothing is refused, whatever was asked
ALL: Final = np.ones((1, 1), np.bool_)
ALL.setflags(write=False)


def all_alike(fleet: columns.Fleet) -> columns.Ints:
    """Put every instance in one class."""
    return np.zeros(len(fleet.instances), np.int32)
