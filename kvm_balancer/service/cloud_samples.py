"""Samples of computes that have no executor, made of what others know.

Nova says which servers a compute has and how large they are, the sources of
metrics what is used. A compute whose CPU usage nobody knows gets no sample:
it stays silent, and is left alone. A server whose usage nobody knows counts
in its host's overhead, and is not moved.
"""

import collections.abc
import dataclasses
import logging
import math
import time
import uuid

from kvm_balancer import errors
from kvm_balancer.metrics import base
from kvm_balancer.model import owners
from kvm_balancer.model import sample
from kvm_balancer.model.cloud import demand
from kvm_balancer.model.cloud import records
from kvm_balancer.service import background
from kvm_balancer.service import watch

LOG = logging.getLogger(__name__)

#: The driver that facts of such hosts name.
DRIVER = 'nova'
#: A source of metrics may take longer than anybody waits for its end.
_PATIENCE_SECONDS = 30.0


@dataclasses.dataclass(frozen=True, slots=True)
class Coverage:
    """Of how many computes and servers one source tells the CPU usage.

    :ivar hosts: of computes that have no executor
    :ivar hosts_missing: those that it tells nothing of
    :ivar instances: of servers on those computes
    :ivar instances_missing: those that it tells nothing of
    :ivar trouble: why it did not answer; empty where it did
    """

    source: str
    hosts: int
    hosts_missing: int
    instances: int
    instances_missing: int
    trouble: str = ''


@dataclasses.dataclass(frozen=True, slots=True)
class Missing:
    """What no source knows.

    :ivar hosts: names of computes that could not be judged for it
    :ivar instances: uuids of servers that are not moved for it
    :ivar sources: what each source tells, in the order they are asked
    """

    hosts: tuple[str, ...] = ()
    instances: tuple[str, ...] = ()
    sources: tuple[Coverage, ...] = ()


