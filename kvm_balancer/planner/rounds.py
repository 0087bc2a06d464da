"""Instances that came back to where they were: who goes round is left there.

An instance that a plan moved away from a host, and another back to it, has
gone round: each plan was right when it was made, and both together were for
nothing. It is left where it is from then on, until an operator releases it
or a move would gain much more than those that it went round for. Pure.
"""

import collections.abc
import dataclasses
from typing import Final

import numpy as np

from kvm_balancer.model import fleet as columns

_DAY_SECONDS: Final = 86_400.0
#: the load of a host that has all its cores in use
_FULL: Final = 1.0


@dataclasses.dataclass(frozen=True, slots=True)
class Params:
    """When an instance has gone round, and what lets it go again.

    :ivar within_seconds: it was on a host, left and came back within it; 0
        for never
    :ivar gain_factor: how much larger the gain has to be; where that is more
        than a host can have, it is halfway from the gain to a full host
    """

    within_seconds: float = 3 * _DAY_SECONDS
    gain_factor: float = 2.0


@dataclasses.dataclass(frozen=True, slots=True)
class Held:
    """An instance that is left where it is.

    :ivar gap: the largest difference of CPU load between the hosts that one
        of its moves was made for
    """

    host: str
    since: float
    gap: float


class Rounds:
    """Where instances have been, and who is held."""

    def __init__(self, params: Params | None = None) -> None:
        self._params = params or Params()
        #: hosts that an instance was moved from, when, and for which gap
        self._left: dict[str, list[tuple[str, float, float]]] = {}
        self._held: dict[str, Held] = {}

    @property
    def held(self) -> collections.abc.Mapping[str, Held]:
        """Who is left where it is, by instance."""
        return self._held

    def moved(
        self,
        instance: str,
        source: str,
        destination: str,
        gap: float,
        at: float,
    ) -> bool:
        """Take down a move of ours that completed.

        :param gap: by how much the load of the source was over that of the
            destination
        :returns: whether the instance has gone round with it
        """
        if not self._params.within_seconds:
            return False
        since = at - self._params.within_seconds
        left = [one for one in self._left.get(instance, ()) if one[1] >= since]
        left.append((source, at, gap))
        self._left[instance] = left
        if all(host != destination for host, _, _ in left):
            self._held.pop(instance, None)
            return False
        largest = max(gap for _, _, gap in left)
        self._held[instance] = Held(destination, at, largest)
        return True

    def release(self, instance: str) -> bool:
        """Let an instance go again; say whether it was held."""
        self._left.pop(instance, None)
        return self._held.pop(instance, None) is not None

    def forget(self, now: float) -> None:
        """Let go of moves that are long ago."""
        since = now - self._params.within_seconds
        self._left = {
            instance: left
            for instance, left in self._left.items()
            if left[-1][1] >= since
        }

    def holding(self, fleet: columns.Fleet) -> columns.Bools:
        """Return who stays where it is now, shape ``(instances,)``.

        Who is elsewhere by now is not: somebody else has moved it. Who is
        on a host so much hotter than others that its move would gain a
        multiple of what it has been moved for may go; so may who has to
        leave a host that drains.
        """
        mask = np.zeros(len(fleet.instances), np.bool_)
        load, hosts = fleet.cpu_load, fleet.hosts
        counted = hosts.counted_on
        coldest = {
            zone: float(load[inside].min())
            for zone in range(len(fleet.zones))
            for inside in (counted & (hosts.zone == zone),)
            if inside.any()
        }
        for instance, held in self._held.items():
            row = fleet.instance_row.get(instance)
            home = fleet.host_row.get(held.host)
            if row is None or home is None:
                continue
            if fleet.instances.host[row] != home:
                continue
            if hosts.state[home] == columns.HostState.DRAINING:
                continue
            gap = float(load[home]) - coldest.get(int(hosts.zone[home]), 0.0)
            before = max(held.gap, 0.05)
            wanted = self._params.gain_factor * before
            mask[row] = gap < min(wanted, (before + _FULL) / 2.0)
        return mask

    def document(self) -> dict[str, list[tuple[str, ...]]]:
        """Return what is to survive a restart, as text."""
        return {
            'left': [
                (instance, host, repr(at), repr(gap))
                for instance, left in self._left.items()
                for host, at, gap in left
            ],
            'held': [
                (instance, one.host, repr(one.since), repr(one.gap))
                for instance, one in self._held.items()
            ],
        }

    def restore(
        self,
        document: collections.abc.Mapping[
            str, collections.abc.Iterable[collections.abc.Sequence[str]]
        ],
    ) -> None:
        """Take over what an earlier run has kept."""
        for instance, host, at, gap in document.get('left', ()):
            self._left.setdefault(instance, []).append(
                (host, float(at), float(gap))
            )
        for instance, host, since, gap in document.get('held', ()):
            self._held[instance] = Held(host, float(since), float(gap))
