"""What a move is made for, and why it is this instance that goes for that.

A policy that evens loads out chooses by the spread of CPU load; one that
relieves a host, by what the host has too much of; one that empties a host,
mends a rule or makes room for another instance has little to choose.
"""

import collections

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement
from kvm_balancer.model import plan as plans
from kvm_balancer.planner import gauges
from kvm_balancer.planner import reasons
from kvm_balancer.planner import rules
from kvm_balancer.planner import workspace

#: the policy that empties hosts which are not marked
_EMPTIES = 'consolidate'
#: the policy that goes by the spread of CPU load
_EVENS = 'spread'
#: instances that are named of those that room is made for
_NAMED = 3
_MIB_PER_GIB = 1024.0
#: sums of floats are compared with this slack
_SLACK = 1e-9
#: MiB that make no difference
_EVEN = 0.5


class Plot:
    """What there is to know of a plan as a whole, for its single moves.

    :ivar emptied: hosts, by name, that the plan leaves empty and that are
        not marked for that
    :ivar drained: how many instances of hosts that drain it brings to
        hosts, by name
    """

    def __init__(self, fleet: columns.Fleet, made: plans.Plan) -> None:
        self._fleet = fleet
        self._made = made
        self._policies = made.policy.split(',')
        #: by move, those that wait for it
        self._waiting: dict[int, list[plans.Move]] = {}
        for move in made.moves:
            for before in move.after:
                self._waiting.setdefault(before, []).append(move)
        self.emptied = self._find_emptied()
        self.drained = collections.Counter(
            move.destination
            for move in made.moves
            if move.cause is not None
            and move.cause.kind is plans.CauseKind.DRAINING
        )

    @property
    def evens(self) -> bool:
        """True where a policy goes by the spread of CPU load."""
        return _EVENS in self._policies

    def _find_emptied(self) -> frozenset[str]:
        if _EMPTIES not in self._policies:
            return frozenset()
        host = self._fleet.instances.host.copy()
        for move in self._made.moves:
            row = self._fleet.instance_row.get(move.instance)
            there = self._fleet.host_row.get(move.destination)
            if row is not None and there is not None:
                host[row] = there
        used = set(host.tolist())
        return frozenset(
            move.source
            for move in self._made.moves
            if self._fleet.host_row.get(move.source) not in used
        )

    def makes_room_for(self, place: int) -> list[str]:
        """Name the instances that come where a move has made room for them.

        :param place: of the move in the plan
        """
        source = self._made.moves[place].source
        rows = self._fleet.instance_row
        names = self._fleet.instances.name
        return [
            names[rows[one.instance]] if one.instance in rows else one.instance
            for one in self._waiting.get(place, ())
            if one.destination == source
        ]


def whatever_else(
    work: workspace.Workspace,
    plot: Plot,
    place: int,
    move: plans.Move,
    unit: int,
) -> str:
    """Say why this very instance has to go; empty where any would do.

    :param place: of the move in the plan
    :param unit: what moves
    """
    fleet = work.fleet
    name = move.source
    state = fleet.hosts.state[fleet.host_row[name]]
    drained = (None, plans.CauseKind.DRAINING)
    kind = None if move.cause is None else move.cause.kind
    if state == columns.HostState.DRAINING and kind in drained:
        return f'{name} is draining: whatever may leave it leaves'
    if move.profile is plans.Profile.DRAIN:
        members = set(work.units.of(unit).tolist())
        for one in rules.broken(fleet, work.state.host):
            if members & set(one.instances):
                return f'a hard rule is broken: {one.text(fleet)}'
    if name in plot.emptied and move.cause is None:
        return f'the plan empties {name}: whatever is on it leaves'
    helps = move.cause is None or move.cause.kind is plans.CauseKind.ZONE_LOAD
    others = plot.makes_room_for(place)
    if others and helps and not (plot.evens and move.cause is None):
        more = ', ...' if len(others) > _NAMED else ''
        return (
            f'it makes room on {name} for {", ".join(others[:_NAMED])}{more}'
        )
    return ''


def filled(
    work: workspace.Workspace,
    plot: Plot,
    unit: int,
    destination: int,
    fit: columns.Ints,
) -> str:
    """Say why what leaves an emptied host goes to *destination*.

    :param fit: all hosts that take it
    """
    names = work.fleet.hosts.name
    used = [one for one in fit.tolist() if names[one] not in plot.emptied]
    memory = float(work.units.need[placement.MEMORY_MIB, unit])
    room = work.state.room[placement.MEMORY_MIB]
    left = float(room[destination]) - memory
    tighter = sum(float(room[one]) - memory < left - _EVEN for one in used)
    text = (
        f'of {len(used)} hosts that fit and stay in use, '
        f'{left:.0f} MiB stay free on {names[destination]}'
    )
    if not tighter:
        return f'{text}, which is least'
    return (
        f'{text}, less than on {len(used) - 1 - tighter}; {tighter} would be '
        'fuller, which the limit of CPU, room for a failure or other moves '
        'keep it from'
    )


