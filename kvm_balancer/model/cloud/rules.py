"""What keeps a server where it is, and where else it may go.

Rules that cannot be read off the API are not guessed: a server that asks for
something whose room on another host nobody can tell is left alone, and it is
said why.

Where a server may go is told by labels. A label names a demand, as
``trait HW_CPU_X86_AVX2``, and stands for the hosts that meet it; a server
needs hosts with all of its labels. Hosts carry the names of their aggregates
besides.
"""

import collections.abc
import dataclasses
import functools

from kvm_balancer.model.cloud import bonds
from kvm_balancer.model.cloud import demand
from kvm_balancer.model.cloud import records

#: Metadata of servers, aggregates and extra specs of flavors that is ours.
PREFIX = 'kvm_balancer:'
MANAGE = 'manage'

#: States in which Nova migrates a server live.
MOVABLE = frozenset({'ACTIVE', 'PAUSED'})

_AGGREGATE_SPEC = 'aggregate_instance_extra_specs:'
_TENANT = 'filter_tenant_id'
_NO = frozenset({'false', '0', 'no', 'off'})
_OPERATORS = ('<', '=', '!', 's=', 's!', 's<', 's>', '>')


@dataclasses.dataclass(frozen=True, slots=True)
class Params:
    """What the operator allows.

    :ivar move_pinned: Nova finds room for pinned CPUs, NUMA nodes and huge
        pages by itself: the planner cannot tell it from outside
    :ivar move_sriov: likewise for network ports that are devices
    """

    move_pinned: bool = False
    move_sriov: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Terms:
    """What follows for one server.

    :ivar hindrance: why it is not moved; empty where it may be
    :ivar labels: what its hosts have to carry
    :ivar asks: what it, its flavor and its aggregates ask of migrations
    """

    hindrance: str = ''
    labels: frozenset[str] = frozenset()
    asks: tuple[tuple[str, str], ...] = ()


