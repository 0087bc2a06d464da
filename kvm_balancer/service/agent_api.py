"""What the agent answers to the command line: rows of plain types.

Every public method is an RPC method, called with keyword arguments; the
names and keys are what :mod:`kvm_balancer.cmd.agent_client` documents.
"""

import collections.abc
import dataclasses
import time
from typing import Any

import msgspec
import numpy as np
from oslo_config import cfg

from kvm_balancer import errors
from kvm_balancer.messages import explanation_document
from kvm_balancer.messages import fleet_document
from kvm_balancer.messages import migration as messages
from kvm_balancer.messages import plan_document
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import observation
from kvm_balancer.model import outcome
from kvm_balancer.policies import assignment
from kvm_balancer.policies import composition
from kvm_balancer.policies import decision
from kvm_balancer.service import agent
from kvm_balancer.service import cloud_samples
from kvm_balancer.service import cloud_watch
from kvm_balancer.service import computes
from kvm_balancer.service import explaining
from kvm_balancer.service import flights
from kvm_balancer.service import planning
from kvm_balancer.service import recovery
from kvm_balancer.store import migration_records
from kvm_balancer.store import plans as plan_store
from kvm_balancer.store import store as stores

Row = dict[str, Any]

#: What the last report of a migration that is under way has told.
_PROGRESS = (
    'statistics',
    'remaining_seconds',
    'expected_downtime_ms',
    'downtime_limit_ms',
    'decision',
    'text',
)


