"""Migrations that we did not start: somebody else is at work.

An instance that is on another host than it was, and that none of our
migrations took there, was moved by an operator or by another balancer. Who
did it had a reason that we do not know: the instance and both of its hosts
are left alone for a while. Whoever keeps moving back what we move is another
balancer, and that is told.

It holds for what is moved while nobody looks, too: where instances were seen
last outlives a restart, and so do the migrations of ours that may have taken
them elsewhere since. Pure.
"""

import collections
import collections.abc
import dataclasses
import math
from typing import Any
from typing import Final
from typing import NamedTuple

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.planner import last_seen

_HOUR_SECONDS: Final = 3600.0
#: A migration of ours that ended is shown by the fleet within it.
_SHOWN_SECONDS: Final = 600.0
#: Another agent that reads is told of more often.
_READING_SECONDS: Final = 60.0
#: After a restart, a host that is alive is seen again within it.
_BACK_SECONDS: Final = 600.0


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


class _Ours(NamedTuple):
    """The last of our migrations of an instance.

    :ivar at: when it ended; infinite while nobody knows that it has
    :ivar completed: it is known to have, and was not seen yet where it went
    """

    source: str
    destination: str
    at: float
    completed: bool


class Strangers:
    """What others have moved.

    :ivar seen: where instances were at the last look
    """

    def __init__(self, params: Params | None = None) -> None:
        self._params = params or Params()
        self.seen = last_seen.LastSeen()
        #: whose host from before a restart is not back yet
        self._awaited: set[str] = set()
        self._first_at: float | None = None
        self._looked_at: float | None = None
        self._last: tuple[tuple[str, ...], columns.Ints] | None = None
        self._ours: dict[str, _Ours] = {}
        self._instances: dict[str, float] = {}
        self._hosts: dict[str, float] = {}
        self._undone: collections.deque[float] = collections.deque()
        #: other agents, by the ids of plans that are not ours
        self._agents: dict[str, float] = {}
        self._other_reader_at = -math.inf

    def ours(
        self,
        instance: str,
        source: str,
        destination: str,
        at: float,
        completed: bool = False,
    ) -> None:
        """Take down that a migration of ours began, or ended.

        :param at: when it ended; infinite until that is known
        """
        self._ours[instance] = _Ours(source, destination, at, completed)

    def other_plan(self, plan_id: str, at: float) -> None:
        """Take down that a migration of a plan was told of that is not ours.

        Only an agent makes plans.
        """
        self._agents[plan_id] = at

    def other_reader(self, at: float) -> None:
        """Take down that another agent reads what is meant for this one."""
        self._other_reader_at = at

    def count(self, now: float) -> int:
        """Count the instances that are left alone."""
        return sum(until > now for until in self._instances.values())

    def look(self, fleet: columns.Fleet, now: float) -> list[Sighting]:
        """Compare *fleet* to how it was; return what others have moved.

        An instance on a host that died has not been migrated, and is not
        left alone because somebody saved it.
        """
        if self._first_at is None:
            self._first_at = now
        found = list(self._undone_at_once(fleet, now))
        names = fleet.hosts.name
        for row in self._changed(fleet).tolist():
            instance = fleet.instances.id[row]
            here = names[fleet.instances.host[row]]
            before = self.seen.get(instance)
            if before is not None and before != here:
                if self._is_awaited(fleet, before, now):
                    self._awaited.add(instance)
                    continue
                ours = self._is_ours(instance, (before, here), now)
                if not ours and not self._died(fleet, before):
                    found.append(self._sighted(instance, before, here, now))
            self._settled(instance, here)
        if now - self._first_at >= _BACK_SECONDS:
            self._awaited.clear()
        self.seen.renew(fleet.instance_row, now)
        self._looked_at = now
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
        if self._other_reader_at >= now - _READING_SECONDS:
            return (
                'another agent is at work on this message bus: each gets a '
                'part of the samples and outcomes only; stop one of the '
                'agents, or let it use another virtual host'
            )
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
        looked_at = now if self._looked_at is None else self._looked_at
        # What ended since then is still to be seen.
        known = min(day, looked_at - _SHOWN_SECONDS)
        self._instances = {k: v for k, v in self._instances.items() if v > now}
        self._hosts = {k: v for k, v in self._hosts.items() if v > now}
        self._ours = {k: v for k, v in self._ours.items() if v.at > known}
        self._agents = {k: v for k, v in self._agents.items() if v > day}
        while self._undone and self._undone[0] < day:
            self._undone.popleft()

    def document(self) -> dict[str, Any]:
        """Return what is to survive a restart, in plain types.

        Migrations of ours that are under way are told of anew by whoever
        takes them up again. Where instances were seen is not in it: that is
        kept by pieces.
        """
        looked_at = self._looked_at or 0.0
        return {
            'instances': self._instances,
            'hosts': self._hosts,
            'agents': self._agents,
            'undone': list(self._undone),
            'ours': {
                instance: move
                for instance, move in self._ours.items()
                if math.isfinite(move.at)
            },
            # so that not every look is a reason to write
            'looked_at': looked_at - looked_at % _SHOWN_SECONDS,
        }

    def restore(self, document: collections.abc.Mapping[str, Any]) -> None:
        """Take over what an earlier run has kept.

        Migrations of ours that are known already stay as they are.

        :raises TypeError, ValueError: when it is damaged
        """
        self._instances.update(document.get('instances', {}))
        self._hosts.update(document.get('hosts', {}))
        self._agents.update(document.get('agents', {}))
        self._undone.extend(map(float, document.get('undone', ())))
        for instance, move in document.get('ours', {}).items():
            source, destination, at, *completed = move
            self._ours.setdefault(
                instance,
                _Ours(source, destination, float(at), any(completed)),
            )
        if 'looked_at' in document:
            self._looked_at = float(document['looked_at'])

    def _changed(self, fleet: columns.Fleet) -> columns.Ints:
        """Return the rows that may be elsewhere than they were."""
        ids, host = fleet.instances.id, fleet.instances.host
        last, self._last = self._last, (ids, host)
        if (
            last is None
            or last[0] is not ids
            or len(last[1]) != len(host)
            or self._awaited
        ):
            return np.arange(len(ids), dtype=np.int32)
        return np.flatnonzero(last[1] != host).astype(np.int32)

    def _is_awaited(self, fleet: columns.Fleet, host: str, now: float) -> bool:
        """Say whether a host may only not be back yet after a restart."""
        since = now if self._first_at is None else self._first_at
        return host not in fleet.host_row and now - since < _BACK_SECONDS

    def _settled(self, instance: str, here: str) -> None:
        """Take down that an instance was seen where it is."""
        self.seen.put(instance, here)
        self._awaited.discard(instance)
        known = self._ours.get(instance)
        if known is not None and known.completed and known.destination == here:
            self._ours[instance] = known._replace(completed=False)

    def _is_ours(
        self, instance: str, way: tuple[str, str], now: float
    ) -> bool:
        """Say whether a migration of ours went that way since the last look.

        Or a while before it: what hosts report may be from before its end.
        """
        known = self._ours.get(instance)
        since = now if self._looked_at is None else self._looked_at
        return (
            known is not None
            and known[:2] == way
            and known.at >= since - _SHOWN_SECONDS
        )

    def _undone_at_once(
        self, fleet: columns.Fleet, now: float
    ) -> collections.abc.Iterator[Sighting]:
        """Find who was moved back before it was seen where we moved it.

        Another balancer may be faster than we look; and nobody looks while
        the agent is down.
        """
        for instance, known in list(self._ours.items()):
            if not known.completed or now - known.at < _SHOWN_SECONDS:
                continue
            self._ours[instance] = known._replace(completed=False)
            row = fleet.instance_row.get(instance)
            if row is None or self.seen.get(instance) != known.source:
                continue
            here = fleet.hosts.name[fleet.instances.host[row]]
            if here == known.source and not any(
                self._died(fleet, host) for host in known[:2]
            ):
                yield self._sighted(instance, known.destination, here, now)

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
