"""Who is left alone for a while after a migration, and until when.

An instance that was just moved, or whose migration just failed, cools down;
so do both hosts, so that their load is seen as it is before anybody judges
it again. Pure: time comes in as ``now``, in seconds since the epoch.
"""

import collections.abc
import dataclasses

import numpy as np

from kvm_balancer.model import fleet as columns


@dataclasses.dataclass(frozen=True, slots=True)
class Params:
    """How long who is left alone, in seconds; 0 for not at all."""

    instance_seconds: float = 7200.0
    host_seconds: float = 60.0
    #: how long it is known of an instance that it was moved
    undo_seconds: float = 21600.0


class Cooldowns:
    """The ends of the migrations that still matter."""

    def __init__(self, params: Params) -> None:
        self._params = params
        self._instances: dict[str, float] = {}
        self._hosts: dict[str, float] = {}
        self._recent: dict[str, float] = {}

    def note(
        self, instance: str, source: str, destination: str, ended_at: float
    ) -> None:
        """Take down that a migration ended, however it did."""
        _push(
            self._instances, instance, ended_at + self._params.instance_seconds
        )
        _push(self._recent, instance, ended_at + self._params.undo_seconds)
        for host in (source, destination):
            _push(self._hosts, host, ended_at + self._params.host_seconds)

    def restore(
        self,
        instances: collections.abc.Mapping[str, float],
        hosts: collections.abc.Mapping[str, float],
    ) -> None:
        """Take over from a record when each was last touched."""
        for name, at in instances.items():
            _push(self._instances, name, at + self._params.instance_seconds)
            _push(self._recent, name, at + self._params.undo_seconds)
        for name, at in hosts.items():
            _push(self._hosts, name, at + self._params.host_seconds)

    def forget(self, now: float) -> None:
        """Let go of what has cooled down."""
        self._instances = _still(self._instances, now)
        self._hosts = _still(self._hosts, now)
        self._recent = _still(self._recent, now)

    def instances(self, fleet: columns.Fleet, now: float) -> columns.Bools:
        """Return which instances cool down, shape ``(instances,)``."""
        return _mask(self._instances, fleet.instance_row, now)

    def recent(self, fleet: columns.Fleet, now: float) -> columns.Bools:
        """Return which instances moved not long ago, ``(instances,)``."""
        return _mask(self._recent, fleet.instance_row, now)

    def hosts(self, fleet: columns.Fleet, now: float) -> columns.Bools:
        """Return which hosts cool down, shape ``(hosts,)``."""
        return _mask(self._hosts, fleet.host_row, now)


def _push(until: dict[str, float], name: str, when: float) -> None:
    until[name] = max(when, until.get(name, when))


def _still(until: dict[str, float], now: float) -> dict[str, float]:
    return {name: when for name, when in until.items() if when > now}


def _mask(
    until: dict[str, float], rows: dict[str, int], now: float
) -> columns.Bools:
    mask = np.zeros(len(rows), dtype=np.bool_)
    for name, when in until.items():
        row = rows.get(name)
        if row is not None and when > now:
            mask[row] = True
    return mask
