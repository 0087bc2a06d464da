"""What a plan is to bring the policies that made it, as far as it has come.

That is told by the levels of the policies, with the instances that the plan
moved where they are by now, and all else as it was when the plan was made.
Levels are those of the hosts that it took instances from or brought them to:
of a host that it left alone it promised nothing.
"""

import collections.abc
import dataclasses
import itertools
import logging
import math
from typing import Any

import numpy as np

from kvm_balancer.model import excerpt
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import plan as plans
from kvm_balancer.policies import assignment
from kvm_balancer.policies import base

LOG = logging.getLogger(__name__)

#: a predicted gain of the level that is less than this is none
_NOTHING = 1e-6

#: Policies, each with the place that it acted at.
Acting = collections.abc.Sequence[tuple[assignment.Part, base.Policy]]


@dataclasses.dataclass(frozen=True, slots=True)
class Expected:
    """What a plan is to bring one policy at a place.

    :ivar before: its level without the plan
    :ivar after: with what was carried out of it
    :ivar hosts: whose level that is, by name; empty for all of the place
    """

    place: str
    policy: str
    before: float
    after: float
    hosts: tuple[str, ...] = ()

    @property
    def gain(self) -> float:
        """By how much the level is to come down."""
        return self.before - self.after

    @property
    def any(self) -> bool:
        """True where it is to come down at all."""
        return self.gain > _NOTHING

    def seen(
        self,
        policy: base.Policy,
        fleet: columns.Fleet,
        place: columns.Bools,
    ) -> float:
        """Return by how much the level has come down by now.

        :param place: the hosts of the place
        :returns: not a number where nobody knows
        """
        return self.before - _level(policy, fleet, self._among(fleet, place))

    def _among(
        self, fleet: columns.Fleet, place: columns.Bools
    ) -> columns.Bools:
        """Return the hosts of *place* whose level it is."""
        if not self.hosts:
            return place
        rows = (fleet.host_row.get(name) for name in self.hosts)
        found = np.zeros(len(fleet.hosts), np.bool_)
        found[[row for row in rows if row is not None]] = True
        return found & place


def read(record: collections.abc.Iterable[Any]) -> Expected:
    """Read an expectation that an earlier run wrote down.

    One of an older version names no hosts.

    :raises TypeError, ValueError: when it is damaged
    """
    place, policy, before, after, *hosts = record
    named = tuple(str(name) for names in hosts for name in names)
    return Expected(
        str(place), str(policy), float(before), float(after), named
    )


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Promise:
    """A plan that is carried out, and the fleet that it was made for."""

    fleet: columns.Fleet
    moved: tuple[str, ...]
    acting: Acting

    @classmethod
    def of(
        cls, plan: plans.Plan, fleet: columns.Fleet, acting: Acting
    ) -> 'Promise':
        """Return what *plan* for *fleet* promises."""
        moved = tuple(move.instance for move in plan.moves)
        return cls(fleet, moved, tuple(acting))

    def expected(
        self,
        now: columns.Fleet,
        arriving: collections.abc.Mapping[int, int],
    ) -> tuple[Expected, ...]:
        """Return what it is to bring by what was carried out of it.

        :param arriving: hosts by instances that count as there already, by
            row
        """
        before, meant = self.fleet, self._as_moved(now, arriving)
        touched = _touched(before, meant)
        found: list[Expected] = []
        for part, policy in self.acting:
            if policy.mandatory:
                continue
            hosts = part.hosts & touched
            one = Expected(
                part.name,
                policy.name,
                _level(policy, before, hosts),
                _level(policy, meant, hosts),
                tuple(itertools.compress(before.hosts.name, hosts.tolist())),
            )
            if one.any:
                found.append(one)
        return tuple(found)

    def _as_moved(
        self,
        now: columns.Fleet,
        arriving: collections.abc.Mapping[int, int],
    ) -> columns.Fleet:
        """Return the fleet of the plan with what it moved where it is."""
        before = self.fleet
        host = before.instances.host.copy()
        for uid in self.moved:
            row = now.instance_row.get(uid)
            if row is None:
                continue
            here = int(now.instances.host[row])
            name = now.hosts.name[arriving.get(row, here)]
            if name in before.host_row:
                host[before.instance_row[uid]] = before.host_row[name]
        return dataclasses.replace(
            before, instances=dataclasses.replace(before.instances, host=host)
        )


def _touched(before: columns.Fleet, after: columns.Fleet) -> columns.Bools:
    """Return the hosts that instances left or came to, ``(hosts,)``."""
    left, come = before.instances.host, after.instances.host
    found = np.zeros(len(before.hosts), np.bool_)
    found[left[left != come]] = True
    found[come[left != come]] = True
    return found


def _level(
    policy: base.Policy, fleet: columns.Fleet, hosts: columns.Bools
) -> float:
    """Return how bad things are on *hosts*; not a number if nobody knows."""
    if not hosts.any():
        return math.nan
    try:
        return policy.trigger(excerpt.of_hosts(fleet, hosts)).level
    except Exception:
        # A plugin of others may raise anything; who decides says so.
        LOG.debug('Policy %s raised', policy.name, exc_info=True)
        return math.nan
