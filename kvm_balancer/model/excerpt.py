"""A part of a fleet as a fleet of its own: some hosts, and what they run."""

import collections.abc
import dataclasses
import itertools
from typing import Any

import numpy as np

from kvm_balancer.model import fleet as columns


def of_hosts(fleet: columns.Fleet, hosts: columns.Bools) -> columns.Fleet:
    """Return *hosts* with their instances, and the groups of those.

    Names of zones, aggregates and groups keep their numbers.

    :param hosts: shape ``(hosts,)``; where it is all of them, *fleet* itself
        is returned
    """
    if hosts.all():
        return fleet
    kept: columns.Bools = hosts[fleet.instances.host]
    number = (np.cumsum(hosts) - 1).astype(np.int32)
    row = (np.cumsum(kept) - 1).astype(np.int32)
    groups = fleet.groups
    member: columns.Bools = kept[groups.member_instance]
    instances = columns.Instances(**_picked(fleet.instances, kept))
    return dataclasses.replace(
        fleet,
        hosts=columns.Hosts(**_picked(fleet.hosts, hosts)),
        instances=dataclasses.replace(instances, host=number[instances.host]),
        groups=dataclasses.replace(
            groups,
            member_instance=row[groups.member_instance[member]],
            member_group=groups.member_group[member],
        ),
    )


def _picked(
    table: columns.Hosts | columns.Instances, rows: columns.Bools
) -> dict[str, Any]:
    """Return the columns of *table* with some rows alone."""
    return {
        field.name: _some(getattr(table, field.name), rows)
        for field in dataclasses.fields(table)
    }


def _some(column: Any, rows: columns.Bools) -> Any:
    if isinstance(column, collections.abc.Sequence):
        return tuple(itertools.compress(column, rows.tolist()))
    return column[rows]
