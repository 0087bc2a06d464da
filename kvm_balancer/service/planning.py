"""What a plan is asked for, and what of it is as configured.

The same for a plan that the agent makes and for one of a fleet in a file.
"""

import collections
import collections.abc
import dataclasses
import math

from oslo_config import cfg

from kvm_balancer import errors
from kvm_balancer.conf import migration_scopes
from kvm_balancer.conf import policy_scopes
from kvm_balancer.conf import relieve_scopes
from kvm_balancer.conf import windows
from kvm_balancer.model import fleet as columns
from kvm_balancer.planner import context as contexts
from kvm_balancer.planner import worth
from kvm_balancer.policies import assignment
from kvm_balancer.policies import base
from kvm_balancer.policies import places
from kvm_balancer.service import plugins

_MIB_PER_GIB = 1024.0
#: what is asked for as a number
_AMOUNTS = ('target', 'limit', 'max_moves', 'max_gib', 'budget_seconds')


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for instead of what is configured; None for that.

    :ivar policies: to follow everywhere, in this order
    :ivar target: spread of CPU load to reach
    :ivar limit: CPU load that no host is to be over
    :ivar max_moves: of the plan; 0 for no limit, as of *max_gib* and
        *budget_seconds*
    :ivar eagerness: how much gain is worth a move, 1 to 5
    """

    policies: collections.abc.Sequence[str] | None = None
    target: float | None = None
    limit: float | None = None
    max_moves: int | None = None
    max_gib: float | None = None
    prefer: str | None = None
    budget_seconds: float | None = None
    eagerness: int | None = None

    def __post_init__(self) -> None:
        """Refuse what no option would take.

        :raises ConfigurationError: in one line
        """
        if self.prefer not in (None, *contexts.Prefer):
            known = ', '.join(contexts.Prefer)
            raise errors.ConfigurationError(
                f'prefer is {self.prefer!r}: it has to be one of {known}'
            )
        for name, count in collections.Counter(self.policies or ()).items():
            if count > 1:
                raise errors.ConfigurationError(
                    f'policy {name} is named {count} times: once is enough'
                )
        for name in _AMOUNTS:
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise errors.ConfigurationError(
                    f'{name} is {value}: it has to be a finite number of 0 '
                    'or more'
                )
        least, most = worth.LEAST_EAGER, worth.MOST_EAGER
        if self.eagerness is not None and not least <= self.eagerness <= most:
            raise errors.ConfigurationError(
                f'eagerness is {self.eagerness}: it has to be {least} to '
                f'{most}'
            )

    def check(self, conf: cfg.ConfigOpts) -> None:
        """Load what is asked for, before anything else is read.

        :raises PluginError: when a policy is not known, or none loads
        :raises ConfigurationError: when an option is wrong
        """
        self._policies(conf, self._assigned(conf))

    def parts(
        self, conf: cfg.ConfigOpts, fleet: columns.Fleet
    ) -> tuple[assignment.Part, ...]:
        """Return who looks after which hosts of *fleet*.

        :raises PluginError: when a policy is not known, or none loads
        :raises ConfigurationError: when an option is wrong
        """
        assigned = self._assigned(conf)
        return assigned.parts(fleet, self._policies(conf, assigned))

    def _assigned(self, conf: cfg.ConfigOpts) -> assignment.Assignment:
        if self.policies is None:
            return policy_scopes.read(conf)
        return assignment.Assignment(tuple(self.policies))

    def _policies(
        self, conf: cfg.ConfigOpts, assigned: assignment.Assignment
    ) -> dict[str, base.Policy]:
        wishes = {'target': self.target, 'limit': self.limit}
        if self.policies is None:
            loaded = plugins.load_assigned(conf, assigned, **wishes)
        else:
            loaded = plugins.load_policies(conf, self.policies, **wishes)
        return {one.name: one for one in loaded}

    def misplaced(
        self, conf: cfg.ConfigOpts, fleet: columns.Fleet
    ) -> tuple[str, ...]:
        """Name what is configured for places that *fleet* has not.

        :raises ConfigurationError: when an option is wrong
        """
        return places.warnings(
            {
                'migration': migration_scopes.read(conf),
                'policies': self._assigned(conf),
                'relieve': relieve_scopes.read(conf),
                'windows': windows.read(conf),
            },
            fleet,
        )

    def within(self, context: contexts.Context) -> contexts.Context:
        """Return *context* with the limits and preferences asked for."""
        limits = context.limits
        if self.max_moves is not None:
            limits = dataclasses.replace(limits, max_moves=self.max_moves)
        if self.max_gib is not None:
            mib = self.max_gib * _MIB_PER_GIB
            limits = dataclasses.replace(limits, max_mib=mib)
        if self.budget_seconds is not None:
            limits = dataclasses.replace(
                limits, budget_seconds=self.budget_seconds
            )
        eager = context.worth
        if self.eagerness is not None:
            eager = dataclasses.replace(eager, eagerness=self.eagerness)
        return dataclasses.replace(
            context,
            limits=limits,
            worth=eager,
            prefer=(
                context.prefer
                if self.prefer is None
                else contexts.Prefer(self.prefer)
            ),
        )
