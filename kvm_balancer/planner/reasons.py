"""The words of a plan: why this move, and why a host stays hot."""

import collections.abc
import dataclasses

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.planner import gauges
from kvm_balancer.planner import goals
from kvm_balancer.planner import workspace

#: loads that differ by less are the same to an operator
_EVEN = 0.005
#: different reasons that are told of hosts that are left alone
_NAMED = 3
#: share of the instances that is few
_FEW = 0.5
#: what is in use of a reading, and its digits
_UNITS = {
    gauges.Reading.CPU: ('cores', 2),
    gauges.Reading.MEMORY: ('MiB', 0),
    gauges.Reading.ALLOCATION: ('MiB', 0),
    gauges.Reading.STEAL: ('cores', 2),
    gauges.Reading.CPU_PRESSURE: ('cores', 2),
    gauges.Reading.MEMORY_PRESSURE: ('MiB', 0),
    gauges.Reading.IO_PRESSURE: ('MiB/s', 1),
}
#: hosts of a zone that a destination is compared with for every move
_MOST_COMPARED = 512


def amount(reading: gauges.Reading, used: float) -> str:
    """Say how much is in use of what a reading is of."""
    unit, digits = _UNITS[reading]
    return f'{used:.{digits}f} {unit}'


def standing(work: workspace.Workspace, unit: int, destination: int) -> str:
    """Say what a destination has before others, before the move is made.

    Nothing in a zone of very many hosts: to compare them all for every move
    would take longer than the plan.
    """
    hosts = work.neighbours(work.home(unit))
    if len(hosts) > _MOST_COMPARED:
        return ''
    return _compared(work, destination, len(hosts), _fit(work, unit, hosts))


def standing_if_open(
    work: workspace.Workspace, unit: int, destination: int
) -> str | None:
    """Say the same; None if *destination* does not take *unit* now.

    Both are one question to the filters, and that is what takes time.
    """
    hosts = work.neighbours(work.home(unit))
    if len(hosts) > _MOST_COMPARED:
        there = np.array((destination,), np.int32)
        return '' if len(_fit(work, unit, there)) else None
    fit = _fit(work, unit, hosts)
    if not (fit == destination).any():
        return None
    return _compared(work, destination, len(hosts), fit)


def _fit(
    work: workspace.Workspace, unit: int, hosts: columns.Ints
) -> columns.Ints:
    row = np.array((unit,), np.int32)
    found: columns.Ints = hosts[work.allowed(row, hosts)[0]]
    return found


def _compared(
    work: workspace.Workspace, destination: int, asked: int, fit: columns.Ints
) -> str:
    """Compare a destination with all that *fit*, out of so many asked."""
    if len(fit) <= 1:
        return f'the only one of {asked} that fits'
    load = work.state.cores[fit] / work.fleet.hosts.cpus[fit]
    mine = work.state.cores[destination] / work.fleet.hosts.cpus[destination]
    colder = int(np.count_nonzero(load < mine - _EVEN))
    if not colder:
        return f'the least loaded of {len(fit)} that fit'
    return f'the best placed of {len(fit)} that fit, {colder} less loaded'


@dataclasses.dataclass(frozen=True, slots=True)
class Eased:
    """What a move does to a reading of its source."""

    reading: gauges.Reading
    before: float
    after: float


def move(
    step: workspace.Step,
    hosts: columns.Hosts,
    before: collections.abc.Mapping[int, float],
    after: collections.abc.Mapping[int, float],
    together: int,
    eased: Eased | None = None,
) -> str:
    """Say what a move does to both of its ends.

    :param before: CPU load of both hosts before the step
    :param after: and after it
    :param together: instances of the same step
    :param eased: what it does to the reading of its source that it is made
        for, where that is not CPU
    """
    source, destination = step.source, step.destination
    unit = (
        f' with its affinity group ({together} instances)'
        if together > 1
        else ''
    )
    if eased is not None:
        text = (
            f'{hosts.name[source]} is at {eased.before:.2f} '
            f'{eased.reading.words}; this move{unit} takes it to '
            f'{eased.after:.2f}; CPU there goes {before[source]:.2f} -> '
            f'{after[source]:.2f}, of {hosts.name[destination]} '
            f'{before[destination]:.2f} -> {after[destination]:.2f}'
        )
        return f'{text}, {step.why}' if step.why else text
    text = (
        f'{hosts.name[source]} is at {before[source]:.2f} CPU; this move'
        f'{unit} takes it to {after[source]:.2f}; {hosts.name[destination]} '
        f'goes {before[destination]:.2f} -> {after[destination]:.2f}'
    )
    return f'{text}, {step.why}' if step.why else text


def stuck(work: workspace.Workspace, host: int, goal: goals.Goal) -> str:
    """Say why *host* stays over a limit, from the instance that weighs most.

    :param goal: whose limit it is over
    """
    closed = shut(work, host)
    if closed:
        return closed
    if work.spent:
        return limited(work)
    units = work.units_on(host)
    if not len(units):
        return 'none of its instances may be moved'
    excess = float(goal.excess(goal.limit.most)[host])
    if not np.isfinite(excess) or not goal.usage[units].any():
        return f'nothing is known of what its instances do to its {goal.name}'
    worthy = units[goal.worthy(host, units, excess)]
    if not len(worthy):
        return (
            'none of its moves is worth what it costs: it has '
            f'{amount(goal.limit.reading, excess)} too many in use; see '
            '[planner] eagerness'
        )
    return _nobody_takes(work, host, worthy, goal)