class AgentApi:
    """Questions to the agent, and the few wishes that it grants."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        worker: agent.Agent,
        store: stores.Store,
        missing: collections.abc.Callable[
            [], cloud_samples.Missing
        ] = cloud_samples.Missing,
        of_nova: collections.abc.Callable[
            [], cloud_watch.Knowledge | None
        ] = lambda: None,
    ) -> None:
        self._missing = missing
        self._of_nova = of_nova
        self._conf = conf
        self._agent = worker
        self._store = store
        self._started_at = time.time()

    def methods(self) -> dict[str, collections.abc.Callable[..., Any]]:
        """Return what may be called, by name."""
        return {
            method.__name__: method
            for method in (
                self.list_hosts,
                self.list_instances,
                self.list_plans,
                self.show_plan,
                self.make_plan,
                self.explain,
                self.list_migrations,
                self.show_migration,
                self.cancel_migration,
                self.settle_migration,
                self.status,
                self.export_fleet,
                self.release_instance,
                self.list_load,
                self.show_load,
            )
        }

    def list_hosts(self) -> list[Row]:
        """Return the hosts and their load."""
        fleet = self._agent.fleet.snapshot()
        counts = fleet.sum_by_host(np.ones(len(fleet.instances)))
        known = self._agent.fleet.rules()
        nova = {} if known is None else known.cloud.computes
        return [
            {
                'name': name,
                'state': columns.HostState(
                    fleet.hosts.state[row]
                ).name.lower(),
                'zone': fleet.zones[fleet.hosts.zone[row]],
                'cpus': float(fleet.hosts.cpus[row]),
                'cpu_load': float(fleet.cpu_load[row]),
                'memory_load': float(fleet.memory_load[row]),
                'instances': int(counts[row]),
                'sample_age_seconds': float(
                    fleet.hosts.sample_age_seconds[row]
                ),
                'silent': bool(fleet.hosts.silent[row]),
                'pressure_cpu': self._pressure(name),
                'nova': computes.said(nova.get(name)),
            }
            for row, name in enumerate(fleet.hosts.name)
        ]

    def list_instances(self, host: str | None = None) -> list[Row]:
        """Return the instances, all or those of one host.

        :raises NotFound: when there is no such host
        """
        fleet = self._agent.fleet.snapshot()
        if host is not None:
            _refuse_unknown(fleet, host)
        rows: collections.abc.Sequence[int] = (
            range(len(fleet.instances))
            if host is None
            else np.flatnonzero(
                fleet.instances.host == fleet.host_row[host]
            ).tolist()
        )
        held = self._agent.fleet.custodies(
            fleet.instances.id[row] for row in rows
        )
        custody = explaining.Custody(self._agent.fleet)
        return [
            _instance(fleet, row, whose, custody)
            for row, whose in zip(rows, held, strict=True)
        ]

    def list_plans(self, limit: int = 20) -> list[Row]:
        """Return the latest plans, newest first."""
        return [_plain(one) for one in self._store.plans.latest(limit)]

    def show_plan(self, plan_id: str) -> Row:
        """Return one plan: as it was made, and where its moves stand.

        :raises NotFound: when there is none of that id
        """
        kept = self._store.plans.get(plan_id)
        return {
            **_plain(kept.summary),
            'moves': [_plain(move) for move in kept.moves],
            'document': plan_document.to_builtins(kept.plan),
        }

    def make_plan(
        self,
        **asked: Any,
    ) -> Row:
        """Plan now, and show what would be done; nothing is kept or moved.

        :param asked: see :class:`.planning.Wanted`
        :raises PluginError: when there is no such policy
        """
        fleet = self._agent.fleet.snapshot()
        wanted = _wanted(asked)
        context = self._agent.decider.context(
            self._agent.surroundings(fleet), wanted
        )
        made = composition.propose_parts(
            self._agent.decider.credits.applied(
                wanted.parts(self._conf, fleet)
            ),
            fleet,
            context,
        )
        warnings = (*made.warnings, *wanted.misplaced(self._conf, fleet))
        return plan_document.to_builtins(
            dataclasses.replace(made, warnings=warnings)
        )

    def explain(
        self,
        subject: str,
        plan_id: str | None = None,
        **asked: Any,
    ) -> Row:
        """Say why a plan, an instance or a host is as it is.

        :param plan_id: of the plan that has to do with it; None for one
            that is made now
        :param asked: of that one; see :class:`.planning.Wanted`
        :raises NotFound: when there is no such host, instance or plan
        """
        fleet = self._agent.fleet.snapshot()
        wanted = _wanted(asked)
        parts = self._agent.decider.credits.applied(
            wanted.parts(self._conf, fleet)
        )
        context = dataclasses.replace(
            self._agent.decider.context(
                self._agent.surroundings(fleet), wanted
            ),
            unattended=assignment.unattended(parts, fleet),
        )
        found = explaining.explain(
            subject,
            plan_id,
            fleet,
            context,
            self._store.plans,
            lambda: composition.propose_parts(parts, fleet, context),
            explaining.Custody(self._agent.fleet),
            asked,
        )
        return explanation_document.to_builtins(found)

    def list_migrations(
        self,
        unknown: bool = False,
        instance: str | None = None,
        host: str | None = None,
        limit: int | None = 20,
    ) -> list[Row]:
        """Return the latest migrations, newest first, without stories.

        :param limit: None for all
        :raises NotFound: when there is none, nor such an instance or host
        """
        found = self._store.migrations.latest(limit, unknown, instance, host)
        if not found:
            # One that is gone is still asked for by what it did.
            _refuse_unknown(self._agent.fleet.snapshot(), host, instance)
        return [self._migration(record, story=False) for record in found]

    def show_migration(self, migration_id: str) -> Row:
        """Return one migration with its story and its track.

        :raises NotFound: when there is none of that id
        """
        return self._migration(
            self._store.migrations.get(migration_id), story=True
        )

    def cancel_migration(self, migration_id: str, reason: str) -> Row:
        """Ask for the end of a migration.

        :raises NotFound: when it is not under way
        """
        known = self._store.migrations.get(migration_id)
        if known.outcome not in (None, outcome.OutcomeKind.UNKNOWN):
            raise errors.NotFound(
                f'migration {known.id} is over: {known.outcome}'
            )
        state = self._agent.dispatcher.commands.cancel(known.id, reason)
        return {'id': known.id, 'asked': True, 'state': state}

    def settle_migration(
        self, migration_id: str, completed: bool, reason: str
    ) -> Row:
        """Keep a person's word on how a migration ended that is unknown.

        Of one that has ended just so, what it has left of marks is taken off.

        :param reason: who says so, and why
        :raises NotFound: when there is none of that id
        :raises MigrationError: when it is not unknown, or its executor knows
            more than that
        """
        known = self._store.migrations.get(migration_id)
        wish = messages.Settle(known.id, completed, reason)
        if known.outcome not in (outcome.OutcomeKind.UNKNOWN, wish.outcome):
            told = 'under way' if known.outcome is None else known.outcome
            raise errors.MigrationError(
                f'migration {known.id} is {told}: only one that is unknown is '
                'settled by hand'
            )
        state = self._agent.dispatcher.commands.settle(
            recovery.request_of(known), wish
        )
        return {'id': known.id, 'state': state}

    def status(self) -> Row:
        """Return what the agent is doing."""
        accepted, refused = self._agent.fleet.counts()
        missing, nova = self._missing(), self._of_nova()
        fleet = self._agent.fleet.snapshot()
        memory = self._agent.dispatcher.memory
        return {
            'mode': str(self._agent.mode),
            'up_seconds': time.time() - self._started_at,
            'hosts': len(fleet.hosts),
            'silent_hosts': int(fleet.hosts.silent.sum()),
            'instances': len(fleet.instances),
            'samples_accepted': accepted,
            'samples_refused': dict(refused),
            'nova': None if nova is None else dataclasses.asdict(nova),
            'hosts_without_metrics': list(missing.hosts),
            'instances_without_metrics': len(missing.instances),
            'metric_sources': [
                dataclasses.asdict(one) for one in missing.sources
            ],
            'migrations': len(self._agent.dispatcher.flights.all()),
            'held': [
                {'instance': name, 'host': one.host, 'since': one.since}
                for name, one in memory.held().items()
            ],
            'moved_by_others': memory.moved_by_others(time.time()),
            'trouble': memory.trouble(time.time()),
            'policies': [
                _finding(one) for one in self._agent.decider.findings
            ],
        }

    def list_load(self, days: int = 7) -> list[str]:
        """Return the names of what is kept of the load of some days."""
        return self._agent.history.records(days, time.time())

    def show_load(self, name: str) -> Row:
        """Return one record of the load.

        :raises NotFound: when there is none of that name
        """
        return self._agent.history.record(name)

    def release_instance(self, instance: str) -> Row:
        """Let an instance that went round be moved again.

        :raises NotFound: when it is not held
        """
        if not self._agent.dispatcher.memory.release(instance):
            raise errors.NotFound(
                f'instance {instance!r} is not held: nothing is to be released'
            )
        return {'instance': instance, 'released': True}

    def export_fleet(self) -> Row:
        """Return the fleet document of the fleet as it is now."""
        document: Row = msgspec.json.decode(
            fleet_document.encode(self._agent.fleet.snapshot())
        )
        return document

    def _pressure(self, host: str) -> float | None:
        try:
            return self._agent.fleet.host(host).usage.pressure.cpu_some
        except errors.NotFound:
            # It was forgotten since the snapshot.
            return None

    def _migration(
        self, record: migration_records.MigrationRecord, story: bool
    ) -> Row:
        row = _plain(record)
        if not story:
            del row['story'], row['track']
        flight = self._agent.dispatcher.flights.get(record.id)
        row.update(_progress(flight))
        if story and flight is not None:
            row['track'] = msgspec.to_builtins(
                self._agent.dispatcher.flights.track(record.id)
            )
        return row


def _wanted(asked: dict[str, Any]) -> planning.Wanted:
    """Return what a plan is asked for.

    :raises ConfigurationError: when it is something nobody knows here
    """
    known = planning.Wanted.__dataclass_fields__
    unknown = ', '.join(sorted(asked.keys() - known.keys()))
    if unknown:
        raise errors.ConfigurationError(
            f'the agent knows no {unknown} of plans: it may be of an older '
            'release'
        )
    return planning.Wanted(**asked)


def _refuse_unknown(
    fleet: columns.Fleet, host: str | None, instance: str | None = None
) -> None:
    """Raise NotFound for a host or an instance that the fleet has not."""
    if host is not None and host not in fleet.host_row:
        raise errors.NotFound(
            f'there is no host {host}; see kvm-balancer hosts'
        )
    if instance is not None and instance not in fleet.instance_row:
        raise errors.NotFound(
            f'there is no instance {instance}; see kvm-balancer instances'
        )


def _instance(
    fleet: columns.Fleet,
    row: int,
    held: observation.Custody | None,
    custody: explaining.Custody,
) -> Row:
    instances = fleet.instances
    movable = bool(instances.movable[row])
    return {
        'id': instances.id[row],
        'name': instances.name[row],
        'host': fleet.hosts.name[instances.host[row]],
        # It was forgotten since the snapshot where nothing is known.
        'owner': held.owner if held else None,
        'state': held.state if held else None,
        'vcpus': float(instances.vcpus[row]),
        'memory_mib': float(instances.memory_mib[row]),
        'cpu_usage': float(instances.cpu_usage[row]),
        # A guest that runs dirties something: 0 was never measured.
        'dirty_rate_mib_s': float(instances.dirty_rate_mib_s[row]) or None,
        'movable': movable,
        'stays': None if movable else custody.of(instances.id[row], held),
    }


def _progress(flight: flights.Flight | None) -> Row:
    """Return what is known of a migration while it is under way."""
    row: Row = dict.fromkeys(_PROGRESS)
    if flight is None:
        return row
    if flight.told is not None:
        told = msgspec.to_builtins(flight.told)
        row.update((key, told[key]) for key in _PROGRESS)
    return {**row, 'state': flight.state}


def _finding(one: decision.Finding) -> Row:
    return {
        'policy': one.policy,
        'mood': str(one.mood),
        'text': one.text,
        'place': one.place,
    }


def _plain(
    record: plan_store.PlanSummary
    | plan_store.MoveRecord
    | migration_records.MigrationRecord,
) -> Row:
    row: Row = msgspec.to_builtins(record)
    return row
