"""Whether a move still makes sense when its turn comes.

Between the making of a plan and the turn of a move the fleet goes on: hosts
fall silent, instances are moved or deleted by others, loads change. A move
is held against the fleet as it is, by the same filters that allowed it.
"""

import collections.abc

import numpy as np

from kvm_balancer.filters import base as filter_base
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement
from kvm_balancer.model import plan as plans
from kvm_balancer.planner import admission

#: Loads are never quite what they were when the plan was made.
_DRIFT = 0.05


def objection(
    fleet: columns.Fleet,
    move: plans.Move,
    filters: collections.abc.Sequence[filter_base.Filter],
    in_flight: collections.abc.Iterable[placement.InFlight] = (),
) -> str:
    """Say why *move* is not to be made now; empty when it is.

    :param fleet: as it is now
    :param in_flight: migrations under way; they hold room on both ends
    :returns: one line for the operator, with the figures that decided
    """
    row = fleet.instance_row.get(move.instance)
    if row is None:
        return 'the instance is not in the fleet any more'
    where = fleet.hosts.name[fleet.instances.host[row]]
    if where != move.source:
        return f'the instance is on {where} now'
    if not fleet.instances.movable[row]:
        return 'the instance may not be moved now'
    destination = fleet.host_row.get(move.destination)
    if destination is None:
        return f'{move.destination} is not in the fleet any more'
    state = placement.Placement(fleet, in_flight)
    if state.in_flight[row]:
        return 'the instance is in a migration already'
    return _refused(state, filters, row, destination) or _pointless(
        state, row, destination, move
    )


def _refused(
    state: placement.Placement,
    filters: collections.abc.Sequence[filter_base.Filter],
    row: int,
    destination: int,
) -> str:
    asked = admission.Admission(state, filters)
    hosts = np.array((destination,), np.int32)
    if asked.allowed(np.array((row,), np.int32), hosts, wishes=False)[0, 0]:
        return ''
    name = state.fleet.hosts.name[destination]
    return f'{name} is refused: {asked.refusals(row, hosts)}'


def _pointless(
    state: placement.Placement, row: int, destination: int, move: plans.Move
) -> str:
    """Say so where the destination would end hotter than the source is.

    Unless the plan meant it to: one half of a swap does that, and so does
    whoever empties a host. What has to go, goes whatever the loads are.
    """
    hosts = state.fleet.hosts
    source = int(state.host[row])
    draining = hosts.state[source] == columns.HostState.DRAINING
    if draining or move.profile is plans.Profile.DRAIN:
        return ''
    usage = state.fleet.instances.cpu_usage[row]
    before = state.cores[source] / hosts.cpus[source]
    after = (state.cores[destination] + usage) / hosts.cpus[destination]
    meant = 0.0
    if move.load_gap is not None and move.load_gap > 0.0:
        meant = move.load_gap + _DRIFT
    if after - before <= meant:
        return ''
    return (
        f'{hosts.name[destination]} would be at {after:.2f} CPU, and '
        f'{hosts.name[source]} is at {before:.2f} by now'
    )
