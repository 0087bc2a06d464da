"""What a search works on: the state so far, what may move, and where to.

Policies read it and call :meth:`Workspace.move`; several policies may work
one after the other on the same workspace. A unit moves at most once.
"""

import dataclasses

import numpy as np

from kvm_balancer.filters import base as filters
from kvm_balancer.filters import headroom
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement
from kvm_balancer.model import plan
from kvm_balancer.planner import admission
from kvm_balancer.planner import budget
from kvm_balancer.planner import context as contexts
from kvm_balancer.planner import means
from kvm_balancer.planner import outlook
from kvm_balancer.planner import pace
from kvm_balancer.planner import pins
from kvm_balancer.planner import refuge
from kvm_balancer.planner import terms
from kvm_balancer.planner import units as grouping
from kvm_balancer.planner import weighing
from kvm_balancer.planner import worth as worths

#: sums of floats are compared with this slack
_SLACK = 1e-6


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One unit's way from one host to another, by row numbers.

    :ivar why: what the destination had before others, for the reason
    :ivar profile: of its migrations
    :ivar cause: what it is made for
    """

    unit: int
    source: int
    destination: int
    why: str = ''
    profile: plan.Profile = plan.Profile.BALANCE
    cause: plan.Cause | None = None


class Workspace:
    """The state of a search, and the moves it has made.

    :ivar state: where everything is, the moves so far included
    :ivar units: what moves as one
    :ivar copied_mib: what the migrations of each unit copy at most, where
        limits or budgets count that, else its memory in use; shape
        ``(units,)``
    :ivar steps: what was moved so far, each possible after those before
    :ivar moves: instances moved so far
    :ivar moved_mib: what their migrations copy, by ``copied_mib``
    :ivar terms: the options of migrations
    :ivar means: which instances those let go, and where to
    :ivar pace: what moves cost more over slower networks
    :ivar pins: which instances stay as their names say so
    :ivar worth: what units have to be worth to be moved
    :ivar profile: of the moves that are made from now on, but off hosts that
        are drained
    :ivar cause: what they are made for, where that may cease
    :ivar heeds_wishes: filters that are wishes alone have a say
    :ivar problems: what went wrong, by name of the plugin
    :ivar scope: hosts that are looked after now, shape ``(hosts,)``
    :ivar counted: those of them over which spread and peak are taken
    :ivar may_leave: hosts that instances may be taken from, ``(hosts,)``
    :ivar may_take: hosts that instances may be brought to, ``(hosts,)``;
        filters have their say after that
    :ivar free: units that may still be moved, shape ``(units,)``
    """

    def __init__(
        self, fleet: columns.Fleet, context: contexts.Context
    ) -> None:
        self.fleet = fleet
        self.context = context
        self.state = placement.Placement(fleet, context.in_flight)
        movable = fleet.instances.movable & ~self.state.in_flight
        self.terms = terms.Terms(fleet, context.migration)
        self.means = means.Means(fleet, self.terms, context.corrections)
        unheeded = self.means.warning(movable)
        self.pins = pins.Pins(fleet, context.pinned_names)
        movable = movable & self.means.movable & ~self.pins.pinned
        if context.cooling_instances is not None:
            movable = movable & ~context.cooling_instances
        hosts = fleet.hosts
        touched = ~self._shut()
        if context.cooling_hosts is not None:
            touched = touched & ~context.cooling_hosts
        self._leave: columns.Bools = (
            touched & ~hosts.silent & (hosts.max_outgoing > 0)
        )
        self._take: columns.Bools = touched & (hosts.max_incoming > 0)
        self.units = grouping.make_units(self.state, movable)
        home = self.state.host[self.units.members[self.units.offset[:-1]]]
        self._cpus: columns.Floats = hosts.cpus[home]
        self.pace = pace.Pace(fleet, self.units, self.means, self._wear())
        self.demand(1.0)
        self._copied_mib = self._copied()
        self.copied_mib: columns.Floats = self.units.total(self._copied_mib)
        self.admission = self._admission()
        self.steps: list[Step] = []
        self.profile = plan.Profile.BALANCE
        self.cause: plan.Cause | None = None
        self.heeds_wishes = True
        self.moves = 0
        self.moved_mib = 0.0
        self.problems: dict[str, str] = (
            {self.means.name: unheeded} if unheeded else {}
        ) | {
            f'window of {zone}': f'nothing is moved: {why}'
            for zone, why in context.closed_zones.items()
        }
        if context.allowance is not None and context.allowance.spent:
            why = context.allowance.spent
            self.problems['budgets'] = f'nothing is moved: {why}'
        self._by_host = np.argsort(home, kind='stable').astype(np.int32)
        self._first = np.searchsorted(
            home[self._by_host], np.arange(len(fleet.hosts) + 1)
        )
        self.look_after(np.ones(len(fleet.hosts), np.bool_))

    def demand(self, strictness: float) -> None:
        """Ask so many times as much of every move from now on."""
        self.worth = worths.Worth(
            self.pace.core_seconds, self._cpus, self.context.worth, strictness
        )

    def _wear(self) -> columns.Floats:
        """Return how many times as much each instance has to be worth."""
        recent = self.context.recent_instances
        if recent is None:
            return np.ones(len(self.fleet.instances))
        return np.where(recent, self.context.worth.undo_factor, 1.0)

    def _copied(self) -> columns.Floats:
        """Return what the migration of each instance copies at most.

        Its memory in use where nobody counts what is copied.
        """
        allowance, limits = self.context.allowance, self.context.limits
        if not limits.max_mib and not budget.Budget.needed(allowance):
            return self.fleet.instances.memory_usage_mib
        return outlook.most_copied_mib(
            self.fleet, self.terms, self.context.corrections
        )

    def look_after(self, hosts: columns.Bools) -> None:
        """Leave all but *hosts* alone from now on.

        :param hosts: shape ``(hosts,)``
        """
        self.scope = hosts
        counted = hosts & self.fleet.counted
        self.counted: columns.Bools = counted if counted.any() else hosts
        self.may_leave: columns.Bools = self._leave & hosts
        self.may_take: columns.Bools = self._take & hosts
        units = self.units
        first = units.members[units.offset[:-1]]
        self.free: columns.Bools = (
            units.movable & self.may_leave[self.state.host[first]]
        )
        self.free[[step.unit for step in self.steps]] = False
        self._takers: dict[int, columns.Ints] = {}

    def _shut(self) -> columns.Bools:
        """Return the hosts that are not touched now, shape ``(hosts,)``."""
        closed = [
            zone
            for zone, name in enumerate(self.fleet.zones)
            if name in self.context.closed_zones
        ]
        shut: columns.Bools = np.isin(self.fleet.hosts.zone, closed)
        return shut | self.context.limits.spent

    def _admission(self) -> admission.Admission:
        """Return what is asked where instances may go.

        Where room for a failure is asked for in all, it is for each instance.
        """
        asked = self._filters()
        if not any(
            isinstance(one, headroom.HeadroomFilter) and one.params.failures
            for one in asked
        ):
            return admission.Admission(self.state, asked)
        refuges = refuge.Refuges(self.fleet)
        found = admission.Admission(self.state, (*asked, refuges))
        refuges.goes_by(found)
        return found

    def _filters(self) -> tuple[filters.Filter, ...]:
        """Return the filters that hold for the plan."""
        asked = self.context.filters
        if self.means.needed:
            asked = (self.means, *asked)
        allowance = self.context.allowance
        if allowance is not None and budget.Budget.needed(allowance):
            asked = (*asked, budget.Budget(allowance, self._copied_mib))
        return asked

    def home(self, unit: int) -> int:
        """Return the row of the host that *unit* is on now."""
        return int(self.state.host[self.units.of(unit)[0]])

    def units_on(self, host: int) -> columns.Ints:
        """Return the units that were on *host* and may still be moved."""
        rows = self._by_host[self._first[host] : self._first[host + 1]]
        free: columns.Ints = rows[self.free[rows]]
        return free

    @property
    def free_instances(self) -> columns.Bools:
        """Instances that may still be moved, shape ``(instances,)``."""
        free = np.zeros(len(self.fleet.instances), np.bool_)
        free[self.units.members] = np.repeat(self.free, self.units.size)
        return free

    def destinations(self, host: int) -> columns.Ints:
        """Return the hosts that may take anything, *host* excepted."""
        rows = np.flatnonzero(self.may_take).astype(np.int32)
        others: columns.Ints = rows[rows != host]
        return others

    def neighbours(self, host: int) -> columns.Ints:
        """Return the hosts of the zone of *host* that may take anything.

        *host* itself excepted.
        """
        zone = int(self.fleet.hosts.zone[host])
        if zone not in self._takers:
            inside = self.may_take & (self.fleet.hosts.zone == zone)
            self._takers[zone] = np.flatnonzero(inside).astype(np.int32)
        rows = self._takers[zone]
        others: columns.Ints = rows[rows != host]
        return others

    def allowed(
        self, units: columns.Ints, hosts: columns.Ints
    ) -> columns.Bools:
        """Say which of *units* may go to which of *hosts* now.

        :returns: shape ``(len(units), len(hosts))``
        """
        wishes = self.heeds_wishes
        if self.units.single:
            return self.admission.allowed(units, hosts, wishes)
        several = np.flatnonzero(self.units.size[units] > 1)
        if not len(several):
            return self.admission.allowed(
                self.units.first(units), hosts, wishes
            )
        together, offset = self.units.of_all(units[several])
        found = np.empty((len(units), len(hosts)), np.bool_)
        found[several] = self.admission.together(
            together, offset[:-1], hosts, wishes
        )
        alone = np.flatnonzero(self.units.size[units] == 1)
        found[alone] = self.admission.allowed(
            self.units.first(units[alone]), hosts, wishes
        )
        return found

    def open_to(self, unit: int, hosts: columns.Ints) -> columns.Ints:
        """Return those of *hosts* that may take *unit*, which has to go.

        Where any of them keep to all wishes, or come nearer to them, the
        others are left out.
        """
        row = np.array((unit,), np.int32)
        kept: columns.Ints = hosts[self.allowed(row, hosts)[0]]
        if len(kept) or not self.heeds_wishes or not self.admission.wishes:
            return kept
        self.heeds_wishes = False
        found: columns.Ints = hosts[self.allowed(row, hosts)[0]]
        self.heeds_wishes = True
        return self.admission.nearest(self.units.of(unit), found)

    def best(self, unit: int, hosts: columns.Ints) -> int:
        """Return the one of *hosts* that the weighers like best.

        A weigher that raises or breaks its contract is left out and named
        in :attr:`problems`. The first host wins where they are even.
        """
        if len(hosts) == 1 or not self.context.weighers:
            return int(hosts[0])
        return int(hosts[int(np.argmax(self.weights(unit, hosts)))])

    @property
    def particular(self) -> bool:
        """True where a weigher is on that is decisive."""
        return any(
            one.weigher.decisive and one.multiplier
            for one in self.context.weighers
        )

    def preferred(self, unit: int, hosts: columns.Ints) -> columns.Ints:
        """Return *hosts*, all as good for the policy, in another order.

        What the weighers like best comes first, where one of them is
        decisive; without such, the order stays as it is.
        """
        if len(hosts) < 2 or not self.particular:
            return hosts
        order = np.argsort(-self.weights(unit, hosts), kind='stable')
        found: columns.Ints = hosts[order]
        return found

    def weights(self, unit: int, hosts: columns.Ints) -> columns.Floats:
        """Return what all weighers say of *hosts* for *unit*, added up.

        :returns: shape ``(len(hosts),)``
        """
        total = np.zeros(len(hosts))
        instance = int(self.units.of(unit)[0])
        for one in self.context.weighers:
            total += one.multiplier * weighing.weights(
                one, self.state, instance, hosts, self.problems
            )
        return total

    def may_move(self, unit: int) -> bool:
        """Say whether the limits of the plan leave room for *unit*."""
        limits = self.context.limits
        count = self.moves + int(self.units.size[unit])
        if limits.max_moves and count > limits.max_moves:
            return False
        mib = self.moved_mib + float(self.copied_mib[unit])
        return not limits.max_mib or mib <= limits.max_mib

    def rewind(self, steps: int) -> None:
        """Take back all but the first *steps* steps."""
        kept, taken = self.steps[:steps], self.steps[steps:]
        for step in taken:
            self.free[step.unit] = True
        if len(taken) < len(kept):
            # To begin again would take longer than to undo.
            for step in reversed(taken):
                members = self.units.of(step.unit)
                self.state.take_back(members, step.source)
                self.moves -= len(members)
                self.moved_mib -= float(self.copied_mib[step.unit])
            self.steps = kept
            return
        self.steps, self.moves, self.moved_mib = [], 0, 0.0
        self.state.reset()
        for step in kept:
            self.move(step.unit, step.destination, step.why)
            self.steps[-1] = step

    @property
    def spent(self) -> bool:
        """True once no further move is allowed or there is no time left."""
        most = self.context.limits.max_moves
        return self.out_of_time or bool(most and self.moves >= most)

    @property
    def limited(self) -> bool:
        """True where a limit of moves or GiB keeps anything from moving."""
        limits = self.context.limits
        if limits.max_moves and self.moves >= limits.max_moves:
            return True
        over = self.copied_mib[self.free] > limits.max_mib - self.moved_mib
        return bool(limits.max_mib and over.any())

    @property
    def out_of_time(self) -> bool:
        """True once the search has used up its budget."""
        budget = self.context.limits.budget_seconds
        return bool(budget) and self.context.elapsed() >= budget

    def move(self, unit: int, destination: int, why: str = '') -> None:
        """Move *unit* to *destination*, and leave it alone from then on.

        Whatever leaves a host that is drained goes by the profile of drains.
        """
        home = self.home(unit)
        drained = self.fleet.hosts.state[home] == columns.HostState.DRAINING
        profile = plan.Profile.DRAIN if drained else self.profile
        self.steps.append(
            Step(unit, home, destination, why, profile, self.cause)
        )
        self.state.move(self.units.of(unit), destination)
        self.free[unit] = False
        self.moves += int(self.units.size[unit])
        self.moved_mib += float(self.copied_mib[unit])
