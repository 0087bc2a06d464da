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
from kvm_balancer.service import remaining

Row = dict[str, Any]


class DrainApi:
    """Orders to empty hosts, and questions about them.

    :param heard: returns what was last heard of the cloud; None where there
        is none
    """

    def __init__(
        self,
        worker: agent.Agent,
        ordered: drains.Drains,
        patience_seconds: float,
        heard: remaining.Heard | None = None,
    ) -> None:
        self._agent = worker
        self._drains = ordered
        self._heard = heard
        self._witness = remaining.Witness(heard, patience_seconds)

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
        :raises CloudUnreachable: when Nova does not answer, and it is one
            of its computes, or may be
        """
        fleet = self._agent.fleet.snapshot()
        in_nova = self._drains.in_nova(host)
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
        left = self._drains.end(host)
        return {'host': host, 'state': 'enabled', 'note': left}

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

        Those of Nova that nobody reports are among them.

        :raises NotFound: when no host is in it
        """
        fleet = self._agent.fleet.snapshot()
        members: set[str] = set()
        if aggregate in fleet.aggregates:
            held = fleet.hosts.aggregates[:, fleet.aggregates.index(aggregate)]
            rows: list[int] = np.flatnonzero(held).tolist()
            members = {fleet.hosts.name[row] for row in rows}
        if self._heard is not None:
            for one in self._heard().aggregates:
                if one.name == aggregate:
                    members |= one.hosts
        if not members:
            raise errors.NotFound(f'no host is in an aggregate {aggregate}')
        return [
            {
                'host': name,
                'silent': name not in fleet.host_row
                or bool(fleet.hosts.silent[fleet.host_row[name]]),
            }
            for name in sorted(members)
        ]

    def _row(self, host: str, fleet: columns.Fleet) -> Row:
        air = self._agent.dispatcher.flights.all()
        known = self._agent.fleet.rules()
        fresh = known is not None and known.cloud.taken_at > 0
        found = self._drains.progress(
            host,
            fleet,
            {flight.wanted.instance for flight in air},
            explaining.Custody(self._agent.fleet),
            self._witness.of(host, fleet, fresh),
        )
        return dataclasses.asdict(found)