class Relief:
    """A host with too much of a reading, and who might leave it for that.

    :ivar others: units that may leave it besides the one that does and have
        some of it; first those that keep the number of moves as low, what
        copies least before others, then those that have most of it
    """

    def __init__(
        self,
        work: workspace.Workspace,
        cause: plans.Cause,
        source: int,
        unit: int,
    ) -> None:
        self._work, self._cause, self._unit = work, cause, unit
        gauge = gauges.Gauge(work.fleet, cause.reading)
        self._usage = work.units.total(gauge.usage)
        self._name = work.fleet.hosts.name[source]
        self._load = float(gauge.load(work.state)[source])
        self._excess = float(gauge.excess(work.state, cause.load)[source])
        units = work.units_on(source)
        units = units[(units != unit) & (self._usage[units] > 0.0)]
        largest = np.sort(self._usage[[*units.tolist(), unit]])[::-1]
        covered = np.cumsum(largest)
        #: units that have to leave at least
        self._count = int(np.searchsorted(covered, self._excess - _SLACK)) + 1
        enough = self._enough(self._usage[units], largest)
        nearest = np.where(enough, work.units.mib[units], -self._usage[units])
        order = np.lexsort((nearest, ~enough))
        self.others: columns.Ints = units[order]
        self._doing_as_well = self.others[: int(np.count_nonzero(enough))]

    @property
    def told(self) -> bool:
        """True where the host has too much, and the one that goes some."""
        over = np.isfinite(self._excess) and self._excess > _SLACK
        return bool(over and self._usage[self._unit] > 0.0)

    def _enough(
        self, usage: columns.Floats, largest: columns.Floats
    ) -> columns.Bools:
        """Say which would do, with the largest others, in as few moves.

        :param usage: of those that are asked about
        :param largest: of all that may leave, the largest first
        """
        rest = float(largest[: self._count - 1].sum())
        # one that is among them gives its place to the next
        following = float(largest[self._count - 1 :][:1].sum())
        among = usage >= largest[max(0, self._count - 2)] - _SLACK
        if self._count == 1:
            among = np.zeros(len(usage), np.bool_)
        together = np.where(among, rest + following, usage + rest)
        found: columns.Bools = together >= self._excess - _SLACK
        return found

    def has(self, unit: int) -> str:
        """Say what *unit* has of it, and what it copies."""
        return f'{self._amount(unit)} in use, copies {self._copies(unit)}'

    def _amount(self, unit: int) -> str:
        return reasons.amount(self._cause.reading, float(self._usage[unit]))

    def _copies(self, unit: int) -> str:
        return f'{self._work.units.mib[unit] / _MIB_PER_GIB:.1f} GiB'

    def text(self) -> str:
        """Say why of all that may leave the host it is this one."""
        cause, mine = self._cause, self._amount(self._unit)
        total = len(self.others) + 1
        if self._count > total:
            choice = (
                f'the {total} that may leave it do not take that away '
                f'together; this one has {mine}'
            )
        elif self._count == 1:
            choice = f'this one has {mine}, and is enough by itself'
        else:
            choice = (
                f'at least {self._count} of the {total} that may leave it '
                f'have to, and this one has {mine}'
            )
        over = reasons.amount(cause.reading, self._excess)
        return (
            f'{self._name} is at {self._load:.2f} {cause.reading.words}, '
            f'{over} too many for {cause.load:.2f}; {choice}; '
            f'{self._compared()}'
        )

    def _compared(self) -> str:
        """Hold what it copies against those that would do as well."""
        mib, names = self._work.units.mib, self._work.fleet.instances.name
        well = self._doing_as_well
        cheaper = well[mib[well] < mib[self._unit]]
        if not len(well):
            return 'no other does as well'
        if not len(cheaper):
            return (
                f'{len(well)} more would do as well, and none copies less '
                f'than its {self._copies(self._unit)}'
            )
        first = int(cheaper[0])
        return (
            f'{len(well)} more would do as well, of which '
            f'{names[int(self._work.units.of(first)[0])]} copies less, '
            f'{self._copies(first)} and not {self._copies(self._unit)}: '
            'with all limits and the other moves of the plan this one serves '
            'better'
        )