class Rules:
    """The rules of one cloud at one moment."""

    def __init__(
        self, cloud: records.Cloud, params: Params | None = None
    ) -> None:
        self.cloud = cloud
        self._params = params or Params()
        self._terms: dict[str, Terms] = {}
        self._flavors: dict[tuple[object, ...], Terms] = {}
        #: hosts by the label that they carry
        self.carriers: dict[str, frozenset[str]] = {}
        self._groups = {
            member: group for group in cloud.groups for member in group.members
        }

    def terms(self, uid: str) -> Terms | None:
        """Return what follows for a server; None where Nova has none."""
        server = self.cloud.servers.get(uid)
        if server is None:
            return None
        found = self._terms.get(uid)
        if found is None:
            found = self._terms[uid] = self._of(server)
        return found

    def _of(self, server: records.Server) -> Terms:
        key = (
            server.flavor.name,
            tuple(sorted(server.flavor.extra_specs.items())),
            server.project,
            server.pinned_zone,
            tuple(sorted((server.image or {}).items())),
            server.from_volume,
            server.device_ports,
        )
        shared = self._flavors.get(key)
        if shared is None:
            shared = self._flavors[key] = self._of_kind(server)
        hindrance = self._busy(server) or shared.hindrance
        hindrance = hindrance or self._affinity(server)
        hindrance = hindrance or self._declined(server)
        labels = shared.labels | self._version_label(server)
        return Terms(hindrance, labels, self._asks(server))

    # Why not at all

    def _busy(self, server: records.Server) -> str:
        if server.status not in MOVABLE:
            return f'it is {server.status} in Nova'
        if server.task_state:
            return f'Nova is busy with it: {server.task_state}'
        if server.locked:
            return 'it is locked in Nova'
        compute = self.cloud.computes.get(server.host)
        if compute is None:
            return f'Nova has no compute {server.host or "for it"}'
        if compute.forced_down:
            return f'nova-compute on {server.host} is forced down'
        if not compute.up:
            return f'nova-compute on {server.host} is down'
        return ''

    def _affinity(self, server: records.Server) -> str:
        """Nova refuses to tear a group apart, and moves one at a time."""
        group = self._groups.get(server.id)
        if group is None or group.policy != 'affinity':
            return ''
        others = [
            one
            for one in group.members
            if one != server.id and one in self.cloud.servers
        ]
        if not others:
            return ''
        return (
            f'it is in the affinity group {group.name} with {len(others)} '
            'others, and Nova cannot move its members one by one'
        )

    def _declined(self, server: records.Server) -> str:
        for where, pairs in self._said(server):
            if pairs.get(PREFIX + MANAGE, '').strip().lower() in _NO:
                return f'{where} says {PREFIX}{MANAGE}=false'
        return ''

    def _said(
        self, server: records.Server
    ) -> collections.abc.Iterator[tuple[str, records.Pairs]]:
        """Yield whose metadata counts, the most general first."""
        for one in self._aggregates_of.get(server.host, ()):
            yield f'its aggregate {one.name}', one.metadata
        yield f'its flavor {server.flavor.name}', server.flavor.extra_specs
        yield 'its metadata', server.metadata

    @functools.cached_property
    def _aggregates_of(self) -> dict[str, list[records.Aggregate]]:
        found: dict[str, list[records.Aggregate]] = {}
        for one in self.cloud.aggregates:
            for host in one.hosts:
                found.setdefault(host, []).append(one)
        return found

    def _asks(self, server: records.Server) -> tuple[tuple[str, str], ...]:
        asked: dict[str, str] = {}
        for _, pairs in self._said(server):
            for name, value in pairs.items():
                if name.startswith(PREFIX) and name != PREFIX + MANAGE:
                    asked[name.removeprefix(PREFIX)] = value
        return tuple(sorted(asked.items()))

    # Where else

    def _of_kind(self, server: records.Server) -> Terms:
        specs = server.flavor.extra_specs
        asked = demand.of_server(server)
        hindrance = self._bound(server, asked)
        labels = {self._trait_label(name) for name in asked.required}
        labels |= {self._trait_label(name, False) for name in asked.forbidden}
        for name, value in specs.items():
            if not name.startswith(_AGGREGATE_SPEC):
                continue
            if value.startswith(_OPERATORS) and not value.startswith('<or>'):
                hindrance = hindrance or (
                    f'its flavor asks for {name}={value}, which is not '
                    'understood here'
                )
                continue
            labels.add(
                self._spec_label(name.removeprefix(_AGGREGATE_SPEC), value)
            )
        if server.pinned_zone:
            zone = server.pinned_zone
            labels.add(
                self._label(f'zone {zone}', lambda one: one.zone == zone)
            )
        labels.update(self._tenant_label(server.project))
        labels.add(self._label('the computes of Nova', lambda one: True))
        return Terms(hindrance, frozenset(labels))

    def _bound(self, server: records.Server, asked: demand.Demand) -> str:
        bound = bonds.bond(server, asked)
        if not self._params.move_sriov:
            bound = bound or bonds.plugged(server)
        if not self._params.move_pinned:
            bound = bound or bonds.pinned(server, asked)
        return bound

    def _label(
        self,
        name: str,
        carries: collections.abc.Callable[[records.Compute], bool],
    ) -> str:
        if name not in self.carriers:
            self.carriers[name] = frozenset(
                host
                for host, compute in self.cloud.computes.items()
                if carries(compute)
            )
        return name

    def _trait_label(self, trait: str, wanted: bool = True) -> str:
        """Label hosts of whose traits it is known."""

        def carries(compute: records.Compute) -> bool:
            return compute.traits.get(trait) is wanted

        return self._label(
            f'trait {trait}' if wanted else f'no trait {trait}', carries
        )

    def _spec_label(self, key: str, value: str) -> str:
        """Label hosts as AggregateInstanceExtraSpecsFilter passes them."""
        wanted = {word.strip() for word in value.split('<or>') if word.strip()}

        def carries(compute: records.Compute) -> bool:
            found = {
                word.strip()
                for one in self._aggregates_of.get(compute.name, ())
                if key in one.metadata
                for word in one.metadata[key].split(',')
            }
            return bool(found & wanted)

        return self._label(f'{key}={value}', carries)

    def _version_label(self, server: records.Server) -> set[str]:
        """Label hosts whose hypervisor is no older than that of a server.

        Nova moves nothing live to an older one.
        """
        home = self.cloud.computes.get(server.host)
        least = 0 if home is None else home.hypervisor_version
        if least <= self._oldest:
            return set()
        return {
            self._label(
                f'a hypervisor of version {least} or newer',
                lambda one: one.hypervisor_version >= least,
            )
        }

    @functools.cached_property
    def _oldest(self) -> int:
        computes = self.cloud.computes.values()
        return min((one.hypervisor_version for one in computes), default=0)

    def _tenant_label(self, project: str) -> set[str]:
        """Label hosts as AggregateMultiTenancyIsolation passes them.

        A host that is kept for some projects takes no others.
        """
        kept = [one for one in self.cloud.aggregates if _tenants(one)]
        if not kept:
            return set()

        def carries(compute: records.Compute) -> bool:
            allowed = {
                tenant
                for one in self._aggregates_of.get(compute.name, ())
                for tenant in _tenants(one)
            }
            return not allowed or project in allowed

        return {self._label(f'open to project {project}', carries)}


def _tenants(one: records.Aggregate) -> set[str]:
    return {
        tenant.strip()
        for key, value in one.metadata.items()
        if key.startswith(_TENANT)
        for tenant in value.split(',')
        if tenant.strip()
    }
