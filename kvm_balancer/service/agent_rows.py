"""How the agent's answers show things: rows of plain types, a kind each.

The keys are what :mod:`kvm_balancer.cmd.agent_client` documents. Who asks
whom for what is shown is :mod:`.agent_api`'s.
"""

from typing import Any

import msgspec

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import observation
from kvm_balancer.policies import decision
from kvm_balancer.service import explaining
from kvm_balancer.service import flights
from kvm_balancer.store import migration_records
from kvm_balancer.store import plans as plan_store

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


def of_host(fleet: columns.Fleet, row: int) -> Row:
    """Return a host, and its load."""
    hosts = fleet.hosts
    return {
        'name': hosts.name[row],
        'state': columns.HostState(hosts.state[row]).name.lower(),
        'zone': fleet.zones[hosts.zone[row]],
        'cpus': float(hosts.cpus[row]),
        'cpu_load': float(fleet.cpu_load[row]),
        'memory_load': float(fleet.memory_load[row]),
        'sample_age_seconds': float(hosts.sample_age_seconds[row]),
        'silent': bool(hosts.silent[row]),
    }


def of_instance(
    fleet: columns.Fleet,
    row: int,
    held: observation.Custody | None,
    custody: explaining.Custody,
) -> Row:
    """Return an instance, where it is and what it uses.

    :param held: None where nothing is known of it
    :param custody: says why it stays
    """
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


def of_progress(flight: flights.Flight | None) -> Row:
    """Return what is known of a migration while it is under way."""
    row: Row = dict.fromkeys(_PROGRESS)
    if flight is None:
        return row
    if flight.told is not None:
        told = msgspec.to_builtins(flight.told)
        row.update((key, told[key]) for key in _PROGRESS)
    return {**row, 'state': flight.state}


def of_finding(one: decision.Finding) -> Row:
    """Return what a policy has found."""
    return {
        'policy': one.policy,
        'mood': str(one.mood),
        'text': one.text,
        'place': one.place,
    }


def plain(
    record: plan_store.PlanSummary
    | plan_store.MoveRecord
    | migration_records.MigrationRecord,
) -> Row:
    """Return a record of the store in plain types."""
    row: Row = msgspec.to_builtins(record)
    return row
