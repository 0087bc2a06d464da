"""The calls to Nova and its neighbours that are made here, and no others.

Reads may be repeated. What changes something is sent once; whether it was
carried out where the answer was lost is for the caller to find out.
"""

import collections.abc
import datetime
import functools
from typing import Any

from kvm_balancer import errors
from kvm_balancer.model.cloud import records
from kvm_balancer.virt.nova import documents
from kvm_balancer.virt.nova import session

#: Rows that are asked for at a time; Nova's own limit is 1,000 by default.
PAGE = 1000
#: From 2.88 on Nova asks each compute for its uptime before it tells the
#: details of hypervisors, and waits a minute for one that hangs.
_NO_UPTIME = (2, 87)
#: An action of a server, as Nova names it.
_LIVE_MIGRATION = 'live-migration'
_NOBODY: frozenset[str] = frozenset()


class Api:
    """Nova's API as it is used here.

    All methods raise CloudUnreachable when nothing is known of what was
    asked for, CloudError when it was refused.
    """

    def __init__(self, cloud: session.Cloud) -> None:
        self._cloud = cloud
        #: uuids by compute, as they were last listed
        self._providers: dict[str, str] = {}

    def check(self) -> str:
        """Make sure that Nova can be talked to; return the microversion."""
        return self._cloud.microversion

    def close(self) -> None:
        """Let go of the connections."""
        self._cloud.close()

    # Single servers and their migrations

    def server(self, uid: str) -> records.Server | None:
        """Return a server; None where there is none."""
        try:
            found = self._cloud.compute('GET', f'/servers/{uid}')
        except errors.NotFound:
            return None
        return documents.read_server(found['server'])

    def migrations(self, uid: str) -> list[records.Migration]:
        """Return all live migrations of a server, newest first.

        Those in post-copy are among them, unlike in the list below the
        server itself.
        """
        found = self._cloud.compute(
            'GET',
            '/os-migrations',
            params={'instance_uuid': uid, 'migration_type': 'live-migration'},
        )
        read = [documents.read_migration(one) for one in found['migrations']]
        return sorted(read, key=lambda one: one.id, reverse=True)

    def figures(self, uid: str, migration: int) -> records.Migration | None:
        """Return a migration under way with its figures.

        :returns: None where it is over, or in post-copy: Nova hides both
        """
        try:
            found = self._cloud.compute(
                'GET', f'/servers/{uid}/migrations/{migration}'
            )
        except errors.NotFound:
            return None
        return documents.read_migration(found['migration'])

    def live_migrate(self, uid: str, host: str) -> None:
        """Ask for a migration: accepted is not done."""
        self._cloud.compute(
            'POST',
            f'/servers/{uid}/action',
            json={'os-migrateLive': {'host': host, 'block_migration': 'auto'}},
        )

    def force_complete(self, uid: str, migration: int) -> None:
        """Have a migration switch now, by post-copy or by a pause."""
        self._cloud.compute(
            'POST',
            f'/servers/{uid}/migrations/{migration}/action',
            json={'force_complete': None},
        )

    def abort(self, uid: str, migration: int) -> None:
        """Have a migration end, and the server stay where it is."""
        self._cloud.compute('DELETE', f'/servers/{uid}/migrations/{migration}')

    def failure(self, uid: str) -> str:
        """Say why the latest live migration of a server failed.

        Nova shows the fault of a server only while that is in ERROR, and
        most that cannot be migrated run on. What its action has noted is
        shown always.

        :returns: empty where Nova does not tell
        """
        listed = self._cloud.compute(
            'GET', f'/servers/{uid}/os-instance-actions'
        )['instanceActions']
        latest = next(
            (one for one in listed if one.get('action') == _LIVE_MIGRATION),
            None,
        )
        if latest is None:
            return ''
        found = self._cloud.compute(
            'GET', f'/servers/{uid}/os-instance-actions/{latest["request_id"]}'
        )
        return documents.read_failure(found['instanceAction'])

    # Hosts

    def services(self) -> list[records.Compute]:
        """Return the services of all computes."""
        found = self._cloud.compute(
            'GET', '/os-services', params={'binary': 'nova-compute'}
        )
        return [documents.read_service(one) for one in found['services']]

    def service(self, host: str) -> records.Compute | None:
        """Return the service of one compute; None where there is none."""
        found = self._cloud.compute(
            'GET',
            '/os-services',
            params={'binary': 'nova-compute', 'host': host},
        )
        read = map(documents.read_service, found['services'])
        return next((one for one in read if one.name == host), None)

    def set_enabled(self, service_id: str, reason: str | None) -> None:
        """Let a compute get servers, or none.

        :param reason: why not; None to let it
        """
        body: dict[str, str] = {'status': 'enabled'}
        if reason is not None:
            body = {'status': 'disabled', 'disabled_reason': reason}
        self._cloud.compute('PUT', f'/os-services/{service_id}', json=body)

    def hypervisors(self) -> dict[str, records.Hypervisor]:
        """Return the hypervisor of each compute, by its name.

        A compute of several hypervisors (ironic) is left out.
        """
        found: dict[str, records.Hypervisor] = {}
        several: set[str] = set()
        for one in self._pages(
            '/os-hypervisors/detail', 'hypervisors', newest=_NO_UPTIME
        ):
            host = (one.get('service') or {}).get('host') or ''
            if host in found:
                several.add(host)
            found[host] = documents.read_hypervisor(one)
        for host in several:
            del found[host]
        self._providers = {host: one.provider for host, one in found.items()}
        return found

    def provider(self, host: str) -> str | None:
        """Return the resource provider of a compute; None for none.

        Thousands of hypervisors are not listed for the sake of one that the
        last list had.
        """
        if host not in self._providers:
            self.hypervisors()
        return self._providers.get(host)

    def aggregates(self) -> tuple[records.Aggregate, ...]:
        """Return all aggregates."""
        found = self._cloud.compute('GET', '/os-aggregates')
        return tuple(map(documents.read_aggregate, found['aggregates']))

    def groups(self) -> tuple[records.ServerGroup, ...]:
        """Return the server groups of all projects."""
        read: list[records.ServerGroup] = []
        while True:
            found = self._cloud.compute(
                'GET',
                '/os-server-groups',
                params={
                    'all_projects': 'true',
                    'limit': PAGE,
                    'offset': len(read),
                },
            )['server_groups']
            read.extend(map(documents.read_group, found))
            if len(found) < PAGE:
                return tuple(read)

    # Many servers

    def servers(
        self, changed_since: float | None = None
    ) -> collections.abc.Iterator[tuple[records.Server, bool]]:
        """Yield the servers of all projects, a page at a time.

        :param changed_since: seconds since the epoch; only those that
            changed since then, and those that were deleted
        :returns: each with whether it is there still
        """
        filters: dict[str, str] = {'all_tenants': 'true'}
        if changed_since is not None:
            moment = datetime.datetime.fromtimestamp(
                changed_since, datetime.UTC
            )
            filters['changes-since'] = moment.strftime('%Y-%m-%dT%H:%M:%SZ')
        for one in self._pages('/servers/detail', 'servers', filters):
            there = one.get('status') not in ('DELETED', 'SOFT_DELETED')
            yield documents.read_server(one), there

    def ports(
        self, uids: collections.abc.Sequence[str] = ()
    ) -> collections.abc.Iterator[records.Port]:
        """Yield the ports of all projects, a page at a time.

        :param uids: of servers; only their ports, empty for all
        """
        filters: dict[str, Any] = {
            'fields': ['id', 'device_id', 'binding:vnic_type']
        }
        if uids:
            filters['device_id'] = list(uids)
        ask = functools.partial(self._cloud.network, '/ports')
        yield from map(documents.read_port, _pages_of(ask, 'ports', filters))

    # Placement

    def generations(self) -> dict[str, int]:
        """Return how often each resource provider was changed."""
        found = self._cloud.placement('GET', '/resource_providers')
        return {
            one['uuid']: int(one['generation'])
            for one in found['resource_providers']
        }

    def inventories(self, provider: str) -> dict[str, records.Inventory]:
        """Return what a provider has, by resource class."""
        found = self._cloud.placement(
            'GET', f'/resource_providers/{provider}/inventories'
        )
        return {
            name: documents.read_inventory(one)
            for name, one in found['inventories'].items()
        }

    def holders(
        self, traits: collections.abc.Set[str]
    ) -> dict[str, frozenset[str]]:
        """Return which providers have each of *traits*.

        One question for each trait, not one for each provider: few traits
        are ever asked for.
        """
        if not traits:
            return {}
        listed = self._cloud.placement(
            'GET', '/traits', params={'name': f'in:{",".join(sorted(traits))}'}
        )
        # A provider cannot be asked for by a trait that there is not.
        there = traits & set(listed['traits'])
        return {
            trait: self._providers_with(trait) if trait in there else _NOBODY
            for trait in traits
        }

    def _providers_with(self, trait: str) -> frozenset[str]:
        found = self._cloud.placement(
            'GET', '/resource_providers', params={'required': trait}
        )
        return frozenset(one['uuid'] for one in found['resource_providers'])

    def is_candidate(
        self, provider: str, query: collections.abc.Mapping[str, str]
    ) -> bool:
        """Say whether Placement would let something into a provider.

        :param query: ``resources`` and ``required``, in Placement's words
        """
        found = self._cloud.placement(
            'GET',
            '/allocation_candidates',
            params={**query, 'in_tree': provider, 'limit': '1'},
        )
        return bool(found['allocation_requests'])

    def _pages(
        self,
        path: str,
        key: str,
        filters: collections.abc.Mapping[str, str] | None = None,
        newest: tuple[int, int] = session.NEWEST,
    ) -> collections.abc.Iterator[Any]:
        ask = functools.partial(self._cloud.compute, 'GET', path, newest)
        return _pages_of(ask, key, filters or {})


def _pages_of(
    ask: collections.abc.Callable[..., Any],
    key: str,
    filters: collections.abc.Mapping[str, Any],
) -> collections.abc.Iterator[Any]:
    """Yield the rows of a list, a page at a time.

    :param ask: returns the document of one page
    """
    marker = None
    while True:
        params = {**filters, 'limit': PAGE}
        if marker is not None:
            params['marker'] = marker
        found = ask(params=params)
        rows = found[key]
        yield from rows
        # Pages are cut by a limit of the service, too: the link counts.
        links = found.get(f'{key}_links') or ()
        if not rows or not any(one.get('rel') == 'next' for one in links):
            return
        marker = rows[-1]['id']
