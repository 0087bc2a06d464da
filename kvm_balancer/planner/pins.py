"""Instances that stay where they are, as patterns of names say."""

import collections.abc
import fnmatch
import re

import numpy as np

from kvm_balancer.model import fleet as columns


class Pins:
    """Patterns, and who they hold.

    :ivar pinned: shape ``(instances,)``
    """

    def __init__(
        self, fleet: columns.Fleet, patterns: collections.abc.Sequence[str]
    ) -> None:
        """Hold *patterns* against all names.

        :param patterns: as a shell has them: ``db-*``
        """
        self._patterns = tuple(patterns)
        self._names = fleet.instances.name
        self.pinned: columns.Bools = np.zeros(len(self._names), np.bool_)
        if patterns:
            either = '|'.join(map(fnmatch.translate, patterns))
            matches = re.compile(either).match
            self.pinned[:] = [bool(matches(name)) for name in self._names]

    def why(self, instance: int) -> str:
        """Say why *instance* stays; empty where no pattern holds it."""
        if not self.pinned[instance]:
            return ''
        name = self._names[instance]
        holding = next(
            one for one in self._patterns if fnmatch.fnmatchcase(name, one)
        )
        return f'its name matches {holding} of [planner] pinned_names'
