"""What a plan may use and must leave alone, besides the fleet itself."""

import collections.abc
import dataclasses
import enum
import math

from kvm_balancer.filters import base as filter_base
from kvm_balancer.migration.foresight import correction
from kvm_balancer.migration.options import scopes
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement
from kvm_balancer.planner import budget
from kvm_balancer.planner import worth as worths
from kvm_balancer.weighers import base as weigher_base


class Prefer(enum.StrEnum):
    """What a plan is to be sparing with."""

    MOVES = 'moves'
    GIB = 'gib'
    #: between the two
    BALANCE = 'balance'

    @property
    def cost_exponent(self) -> float:
        """Weight of a move's MiB: its gain is divided by MiB to this."""
        return _COST_EXPONENT[self]


_COST_EXPONENT = {
    Prefer.MOVES: 0.0,
    Prefer.BALANCE: 0.25,
    Prefer.GIB: 0.5,
}


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """How much a plan may ask for; 0 for no limit.

    :ivar spent: nothing at all may be moved: a budget is used up
    :ivar budget_seconds: how long the search may take; it then returns the
        best it has
    """

    max_moves: int = 0
    max_mib: float = 0.0
    budget_seconds: float = 0.0
    spent: bool = False

    def within(self, allowance: budget.Allowance | None) -> 'Limits':
        """Return these limits, or what is left of budgets if that is less.

        Of a budget that is spent nothing is left, and no move is allowed.
        """
        if allowance is None:
            return self
        moves, mib = self.max_moves, self.max_mib
        if allowance.moves < (moves or math.inf):
            moves = int(allowance.moves)
        if allowance.mib < (mib or math.inf):
            mib = allowance.mib
        return dataclasses.replace(
            self,
            max_moves=moves,
            max_mib=mib,
            spent=bool(allowance.spent),
        )


def _no_clock() -> float:
    return 0.0


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Context:
    """What a policy is given besides the fleet.

    :ivar cooling_instances: shape ``(instances,)``; true for those that
        moved a short while ago and are left alone
    :ivar cooling_hosts: shape ``(hosts,)``; true for hosts that neither
        give nor take
    :ivar recent_instances: shape ``(instances,)``; true for those that
        moved not long ago: to move them again has to be worth more
    :ivar pinned_names: shell-style patterns of the names of instances that
        stay where they are
    :ivar unattended: hosts that no policy looks after, shape ``(hosts,)``;
        for explanations
    :ivar worth: what a move has to be worth
    :ivar closed_zones: zones in which nothing is moved now, and why
    :ivar allowance: what is left of the budgets of this hour
    :ivar in_flight: migrations that run now: their instances stay as they
        are, and hold room on both ends
    :ivar migration: limits and means of migrations by place, for
        predictions; an instance that could not be migrated under those of
        its host, and under its own, stays
    :ivar corrections: what past migrations have taught of predictions
    :ivar elapsed: seconds since the search began, for the budget
    :ivar seed: same fleet, context and seed: same plan
    """

    filters: tuple[filter_base.Filter, ...] = ()
    weighers: tuple[weigher_base.Weighted, ...] = ()
    cooling_instances: columns.Bools | None = None
    cooling_hosts: columns.Bools | None = None
    recent_instances: columns.Bools | None = None
    pinned_names: tuple[str, ...] = ()
    unattended: columns.Bools | None = None
    worth: worths.Params = dataclasses.field(default_factory=worths.Params)
    closed_zones: collections.abc.Mapping[str, str] = dataclasses.field(
        default_factory=dict
    )
    allowance: budget.Allowance | None = None
    in_flight: tuple[placement.InFlight, ...] = ()
    limits: Limits = Limits()
    prefer: Prefer = Prefer.MOVES
    migration: scopes.Scopes = dataclasses.field(default_factory=scopes.Scopes)
    corrections: correction.Corrections | None = None
    elapsed: collections.abc.Callable[[], float] = _no_clock
    seed: int = 0

    def restrained(
        self,
        closed_zones: collections.abc.Mapping[str, str],
        allowance: budget.Allowance | None,
    ) -> 'Context':
        """Return this context as windows and budgets leave it now."""
        return dataclasses.replace(
            self,
            closed_zones=closed_zones,
            allowance=allowance,
            limits=self.limits.within(allowance),
        )
