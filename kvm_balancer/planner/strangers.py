"""Migrations that we did not start: somebody else is at work.

An instance that is on another host than it was, and that none of our
migrations took there, was moved by an operator or by another balancer. Who
did it had a reason that we do not know: the instance and both of its hosts
are left alone for a while. Whoever keeps moving back what we move is another
balancer, and that is told. Pure.
"""

import collections
import collections.abc
import dataclasses
import math
from typing import Any
from typing import Final

import numpy as np

from kvm_balancer.model import fleet as columns

_HOUR_SECONDS: Final = 3600.0
#: A migration of ours, told of late, is ours for so long.
_OURS_SECONDS: Final = 600.0


@dataclasses.dataclass(frozen=True, slots=True)
class Params:
    """What a foreign migration is answered with.

    :ivar instance_seconds: for which the instance is left alone
    :ivar host_seconds: for which both hosts are
    :ivar undone: moves of ours, undone by others within an hour, that tell
        another balancer
    """

    instance_seconds: float = 6 * _HOUR_SECONDS
    host_seconds: float = 1800.0
    undone: int = 2


@dataclasses.dataclass(frozen=True, slots=True)
class Sighting:
    """A migration that we did not start.

    :ivar undoes: it took an instance back from where we had moved it
    """

    instance: str
    source: str
    destination: str
    at: float
    undoes: bool


class Strangers:
    """What others have moved."""

    def __init__(self, params: Params | None = None) -> None:
        self._params = params or Params()
        self._where: dict[str, str] = {}
        self._last: tuple[tuple[str, ...], columns.Ints] | None = None
        #: source, destination and time of the last of our migrations
        self._ours: dict[str, tuple[str, str, float]] = {}
        self._instances: dict[str, float] = {}
        self._hosts: dict[str, float] = {}
        self._undone: collections.deque[float] = collections.deque()
        #: other agents, by the ids of plans that are not ours
        self._agents: dict[str, float] = {}

    def ours(
        self, instance: str, source: str, destination: str, at: float
    ) -> None:
        """Take down that a migration of ours began, or ended."""
        self._ours[instance] = (source, destination, at)

    def other_plan(self, plan_id: str, at: float) -> None:
        """Take down that a migration of a plan was told of that is not ours.

        Only an agent makes plans.
        """
        self._agents[plan_id] = at

    def look(self, fleet: columns.Fleet, now: float) -> list[Sighting]:
        """Compare *fleet* to how it was; return what others have moved.

        An instance on a host that died has not been migrated, and is not
        left alone because somebody saved it.
        """
        found: list[Sighting] = []
        names = fleet.hosts.name
        changed = self._changed(fleet)
        for row in changed.tolist():
            instance = fleet.instances.id[row]
            here = names[fleet.instances.host[row]]
            before = self._where.get(instance)
            self._where[instance] = here
            if before is None or before == here:
                continue
            ours = self._is_ours(instance, (before, here), now)
            if ours or self._died(fleet, before):
                continue
            found.append(self._sighted(instance, before, here, now))
        if len(self._where) > 2 * len(fleet.instances) + 1000:
            known = fleet.instance_row
            self._where = {
                one: host for one, host in self._where.items() if one in known
            }
        return found

    def instances(self, fleet: columns.Fleet, now: float) -> columns.Bools:
        """Return which instances are left alone, shape ``(instances,)``."""
        return _mask(self._instances, fleet.instance_row, now)

    def hosts(self, fleet: columns.Fleet, now: float) -> columns.Bools:
        """Return which hosts are left alone, shape ``(hosts,)``."""
        return _mask(self._hosts, fleet.host_row, now)

    def text(self, now: float) -> str:
        """Say that another balancer is at work; empty where none is."""
        since = now - _HOUR_SECONDS
        agents = sum(at >= since for at in self._agents.values())
        if agents:
            return (
                'another agent is at work: migrations of plans that are not '
                'ours were told of within the hour; stop one of the agents'
            )
        undone = sum(at >= since for at in self._undone)
        if undone >= self._params.undone:
            return (
                f'another balancer is at work: {undone} instances that were '
                'moved here were moved back by others within the hour; let '
                'one of them decide'
            )
        return ''

    def forget(self, now: float) -> None:
        """Let go of what does not matter any more."""
        day = now - 24 * _HOUR_SECONDS
        self._instances = {k: v for k, v in self._instances.items() if v > now}
        self._hosts = {k: v for k, v in self._hosts.items() if v > now}
        self._ours = {k: v for k, v in self._ours.items() if v[2] > day}
        self._agents = {k: v for k, v in self._agents.items() if v > day}
        while self._undone and self._undone[0] < day:
            self._undone.popleft()

    def document(self) -> dict[str, Any]:
        """Return what is to survive a restart, in plain types.

        Migrations of ours that are under way are told of anew by whoever
        takes them up again.
        """
        return {
            'instances': self._instances,
            'hosts': self._hosts,
            'agents': self._agents,
            'undone': list(self._undone),
            'ours': {
                instance: move
                for instance, move in self._ours.items()
                if math.isfinite(move[2])
            },
        }

    def restore(self, document: collections.abc.Mapping[str, Any]) -> None:
        """Take over what an earlier run has kept.

        :raises TypeError, ValueError: when it is damaged
        """
        self._instances.update(document.get('instances', {}))
        self._hosts.update(document.get('hosts', {}))
        self._agents.update(document.get('agents', {}))
        self._undone.extend(map(float, document.get('undone', ())))
        for instance, move in document.get('ours', {}).items():
            source, destination, at = move
            self._ours.setdefault(instance, (source, destination, float(at)))

    def _changed(self, fleet: columns.Fleet) -> columns.Ints:
        """Return the rows that may be elsewhere than they were."""
        ids, host = fleet.instances.id, fleet.instances.host
        last, self._last = self._last, (ids, host)
        if last is not None and last[0] is ids and len(last[1]) == len(host):
            return np.flatnonzero(last[1] != host).astype(np.int32)
        return np.arange(len(ids), dtype=np.int32)

    def _is_ours(
        self, instance: str, way: tuple[str, str], now: float
    ) -> bool:
        known = self._ours.get(instance)
        return (
            known is not None
            and known[:2] == way
            and now - known[2] <= _OURS_SECONDS
        )

    def _died(self, fleet: columns.Fleet, host: str) -> bool:
        row = fleet.host_row.get(host)
        return row is None or bool(fleet.hosts.silent[row])

    def _sighted(
        self, instance: str, source: str, destination: str, now: float
    ) -> Sighting:
        known = self._ours.get(instance)
        undoes = known is not None and known[:2] == (destination, source)
        if undoes:
            self._undone.append(now)
        self._instances[instance] = now + self._params.instance_seconds
        for host in (source, destination):
            self._hosts[host] = now + self._params.host_seconds
        return Sighting(instance, source, destination, now, undoes)


def _mask(
    until: collections.abc.Mapping[str, float],
    rows: collections.abc.Mapping[str, int],
    now: float,
) -> columns.Bools:
    mask = np.zeros(len(rows), np.bool_)
    for name, when in until.items():
        row = rows.get(name)
        if row is not None and when > now:
            mask[row] = True
    return mask
