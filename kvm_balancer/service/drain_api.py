"""What the agent answers about drains: rows of plain types."""

import collections.abc
import dataclasses
from typing import Any

import numpy as np

from kvm_balancer import errors
from kvm_balancer.model import fleet as columns
from kvm_balancer.service import agent
from kvm_balancer.service import drains
from kvm_balancer.service import explaining

Row = dict[str, Any]


class DrainApi:
    """Orders to empty hosts, and questions about them."""

    def __init__(self, worker: agent.Agent, ordered: drains.Drains) -> None:
        self._agent = worker
        self._drains = ordered

    def methods(self) -> dict[str, collections.abc.Callable[..., Any]]:
        """Return what may be called, by name."""
        return {
            method.__name__: method
            for method in (
                self.drain_host,
                self.undrain_host,
                self.show_drain,
                self.list_drains,
                self.list_members,
            )
        }

    def drain_host(self, host: str, reason: str) -> Row:
        """Empty a host, and let nothing arrive there.

        :raises NotFound: when there is no such host
        """
        fleet = self._agent.fleet.snapshot()
        known = self._agent.fleet.rules()
        in_nova = known is not None and host in known.cloud.computes
        if host not in fleet.host_row and not in_nova:
            raise errors.NotFound(
                f'there is no host {host}; see kvm-balancer hosts'
            )
        self._drains.begin(host, reason, in_nova)
        self._agent.wake()
        return self.show_drain(host)

    def undrain_host(self, host: str) -> Row:
        """Let instances arrive at a host that was drained.

        :raises NotFound: when it is not drained
        """
        self._drains.end(host)
        return {'host': host, 'state': 'enabled'}

    def show_drain(self, host: str) -> Row:
        """Return how far a drain is.

        :raises NotFound: when the host is not drained
        """
        return self._row(host, self._agent.fleet.snapshot())

    def list_drains(self) -> list[Row]:
        """Return how far all drains are."""
        fleet = self._agent.fleet.snapshot()
        return [self._row(host, fleet) for host in sorted(self._drains.hosts)]

    def list_members(self, aggregate: str) -> list[Row]:
        """Return the hosts of an aggregate, and whether each is there.

        :raises NotFound: when no host is in it
        """
        fleet = self._agent.fleet.snapshot()
        if aggregate not in fleet.aggregates:
            raise errors.NotFound(f'no host is in an aggregate {aggregate}')
        held = fleet.hosts.aggregates[:, fleet.aggregates.index(aggregate)]
        return [
            {
                'host': fleet.hosts.name[row],
                'silent': bool(fleet.hosts.silent[row]),
            }
            for row in np.flatnonzero(held).tolist()
        ]

    def _row(self, host: str, fleet: columns.Fleet) -> Row:
        air = self._agent.dispatcher.flights.all()
        found = self._drains.progress(
            host,
            fleet,
            {flight.wanted.instance for flight in air},
            explaining.Custody(self._agent.fleet),
        )
        return dataclasses.asdict(found)
