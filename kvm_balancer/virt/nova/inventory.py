"""The whole cloud, read by pages, and kept up by what changed."""

import collections.abc
import dataclasses

from kvm_balancer.model.cloud import demand
from kvm_balancer.model.cloud import records
from kvm_balancer.virt.nova import api
from kvm_balancer.virt.nova import ports
from kvm_balancer.virt.nova import stocks

#: So far back is asked for what changed: clocks differ, and a change is seen
#: in the list only when it is committed.
_OVERLAP_SECONDS = 120.0
_NONE = records.Hypervisor('')


class Inventory:
    """Reads what there is; one thread at a time.

    All methods raise CloudUnreachable or CloudError.
    """

    def __init__(self, nova: api.Api) -> None:
        self._nova = nova
        self._stocks = stocks.Stocks(nova)
        self._ports = ports.Ports(nova)

    def servers(self) -> dict[str, records.Server]:
        """Return all servers, by uuid."""
        found = {one.id: one for one, there in self._nova.servers() if there}
        return self._ports.all_of(found)

    def changed_servers(
        self,
        before: collections.abc.Mapping[str, records.Server],
        since: float,
    ) -> dict[str, records.Server]:
        """Return all servers, asking only for those that changed since."""
        found = dict(before)
        changed: list[str] = []
        listed = self._nova.servers(since - _OVERLAP_SECONDS)
        for one, there in listed:
            if there:
                found[one.id] = one
                changed.append(one.id)
            else:
                found.pop(one.id, None)
        return self._ports.changed_of(found, changed)

    def some_servers(
        self,
        before: collections.abc.Mapping[str, records.Server],
        uids: collections.abc.Iterable[str],
    ) -> dict[str, records.Server]:
        """Return all servers, asking only for *uids*."""
        found = dict(before)
        changed: list[str] = []
        for uid in uids:
            one = self._nova.server(uid)
            if one is None or one.status in ('DELETED', 'SOFT_DELETED'):
                found.pop(uid, None)
            else:
                found[uid] = one
                changed.append(uid)
        return self._ports.some_of(found, changed)

    def computes(
        self, servers: collections.abc.Mapping[str, records.Server]
    ) -> dict[str, records.Compute]:
        """Return all computes by name, with what Placement has of them.

        :param servers: those of the cloud, which ask for traits
        """
        hypervisors = self._nova.hypervisors()
        services = self._nova.services()
        self._stocks.look(
            [one.provider for one in hypervisors.values()],
            demand.traits(servers.values()),
        )
        found: dict[str, records.Compute] = {}
        for one in services:
            hypervisor = hypervisors.get(one.name, _NONE)
            provider = hypervisor.provider
            found[one.name] = dataclasses.replace(
                one,
                provider=provider,
                hypervisor_version=hypervisor.version,
                inventories=self._stocks.inventories(provider),
                traits=self._stocks.traits(provider),
            )
        return found

    def services(
        self, before: collections.abc.Mapping[str, records.Compute]
    ) -> dict[str, records.Compute]:
        """Return all computes, asking only for the states of services."""
        found: dict[str, records.Compute] = {}
        for one in self._nova.services():
            known = before.get(one.name)
            if known is not None:
                one = dataclasses.replace(
                    one,
                    provider=known.provider,
                    hypervisor_version=known.hypervisor_version,
                    inventories=known.inventories,
                    traits=known.traits,
                )
            found[one.name] = one
        return found

    def aggregates(self) -> tuple[records.Aggregate, ...]:
        """Return all aggregates."""
        return self._nova.aggregates()

    def groups(self) -> tuple[records.ServerGroup, ...]:
        """Return all server groups."""
        return self._nova.groups()
