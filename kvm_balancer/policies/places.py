"""Zones and aggregates that the configuration knows, and no host is in.

Most often they are misspelt, and what was meant to hold there holds nowhere.
"""

import collections.abc
import logging
from typing import Any
from typing import Protocol

from kvm_balancer.model import fleet as columns

LOG = logging.getLogger(__name__)


class Rules(Protocol):
    """Whatever says something of zones and of aggregates, by name."""

    @property
    def zones(self) -> collections.abc.Mapping[str, Any]: ...
    @property
    def aggregates(self) -> collections.abc.Mapping[str, Any]: ...


class Places:
    """Says once of each place that no host is in it.

    :param rules: by the first part of the names of their groups
    """

    def __init__(self, rules: collections.abc.Mapping[str, Rules]) -> None:
        self._rules = rules
        self._told = not any(
            one.zones or one.aggregates for one in rules.values()
        )
        self._hosts = 0

    def look(self, fleet: columns.Fleet) -> None:
        """Look at a fleet, and speak when it has ceased to grow."""
        if self._told:
            return
        before, self._hosts = self._hosts, len(fleet.hosts)
        if not before or before != self._hosts:
            # Hosts report one after the other when an agent starts.
            return
        self._told = True
        for text in warnings(self._rules, fleet):
            LOG.warning('%s', text)


def warnings(
    rules: collections.abc.Mapping[str, Rules], fleet: columns.Fleet
) -> tuple[str, ...]:
    """Name the groups that hold nowhere in *fleet*, in one line each.

    :param rules: by the first part of the names of their groups
    """
    return tuple(
        f'No host is in the {kind} {name}: what [{group}:{kind}:{name}] says '
        'holds nowhere; see to its name, and to [host] of the executors'
        for group, one in rules.items()
        for kind, name in nowhere(one, fleet)
    )


def nowhere(
    rules: Rules, fleet: columns.Fleet
) -> collections.abc.Iterator[tuple[str, str]]:
    """Yield what *rules* speak of and *fleet* has not: kind, and name."""
    aggregates = {
        name
        for column, name in enumerate(fleet.aggregates)
        if fleet.hosts.aggregates[:, column].any()
    }
    for kind, named, known in (
        ('zone', rules.zones, {*fleet.zones}),
        ('aggregate', rules.aggregates, aggregates),
    ):
        for name in named:
            if name not in known:
                yield kind, name
