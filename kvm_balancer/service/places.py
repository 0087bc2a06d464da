"""Zones and aggregates that the configuration knows, and no host is in.

Most often they are misspelt, and what was meant to hold there holds nowhere.
"""

import collections.abc
import logging

from kvm_balancer.migration.options import scopes
from kvm_balancer.model import fleet as columns

LOG = logging.getLogger(__name__)


class Places:
    """Says once of each place that no host is in it."""

    def __init__(self, rules: scopes.Scopes) -> None:
        self._rules = rules
        self._told = rules.uniform
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
        for kind, name in nowhere(self._rules, fleet):
            LOG.warning(
                'No host is in the %s %s: what [migration:%s:%s] says holds '
                'nowhere; see to its name, and to [host] of the executors',
                kind,
                name,
                kind,
                name,
            )


def nowhere(
    rules: scopes.Scopes, fleet: columns.Fleet
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
