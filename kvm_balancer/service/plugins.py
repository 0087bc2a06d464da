"""Policies, filters and weighers by name, with their options.

Plugins are classes that packages announce as entry points. A class says
which options it has by its ``params_class``, a frozen dataclass; those of
our own are described in ``conf``, those of others become options here, in a
group named after the plugin.

A name that nobody knows is the operator's mistake, and refused. A plugin
that does not load is somebody else's: a policy or a weigher is left out, a
filter refuses everything, for to leave a rule out is not safe.
"""

import collections.abc

from oslo_config import cfg

from kvm_balancer import errors
from kvm_balancer.conf import policy_scopes
from kvm_balancer.filters import base as filter_base
from kvm_balancer.metrics import base as metric_base
from kvm_balancer.migration.options import scopes
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement
from kvm_balancer.planner import context as contexts
from kvm_balancer.planner import worth
from kvm_balancer.policies import assignment
from kvm_balancer.policies import base as policy_base
from kvm_balancer.service import entry_points
from kvm_balancer.service import plugin_options
from kvm_balancer.weighers import base as weigher_base

#: how long a policy of others waits before it acts, if nothing else is said
_HOLD_SECONDS = 300.0


class ClosedFilter(filter_base.Filter):
    """Stands in for a filter that does not load, and refuses everything."""

    dynamic = True

    def __init__(self, name: str, problem: str) -> None:
        super().__init__()
        # names are the classes' own; this one takes another's
        self.name = name  # type: ignore[misc]
        self._problem = problem

    def passes(
        self,
        state: placement.Placement,
        instances: columns.Ints,
        hosts: columns.Ints,
    ) -> columns.Bools:
        raise errors.PluginError(self._problem)

    def reason(self, state: placement.Placement, instance: int) -> str:
        return f'are refused: {self._problem}'


def load_policies(
    conf: cfg.ConfigOpts,
    names: collections.abc.Sequence[str],
    **overrides: float | None,
) -> list[policy_base.Policy]:
    """Load policies with their options.

    :param overrides: options that are set to something else than in *conf*,
        for the policies that have them; None leaves one as it is. A limit
        that is asked for is the one to be met: it comes without margin
    :raises PluginError: when one is not known, or none loads
    :raises ConfigurationError: when an option has a value that it must not
        have, or no policy has one that is overridden
    """
    _at_least_one(names)
    wanted = {name: one for name, one in overrides.items() if one is not None}
    implied = {'margin': 0.0} if 'limit' in wanted else {}
    classes, problems = entry_points.load(
        'policies', names, policy_base.Policy
    )
    found = [
        classes[name](
            plugin_options.read(
                conf, name, classes[name].params_class, implied | wanted
            )
        )
        for name in names
        if name in classes
    ]
    if not found:
        raise errors.PluginError('; '.join(problems.values()))
    for name in wanted:
        if not any(hasattr(policy.params, name) for policy in found):
            raise errors.ConfigurationError(
                f'there is no {name} to be set: no policy of '
                f'{", ".join(names)} has one'
            )
    return found


def load_assigned(
    conf: cfg.ConfigOpts,
    assigned: assignment.Assignment,
    **overrides: float | None,
) -> list[policy_base.Policy]:
    """Load the policies that are configured to run anywhere.

    :param overrides: as :func:`load_policies` takes them
    :raises PluginError: when one is not known, with the option that names
        it, or none loads
    :raises ConfigurationError: as :func:`load_policies` raises it
    """
    known = entry_points.known('policies')
    for option, names in policy_scopes.options(assigned):
        for name in names:
            if name not in known:
                unknown = entry_points.unknown('policy', name, known)
                raise errors.PluginError(f'{option} names {name!r}: {unknown}')
    return load_policies(conf, assigned.names, **overrides)


def load_filters(conf: cfg.ConfigOpts) -> list[filter_base.Filter]:
    """Load the filters that ``[planner] filters`` names.

    :raises PluginError: when one is not known
    """
    names = conf.planner.filters
    classes, problems = entry_points.load('filters', names, filter_base.Filter)
    found: list[filter_base.Filter] = []
    for name in names:
        if name in problems:
            found.append(ClosedFilter(name, problems[name]))
            continue
        params = plugin_options.read(
            conf, f'{name}_filter', classes[name].params_class
        )
        found.append(classes[name](params))
    return found


def load_weighers(conf: cfg.ConfigOpts) -> list[weigher_base.Weighted]:
    """Load the weighers that ``[planner] weighers`` names.

    :raises PluginError: when one is not known, or a multiplier names one
        that is not on
    """
    names = conf.planner.weighers
    multipliers = conf.planner.weigher_multipliers
    for name in multipliers:
        if name not in names:
            raise errors.PluginError(
                f'[planner] weigher_multipliers names {name}, which is not '
                f'among the weighers that are on: {", ".join(names)}'
            )
    classes, _ = entry_points.load('weighers', names, weigher_base.Weigher)
    return [
        weigher_base.Weighted(
            classes[name](
                plugin_options.read(
                    conf, f'{name}_weigher', classes[name].params_class
                )
            ),
            multipliers.get(name, 1.0),
        )
        for name in names
        if name in classes
    ]


def load_sources(conf: cfg.ConfigOpts) -> list[metric_base.MetricSource]:
    """Load the metric sources that ``[metrics] sources`` names.

    :raises PluginError: when one is not known, or does not load: what it
        knows would be missing
    :raises ConfigurationError: when its options do not fit
    """
    return [
        entry_points.load_class(
            'metric_sources', name, metric_base.MetricSource
        ).from_conf(conf)
        for name in conf.metrics.sources
    ]


def hold_seconds(conf: cfg.ConfigOpts, policy: str) -> float:
    """Return for how long *policy* has to want to act before it acts."""
    option = cfg.FloatOpt(
        'hold_seconds',
        default=_HOLD_SECONDS,
        min=0.0,
        help='Seconds for which the policy has to want to act.',
    )
    if policy not in conf or 'hold_seconds' not in conf[policy]:
        conf.register_opts([option], group=policy)
    return float(conf[policy].hold_seconds)


def make_context(
    conf: cfg.ConfigOpts, migration: scopes.Scopes | None = None
) -> contexts.Context:
    """Make the context of plans: filters, weighers, limits, preference.

    What is of the moment (cooldowns, migrations under way, the clock) is for
    the caller to fill in.

    :param migration: what migrations may do, for their prediction
    :raises PluginError: when a filter or weigher is not known
    """
    group = conf.planner
    return contexts.Context(
        filters=tuple(load_filters(conf)),
        weighers=tuple(load_weighers(conf)),
        limits=contexts.Limits(
            max_moves=group.max_moves,
            max_mib=group.max_gib * 1024.0,
            budget_seconds=group.budget_seconds,
        ),
        prefer=contexts.Prefer(group.prefer),
        pinned_names=tuple(group.pinned_names),
        worth=worth.Params(
            eagerness=group.eagerness,
            horizon_seconds=group.horizon_seconds,
            undo_factor=group.undo_factor,
        ),
        migration=migration or scopes.Scopes(),
        seed=group.seed,
    )


def _at_least_one(names: collections.abc.Sequence[str]) -> None:
    if not names:
        raise errors.ConfigurationError('no policy is named: nothing to do')