class CloudSamples:
    """Makes samples at intervals, in a thread of its own.

    :param cloud: returns what is known of the cloud
    """

    def __init__(
        self,
        sources: collections.abc.Sequence[base.MetricSource],
        cloud: collections.abc.Callable[[], records.Cloud],
        fleet: watch.FleetWatch,
        interval_seconds: float,
        max_migrations: int = 1,
        clock: collections.abc.Callable[[], float] = time.time,
    ) -> None:
        self._sources = tuple(sources)
        self._cloud = cloud
        self._fleet = fleet
        self._interval_seconds = interval_seconds
        self._max_migrations = max_migrations
        self._clock = clock
        self._boot = uuid.uuid4().hex
        self._sequence = 0
        self._troubles: dict[str, str] = {}
        self.missing = Missing()
        self._background = background.Background(
            'cloud-samples', self._run, _PATIENCE_SECONDS
        )

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._background.start()

    def stop(self) -> None:
        """End after what is being asked."""
        self._background.stop()
        for one in self._sources:
            one.close()

    def look(self) -> None:
        """Ask the sources, and hand samples to the fleet."""
        now = self._clock()
        told = self._ask(now)
        figures = base.merged(told.values())
        cloud = self._cloud()
        on: dict[str, list[records.Server]] = {}
        for server in cloud.servers.values():
            on.setdefault(server.host, []).append(server)
        self._sequence += 1
        made: list[sample.Sample] = []
        blind: list[str] = []
        watched = [
            one
            for one in cloud.computes.values()
            if one.up and not self._has_executor(one.name)
        ]
        for compute in watched:
            found = figures.hosts.get(compute.name)
            one = self._sample(
                compute, found, figures, on.get(compute.name, ()), now
            )
            if one is None:
                blind.append(compute.name)
            else:
                made.append(one)
        self._fleet.take_readings(made)
        hosts = [one.name for one in watched]
        servers = [one.id for host in hosts for one in on.get(host, ())]
        covered = [
            self._coverage(name, one, hosts, servers)
            for name, one in told.items()
        ]
        self._note_missing(made, blind, covered)

    def _ask(self, now: float) -> dict[str, base.Figures]:
        """Return what each source tells, in their order."""
        found: dict[str, base.Figures] = {}
        for one in self._sources:
            trouble = ''
            found[one.name] = base.Figures()
            try:
                found[one.name] = one.read(now)
            except errors.KVMBalancerError as error:
                trouble = str(error)
            except Exception as error:
                # A plugin of others may raise anything; it costs only itself.
                trouble = f'{type(error).__name__}: {error}'
            if trouble and trouble != self._troubles.get(one.name):
                LOG.error('Metric source %s: %s', one.name, trouble)
            self._troubles[one.name] = trouble
        return found

    def _coverage(
        self,
        source: str,
        told: base.Figures,
        hosts: collections.abc.Sequence[str],
        servers: collections.abc.Sequence[str],
    ) -> Coverage:
        no_host, no_server = base.HostFigures(), base.InstanceFigures()
        return Coverage(
            source=source,
            hosts=len(hosts),
            hosts_missing=sum(
                told.hosts.get(one, no_host).cpu_share is None for one in hosts
            ),
            instances=len(servers),
            instances_missing=sum(
                told.instances.get(one, no_server).cpu_usage is None
                for one in servers
            ),
            trouble=self._troubles.get(source, ''),
        )

    def _has_executor(self, host: str) -> bool:
        try:
            seen = self._fleet.host(host)
        except errors.NotFound:
            return False
        return seen.facts.driver != DRIVER and not seen.silent

    def _sample(
        self,
        compute: records.Compute,
        found: base.HostFigures | None,
        figures: base.Figures,
        servers: collections.abc.Sequence[records.Server],
        now: float,
    ) -> sample.Sample | None:
        cpus = compute.inventories.get(demand.VCPU)
        memory = compute.inventories.get(demand.MEMORY_MB)
        if (
            found is None
            or found.cpu_share is None
            or cpus is None
            or memory is None
        ):
            return None
        pinned = compute.inventories.get(demand.PCPU)
        cores = cpus.total + (pinned.total if pinned else 0.0)
        instances = _instances(servers, figures)
        used = found.cpu_share * cores
        known = sum(n for n in instances.cpu_usage if math.isfinite(n))
        allocated = sum(instances.memory_mib)
        free = found.memory_free_mib
        return sample.Sample(
            host=compute.name,
            boot=self._boot,
            sequence=self._sequence,
            taken_at=now,
            interval_seconds=self._interval_seconds,
            facts=self._facts(compute, cores, memory),
            usage=sample.HostUsage(
                cpu_usage=used,
                cpu_overhead=max(used - known, 0.0),
                memory_free_mib=(
                    max(memory.total - allocated, 0.0)
                    if free is None
                    else free
                ),
                memory_allocated_mib=allocated,
                memory_used_mib=(
                    None if free is None else max(memory.total - free, 0.0)
                ),
            ),
            instances=instances,
        )

    def _facts(
        self,
        compute: records.Compute,
        cores: float,
        memory: records.Inventory,
    ) -> sample.HostFacts:
        disk = compute.inventories.get(demand.DISK_GB)
        return sample.HostFacts(
            cpus=cores,
            memory_mib=memory.total,
            memory_reserved_mib=memory.reserved,
            disk_gib=disk.total if disk else 0.0,
            cpu_allocation_ratio=compute.inventories[
                demand.VCPU
            ].allocation_ratio,
            memory_allocation_ratio=memory.allocation_ratio,
            disk_allocation_ratio=disk.allocation_ratio if disk else 1.0,
            max_incoming=self._max_migrations,
            max_outgoing=self._max_migrations,
            zone=compute.zone,
            driver=DRIVER,
        )

    def _note_missing(
        self,
        made: list[sample.Sample],
        blind: list[str],
        covered: list[Coverage],
    ) -> None:
        unknown = tuple(
            uid
            for one in made
            for uid, used in zip(
                one.instances.id, one.instances.cpu_usage, strict=True
            )
            if not math.isfinite(used)
        )
        found = Missing(tuple(sorted(blind)), unknown, tuple(covered))
        if found.hosts != self.missing.hosts and found.hosts:
            LOG.warning(
                'No metric source tells the CPU usage of %s: left alone',
                ', '.join(found.hosts),
            )
        if bool(unknown) != bool(self.missing.instances):
            LOG.warning(
                'No metric source tells the CPU usage of %d servers: they '
                'are not moved',
                len(unknown),
            )
        self.missing = found

    def _run(self) -> None:
        while self._background.pause(self._interval_seconds):
            try:
                self.look()
            except Exception:
                # One that has ended makes every compute look silent.
                LOG.exception('Samples of the cloud failed')


def _instances(
    servers: collections.abc.Sequence[records.Server], figures: base.Figures
) -> sample.InstanceUsages:
    """Return the servers of one compute as columns; NaN is not known."""
    nothing = base.InstanceFigures()
    found = [figures.instances.get(one.id, nothing) for one in servers]
    return sample.InstanceUsages(
        id=tuple(one.id for one in servers),
        name=tuple(one.name for one in servers),
        owner=(owners.Owner.NOVA,) * len(servers),
        state=tuple(map(_state, servers)),
        vcpus=tuple(float(one.flavor.vcpus) for one in servers),
        memory_mib=tuple(float(one.flavor.memory_mib) for one in servers),
        disk_gib=tuple(_disk(one) for one in servers),
        cpu_usage=tuple(
            math.nan if one.cpu_usage is None else one.cpu_usage
            for one in found
        ),
        cpu_steal=(0.0,) * len(servers),
        memory_usage_mib=tuple(one.memory_usage_mib or 0.0 for one in found),
    )


def _disk(server: records.Server) -> float:
    resources = dict(demand.of_server(server).resources)
    return float(resources.get(demand.DISK_GB, 0))


def _state(server: records.Server) -> str:
    if server.task_state == 'migrating':
        return 'outgoing'
    if server.status == 'ACTIVE':
        return 'running'
    return 'paused' if server.status == 'PAUSED' else 'other'
