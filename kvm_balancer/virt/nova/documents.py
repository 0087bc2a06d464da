"""JSON of Nova's API and its neighbours', read into records.

Pure. Keys that a cloud leaves out, by its policy or its age, are read as not
known; nothing here raises for what is merely missing.
"""

import collections.abc
from typing import Any

from kvm_balancer.messages import nova_time
from kvm_balancer.model.cloud import records

Document = collections.abc.Mapping[str, Any]

_ATTRIBUTE = 'OS-EXT-SRV-ATTR:'
_STATE = 'OS-EXT-STS:'
_MANY_LINES = 300


def read_server(one: Document) -> records.Server:
    """Read a server of ``/servers/detail``."""
    fault = one.get('fault') or {}
    return records.Server(
        id=one['id'],
        name=one.get('name') or one['id'],
        host=one.get(f'{_ATTRIBUTE}host') or '',
        status=one.get('status') or '',
        task_state=one.get(f'{_STATE}task_state') or '',
        power_state=_whole(one.get(f'{_STATE}power_state'), 0),
        locked=bool(one.get('locked')),
        project=one.get('tenant_id') or '',
        zone=one.get('OS-EXT-AZ:availability_zone') or '',
        # '' where none was asked for; no key where Nova is too old
        pinned_zone=(
            one['pinned_availability_zone'] or ''
            if 'pinned_availability_zone' in one
            else None
        ),
        image=_image(one.get('image')),
        from_volume=one.get('image') in ('', None),
        flavor=read_flavor(one.get('flavor') or {}),
        metadata=_pairs(one.get('metadata')),
        updated_at=one.get('updated') or '',
        fault=str(fault.get('message') or '')[:_MANY_LINES],
    )


def read_flavor(one: Document) -> records.Flavor:
    """Read the flavor that is embedded in a server."""
    return records.Flavor(
        name=one.get('original_name') or one.get('name') or '',
        vcpus=_whole(one.get('vcpus'), 1),
        memory_mib=_whole(one.get('ram'), 1),
        root_gib=_whole(one.get('disk'), 0),
        ephemeral_gib=_whole(
            one.get('ephemeral', one.get('OS-FLV-EXT-DATA:ephemeral')), 0
        ),
        swap_mib=_whole(one.get('swap'), 0),
        extra_specs=_pairs(one.get('extra_specs')),
    )


def _image(one: object) -> dict[str, str] | None:
    """Return the properties of an image; None where it tells none."""
    if not isinstance(one, collections.abc.Mapping):
        return None
    found = one.get('properties')
    return None if found is None else _pairs(found)


def read_migration(one: Document) -> records.Migration:
    """Read a record of ``/os-migrations`` or ``/servers/.../migrations``."""
    return records.Migration(
        id=int(one['id']),
        uuid=one.get('uuid') or '',
        instance=one.get('instance_uuid') or one.get('server_uuid') or '',
        status=one.get('status') or '',
        source=one.get('source_compute') or '',
        destination=one.get('dest_compute') or '',
        updated_at=one.get('updated_at') or '',
        created_at=nova_time.read(one.get('created_at')),
        memory_total=one.get('memory_total_bytes'),
        memory_processed=one.get('memory_processed_bytes'),
        memory_remaining=one.get('memory_remaining_bytes'),
        disk_total=one.get('disk_total_bytes'),
        disk_remaining=one.get('disk_remaining_bytes'),
    )


def read_failure(action: Document) -> str:
    """Read why an action failed, from what its events have noted.

    From 2.84 on they have details; before, an administrator is shown the
    traceback, of which the last line tells the same.
    """
    told: list[str] = []
    for event in action.get('events') or ():
        if event.get('result') != 'Error':
            continue
        lines = str(event.get('traceback') or '').strip().splitlines()
        said = str(event.get('details') or (lines[-1] if lines else ''))
        said = ' '.join(said.split())
        if said and said not in told:
            told.append(said)
    return '; '.join(told)[:_MANY_LINES]


def read_hypervisor(one: Document) -> records.Hypervisor:
    """Read a hypervisor of ``/os-hypervisors/detail``."""
    return records.Hypervisor(
        str(one['id']), _whole(one.get('hypervisor_version'), 0)
    )


def read_service(one: Document) -> records.Compute:
    """Read a service of ``/os-services?binary=nova-compute``."""
    return records.Compute(
        name=one['host'],
        service_id=str(one.get('id', '')),
        zone=one.get('zone') or '',
        enabled=one.get('status') == 'enabled',
        disabled_reason=one.get('disabled_reason') or '',
        up=one.get('state') == 'up',
        forced_down=bool(one.get('forced_down')),
    )


def read_aggregate(one: Document) -> records.Aggregate:
    """Read an aggregate of ``/os-aggregates``."""
    metadata = _pairs(one.get('metadata'))
    zone = one.get('availability_zone')
    if zone:
        metadata = {**metadata, 'availability_zone': zone}
    return records.Aggregate(
        name=one['name'],
        hosts=frozenset(one.get('hosts') or ()),
        metadata=metadata,
    )


def read_group(one: Document) -> records.ServerGroup:
    """Read a group of ``/os-server-groups``, of any microversion."""
    policies = one.get('policies') or []
    rules = one.get('rules') or {}
    return records.ServerGroup(
        id=one['id'],
        name=one.get('name') or one['id'],
        policy=one.get('policy') or (policies[0] if policies else ''),
        members=tuple(one.get('members') or ()),
        max_per_host=_whole(rules.get('max_server_per_host'), 1),
    )


def read_port(one: Document) -> records.Port:
    """Read a port of Neutron's ``/ports``."""
    return records.Port(
        one.get('device_id') or '', one.get('binding:vnic_type') or ''
    )


def read_inventory(one: Document) -> records.Inventory:
    """Read an inventory of Placement."""
    return records.Inventory(
        total=float(one.get('total', 0)),
        reserved=float(one.get('reserved', 0)),
        allocation_ratio=float(one.get('allocation_ratio', 1.0)),
    )


def _pairs(found: object) -> dict[str, str]:
    if not isinstance(found, collections.abc.Mapping):
        return {}
    return {str(name): str(value) for name, value in found.items()}


def _whole(value: object, default: int) -> int:
    """Read a whole number; Nova sends an empty string for no swap."""
    try:
        return int(value)  # type: ignore[call-overload, no-any-return]
    except (TypeError, ValueError):
        return default
