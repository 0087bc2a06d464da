"""Pairs of instance and destination whose migrations failed.

The same migration that failed a moment ago most often fails again. Such a
pair is left alone for a while, twice as long after each further failure; to
another destination the instance may go as soon as it has cooled down. One
that completes makes all good. Pure.
"""

import collections.abc
import dataclasses
from typing import Final

import numpy as np

from kvm_balancer.filters import base
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement

_WEEK_SECONDS: Final = 7 * 86_400.0


@dataclasses.dataclass(frozen=True, slots=True)
class Params:
    """How long a pair is left alone.

    :ivar seconds: after its first failure; 0 for not at all
    :ivar most_seconds: at most
    """

    seconds: float = 3600.0
    most_seconds: float = _WEEK_SECONDS


@dataclasses.dataclass(frozen=True, slots=True)
class Failures:
    """How often a pair has failed, and when last."""

    count: int
    at: float


class Mishaps:
    """The failures that still matter."""

    def __init__(self, params: Params | None = None) -> None:
        self._params = params or Params()
        self._failures: dict[tuple[str, str], Failures] = {}

    def failed(self, instance: str, destination: str, at: float) -> None:
        """Take down that a migration has failed."""
        before = self._failures.get((instance, destination))
        count = before.count if before else 0
        self._failures[instance, destination] = Failures(count + 1, at)

    def completed(self, instance: str, destination: str) -> None:
        """Take down that a migration has completed."""
        self._failures.pop((instance, destination), None)

    def until(self, pair: tuple[str, str]) -> float:
        """Return until when a pair is left alone."""
        found = self._failures.get(pair)
        if found is None or not self._params.seconds:
            return 0.0
        # a power of two that overflows is over any limit
        doubled = self._params.seconds * 2.0 ** min(found.count - 1, 60)
        return found.at + min(doubled, self._params.most_seconds)

    def forget(self, now: float) -> None:
        """Let go of failures so old that the next would be a first one."""
        self._failures = {
            pair: found
            for pair, found in self._failures.items()
            if now < self.until(pair) + self._params.most_seconds
        }

    def filter(
        self, fleet: columns.Fleet, now: float
    ) -> tuple[base.Filter, ...]:
        """Return what keeps the pairs apart; nothing where there are none."""
        apart: dict[int, list[int]] = {}
        for instance, destination in self._failures:
            row = fleet.instance_row.get(instance)
            host = fleet.host_row.get(destination)
            if row is None or host is None:
                continue
            if now < self.until((instance, destination)):
                apart.setdefault(row, []).append(host)
        return (FailedPairs(apart),) if apart else ()

    def document(self) -> list[tuple[str, str, int, float]]:
        """Return what is to survive a restart."""
        return [
            (*pair, found.count, found.at)
            for pair, found in self._failures.items()
        ]

    def restore(
        self,
        document: collections.abc.Iterable[tuple[str, str, int, float]],
    ) -> None:
        """Take over what an earlier run has kept."""
        for instance, destination, count, at in document:
            self._failures[instance, destination] = Failures(count, at)


class FailedPairs(base.Filter):
    """Lets no instance go where its migration failed a while ago."""

    name = 'failed_pairs'

    def __init__(
        self,
        apart: collections.abc.Mapping[int, collections.abc.Sequence[int]],
    ) -> None:
        """Begin with rows of hosts by row of instance."""
        super().__init__()
        self._apart = apart

    def passes(
        self,
        state: placement.Placement,
        instances: columns.Ints,
        hosts: columns.Ints,
    ) -> columns.Bools:
        passed = np.ones((len(instances), len(hosts)), np.bool_)
        for place, instance in enumerate(instances.tolist()):
            if instance in self._apart:
                passed[place] = ~np.isin(hosts, self._apart[instance])
        return passed

    def reason(self, state: placement.Placement, instance: int) -> str:
        return 'are where its migration failed a while ago'
