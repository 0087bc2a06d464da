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
from kvm_balancer.model import outcome
from kvm_balancer.policies import assignment
from kvm_balancer.policies import composition
from kvm_balancer.service import agent
from kvm_balancer.service import agent_rows
from kvm_balancer.service import cloud_samples
from kvm_balancer.service import cloud_watch
from kvm_balancer.service import computes
from kvm_balancer.service import explaining
from kvm_balancer.service import planning
from kvm_balancer.service import recovery
from kvm_balancer.store import migration_records
from kvm_balancer.store import store as stores


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

    def list_hosts(self) -> list[agent_rows.Row]:
        """Return the hosts and their load."""
        fleet = self._agent.fleet.snapshot()
        counts = fleet.sum_by_host(np.ones(len(fleet.instances)))
        known = self._agent.fleet.rules()
        nova = {} if known is None else known.cloud.computes
        return [
            {
                **agent_rows.of_host(fleet, row),
                'instances': int(counts[row]),
                'pressure_cpu': self._pressure(name),
                'nova': computes.said(nova.get(name)),
            }
            for row, name in enumerate(fleet.hosts.name)
        ]

    def list_instances(self, host: str | None = None) -> list[agent_rows.Row]:
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
            agent_rows.of_instance(fleet, row, whose, custody)
            for row, whose in zip(rows, held, strict=True)
        ]

    def list_plans(self, limit: int = 20) -> list[agent_rows.Row]:
        """Return the latest plans, newest first."""
        return [
            agent_rows.plain(one) for one in self._store.plans.latest(limit)
        ]

    def show_plan(self, plan_id: str) -> agent_rows.Row:
        """Return one plan: as it was made, and where its moves stand.

        :raises NotFound: when there is none of that id
        """
        kept = self._store.plans.get(plan_id)
        return {
            **agent_rows.plain(kept.summary),
            'moves': [agent_rows.plain(move) for move in kept.moves],
            'document': plan_document.to_builtins(kept.plan),
        }

    def make_plan(
        self,
        **asked: Any,
    ) -> agent_rows.Row:
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
    ) -> agent_rows.Row:
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
    ) -> list[agent_rows.Row]:
        """Return the latest migrations, newest first, without stories.

        :param limit: None for all
        :raises NotFound: when there is none, nor such an instance or host
        """
        found = self._store.migrations.latest(limit, unknown, instance, host)
        if not found:
            # One that is gone is still asked for by what it did.
            _refuse_unknown(self._agent.fleet.snapshot(), host, instance)
        return [self._migration(record, story=False) for record in found]

    def show_migration(self, migration_id: str) -> agent_rows.Row:
        """Return one migration with its story and its track.

        :raises NotFound: when there is none of that id
        """
        return self._migration(
            self._store.migrations.get(migration_id), story=True
        )

    def cancel_migration(
        self, migration_id: str, reason: str
    ) -> agent_rows.Row:
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
    ) -> agent_rows.Row:
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

    def status(self) -> agent_rows.Row:
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
                agent_rows.of_finding(one)
                for one in self._agent.decider.findings
            ],
        }

    def list_load(self, days: int = 7) -> list[str]:
        """Return the names of what is kept of the load of some days."""
        return self._agent.history.records(days, time.time())

    def show_load(self, name: str) -> agent_rows.Row:
        """Return one record of the load.

        :raises NotFound: when there is none of that name
        """
        return self._agent.history.record(name)

    def release_instance(self, instance: str) -> agent_rows.Row:
        """Let an instance that went round be moved again.

        :raises NotFound: when it is not held
        """
        if not self._agent.dispatcher.memory.release(instance):
            raise errors.NotFound(
                f'instance {instance!r} is not held: nothing is to be released'
            )
        return {'instance': instance, 'released': True}

    def export_fleet(self) -> agent_rows.Row:
        """Return the fleet document of the fleet as it is now."""
        document: agent_rows.Row = msgspec.json.decode(
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
    ) -> agent_rows.Row:
        row = agent_rows.plain(record)
        if not story:
            del row['story'], row['track']
        flight = self._agent.dispatcher.flights.get(record.id)
        row.update(agent_rows.of_progress(flight))
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
