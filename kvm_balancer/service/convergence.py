"""The policy that decides on convergence, as the configuration names it."""

import collections.abc
import dataclasses

from oslo_config import cfg

from kvm_balancer import errors
from kvm_balancer.conf import migration as migration_options
from kvm_balancer.conf import migration_scopes
from kvm_balancer.migration.convergence import contract
from kvm_balancer.migration.options import scopes
from kvm_balancer.service import entry_points
from kvm_balancer.service import plugin_options


def load(
    conf: cfg.ConfigOpts, name: str
) -> collections.abc.Callable[[], contract.Convergence]:
    """Load a convergence policy; return what makes one for a migration.

    :raises PluginError: when it is not known, or does not load
    :raises ConfigurationError: when its options have values that they must
        not have
    """
    found = entry_points.load_class('convergence', name, contract.Convergence)
    params = plugin_options.read(
        conf, f'{name}_convergence', found.params_class
    )
    return lambda: found(params)


def configured(
    conf: cfg.ConfigOpts,
) -> collections.abc.Callable[[], contract.Convergence]:
    """Load the policy that ``[migration] convergence`` names.

    :returns: what makes one for a migration
    :raises PluginError: as :func:`load`, with the file that names it
    :raises ConfigurationError: as :func:`load`
    """
    group = migration_options.GROUP
    try:
        return load(conf, conf[group].convergence)
    except errors.PluginError as error:
        found = conf.get_location('convergence', group)
        file = f'{found.detail}: ' if found and found.detail else ''
        raise errors.PluginError(
            f'{file}[{group}] convergence: {error}'
        ) from error


def read_migration(conf: cfg.ConfigOpts) -> scopes.Scopes:
    """Return what holds of migrations where, for who predicts them.

    :raises ConfigurationError: as :func:`migration_scopes.read` raises it
    :raises PluginError: when the policy that decides on convergence is not
        known, or does not load
    """
    found = migration_scopes.read(conf)
    return dataclasses.replace(found, manner=configured(conf)().manner)