def _nobody_takes(
    work: workspace.Workspace,
    host: int,
    units: columns.Ints,
    goal: goals.Goal,
) -> str:
    """Say why nobody takes the one of *units* that weighs most."""
    fleet = work.fleet
    unit = int(units[np.argmax(goal.usage[units])])
    instance = int(work.units.of(unit)[0])
    hosts = work.destinations(host)
    if not len(hosts):
        return 'there is no other host that takes anything now'
    # An overload weighs more than a wish: that did not decide it.
    refused = work.admission.refusals(work.units.of(unit), hosts, wishes=False)
    zone = fleet.zones[fleet.hosts.zone[host]]
    where = f' of zone {zone}' if zone else ''
    hot = _takers(work, unit, hosts)
    parts = [refused] if refused else []
    if len(hot):
        parts.append(_too_hot(hot, goal))
    name = fleet.instances.name[instance]
    return (
        f'no host{where} takes {name}, the largest of the {len(units)} '
        f'instances that may leave: of {len(hosts)} hosts, '
        f'{", ".join(parts)}'
    )


def _too_hot(hosts: columns.Ints, goal: goals.Goal) -> str:
    """Say why *hosts*, that pass all filters, are no destinations."""
    count = len(hosts)
    if goal.limit.reading is gauges.Reading.CPU:
        return f'{count} would go over {goal.limit.text(hosts)} themselves'
    return f'{count} would go over a limit of [relieve] themselves'


def shut(work: workspace.Workspace, host: int) -> str:
    """Say why nothing may leave *host* now; empty where it may."""
    fleet, context = work.fleet, work.context
    if fleet.hosts.silent[host]:
        return 'it has gone silent: nobody knows what it runs now'
    if not fleet.hosts.max_outgoing[host]:
        return 'no migration may leave it (max_outgoing is 0)'
    if work.may_leave[host]:
        return ''
    closed = context.closed_zones.get(fleet.zones[fleet.hosts.zone[host]])
    if closed is not None:
        return closed
    if context.limits.spent and context.allowance is not None:
        return context.allowance.spent
    cooling = context.cooling_hosts
    if cooling is not None and cooling[host]:
        return 'it cools down after a move'
    return 'it is not looked after here'


def limited(work: workspace.Workspace) -> str:
    """Say what cut the plan short."""
    allowance, limits = work.context.allowance, work.context.limits
    if work.out_of_time and not work.limited:
        return 'the plan has reached its limit of time'
    of_budgets = allowance is not None and (
        limits.max_moves == allowance.moves or limits.max_mib == allowance.mib
    )
    left = ', which is what is left of [budgets]' if of_budgets else ''
    return f'the plan has reached its limit of moves or GiB{left}'


def left_alone(work: workspace.Workspace) -> str:
    """Say of how many hosts that are looked after nothing may leave, and why.

    Empty where that is so of none.
    """
    inside = np.flatnonzero(work.scope)
    alone = inside[~work.may_leave[inside]]
    if not len(alone):
        return ''
    why = dict.fromkeys(shut(work, host) for host in alone.tolist())
    named = '; '.join(list(why)[:_NAMED])
    return f'{len(alone)} of {len(inside)} hosts are left alone: {named}'


def withheld(fleet: columns.Fleet) -> str:
    """Say of how many instances no plan moves any; empty where of few."""
    movable = fleet.instances.movable
    kept, every = int(np.count_nonzero(~movable)), len(movable)
    if kept <= _FEW * every:
        return ''
    return (
        f'{kept} of {every} instances may not be moved, whatever that would '
        'bring; kvm-balancer explain INSTANCE says why one of them may not'
    )


def stays(work: workspace.Workspace, instance: int) -> str:
    """Say why *instance* is not moved, whoever would take it."""
    cooling = work.context.cooling_instances
    if work.state.in_flight[instance]:
        return 'it is in a migration already'
    own = work.pins.why(instance) or work.means.why(instance)
    if own:
        return own
    if not work.fleet.instances.movable[instance]:
        return 'it may not be moved'
    if cooling is not None and cooling[instance]:
        return 'it cools down after a migration'
    return (
        shut(work, int(work.state.host[instance]))
        or 'it may not be moved, or one of its affinity group may not'
    )


def unplaced(
    work: workspace.Workspace, unit: int, limit: float | None = None
) -> str:
    """Say why nobody takes *unit*, which should leave its host.

    :param limit: CPU load that destinations are not brought over
    """
    if work.out_of_time or not work.may_move(unit):
        return limited(work)
    fleet = work.fleet
    home = work.home(unit)
    hosts = work.neighbours(home)
    zone = fleet.zones[fleet.hosts.zone[home]]
    where = f' of zone {zone}' if zone else ''
    if not len(hosts):
        return f'there is no other host{where} that takes anything now'
    fit = len(_takers(work, unit, hosts))
    # What has to go passes over wishes where nobody grants them.
    refused = work.admission.refusals(work.units.of(unit), hosts, wishes=False)
    parts = [refused] if refused else []
    if fit and limit is not None:
        parts.append(f'{fit} would go over {limit:.2f} CPU')
    return f'of {len(hosts)} other hosts{where}, {", ".join(parts)}'


def _takers(
    work: workspace.Workspace, unit: int, hosts: columns.Ints
) -> columns.Ints:
    """Return the *hosts* that take *unit*, whatever is wished for."""
    row = np.array((unit,), np.int32)
    heeded, work.heeds_wishes = work.heeds_wishes, False
    fit: columns.Ints = hosts[work.allowed(row, hosts)[0]]
    work.heeds_wishes = heeded
    return fit
