"""Pace: what moves cost more over networks that are slower than others.

A move is predicted to begin with as if its destination left it the full
bandwidth of the host that it leaves. What it takes longer where there is
less is asked here, for tables of units and hosts; where all hosts of a zone
are alike, nothing is. Bandwidths are told apart in steps of a tenth, and
what was predicted of an instance once is kept.
"""

import dataclasses
import functools

import numpy as np
import numpy.typing as npt

from kvm_balancer.model import fleet as columns
from kvm_balancer.planner import means
from kvm_balancer.planner import networks
from kvm_balancer.planner import units as grouping

#: dislike of a network because of which a move takes nearly all of its time:
#: more than even loads are worth, and less than a move
_DISLIKE = 0.1
#: instances that are predicted at once, at least
_AT_ONCE = 512


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class More:
    """What units take more than over the full bandwidth of their host.

    Shape ``(units, hosts)`` each.

    :ivar core_seconds: see :mod:`.worth`
    :ivar mib: that is copied
    :ivar dislike: how little such a place is liked where others are as good:
        a share of what the move counts for
    """

    core_seconds: columns.Floats
    mib: columns.Floats
    dislike: columns.Floats


class Pace:
    """What units of a fleet take more over slower networks.

    :ivar core_seconds: that each takes over the full bandwidth of its host,
        shape ``(units,)``
    """

    def __init__(
        self,
        fleet: columns.Fleet,
        units: grouping.Units,
        asked: means.Means,
        wear: columns.Floats,
    ) -> None:
        """Begin with nothing predicted.

        :param wear: how many times as much each instance has to be worth
        """
        self._fleet, self._units = fleet, units
        self._networks, self._forecast = asked.networks, asked.forecast
        self._wear = wear
        self._full = np.stack((asked.core_seconds, asked.mib))
        self.core_seconds = units.total(asked.core_seconds * wear)
        #: core-seconds and MiB more of every instance, by steps; NaN where
        #: that was not asked yet
        self._known: dict[int, npt.NDArray[np.float32]] = {}

    @property
    def even(self) -> bool:
        """True where no network is slower than another."""
        return self._networks.alike

    def more(self, units: columns.Ints, hosts: columns.Ints) -> More | None:
        """Return what *units* take more to *hosts*; None where nothing.

        :param hosts: each of them once
        """
        if self.even or not len(units) or not len(hosts):
            return None
        home = self._fleet.instances.host[self._units.first(units)]
        steps = self._networks.slower(home, hosts)
        if not steps.any():
            return None
        found = np.flatnonzero(np.bincount(steps.ravel()))
        number = np.zeros(int(found[-1]) + 1, np.int32)
        number[found] = np.arange(len(found))
        members, offset = self._units.of_all(units)
        by_steps = np.stack(
            [
                self._of(
                    members,
                    np.repeat((steps == one).any(axis=1), np.diff(offset)),
                    one,
                )
                for one in found.tolist()
            ]
        )
        if len(members) > len(units):
            by_steps = np.add.reduceat(by_steps, offset[:-1], axis=2)
        every = np.arange(len(units))[:, None]
        at = number[steps]
        seconds, mib = by_steps[at, 0, every], by_steps[at, 1, every]
        full = self.core_seconds[units][:, None]
        share = seconds / np.maximum(full + seconds, 1e-9)
        return More(seconds, mib, _DISLIKE * share)

    def _of(
        self, rows: columns.Ints, asked: columns.Bools, steps: int
    ) -> columns.Floats:
        """Return what instances take more over networks so much slower.

        :param asked: of which of *rows* it is needed; 0 of the others
        :returns: core-seconds, and MiB, shape ``(2, len(rows))``
        """
        found = np.zeros((2, len(rows)))
        if not steps:
            return found
        if steps not in self._known:
            count = len(self._fleet.instances)
            self._known[steps] = np.full((2, count), np.nan, np.float32)
        known = self._known[steps]
        lacking = rows[asked & np.isnan(known[0, rows])]
        if len(lacking):
            rows_now = self._with_others(lacking, known)
            known[:, rows_now] = self._predicted(rows_now, steps)
        found[:, asked] = known[:, rows[asked]]
        return found

    def _predicted(self, rows: columns.Ints, steps: int) -> columns.Floats:
        hosts = self._fleet.hosts
        full = hosts.migration_mib_s[self._fleet.instances.host[rows]]
        slow = self._forecast.over(rows, networks.slowed(full, steps))
        more: columns.Floats = np.maximum(slow - self._full[:, rows], 0.0)
        more[0] *= self._wear[rows]
        return more

    def _with_others(
        self, rows: columns.Ints, known: npt.NDArray[np.float32]
    ) -> columns.Ints:
        """Return *rows*, and others that are likely to be asked for next.

        As many as are known, those of the hottest hosts first: to predict
        many at once takes hardly longer than to predict a few.
        """
        fresh = np.isnan(known[0])
        fresh[rows] = False
        more = max(_AT_ONCE, len(fresh) - int(np.count_nonzero(fresh)))
        others = self._hottest[fresh[self._hottest]][:more]
        return np.concatenate((rows, others))

    @functools.cached_property
    def _hottest(self) -> columns.Ints:
        """The instances, those of the hottest hosts first."""
        load = self._fleet.cpu_load[self._fleet.instances.host]
        found: columns.Ints = np.argsort(-load, kind='stable').astype(np.int32)
        return found
