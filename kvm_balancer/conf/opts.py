"""All options of the project, for the services and the sample file.

Every module of this package owns one group. It has ``GROUP``, ``OPTS``,
``register_opts(conf)`` and ``list_opts()``, and is named in ``_MODULES``.
"""

import importlib
from typing import Any

from oslo_config import cfg

from kvm_balancer.conf import migration_scopes
from kvm_balancer.conf import nova
from kvm_balancer.conf import policy_scopes
from kvm_balancer.conf import relieve_scopes
from kvm_balancer.conf import windows

_MODULES: tuple[str, ...] = (
    'agent',
    'budgets',
    'bus',
    'capacity_filter',
    'consolidate',
    'database',
    'dirty_rate',
    'drain',
    'executor',
    'headroom_filter',
    'host',
    'libvirt',
    'metrics',
    'migration',
    'nova',
    'nova_convergence',
    'nova_notifications',
    'planner',
    'prometheus',
    'relieve',
    'repair',
    'samples',
    'simulated',
    'spread',
    'vdsm_convergence',
    'windows',
)


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register every option of the project on *conf*."""
    for name in _MODULES:
        importlib.import_module(f'{__package__}.{name}').register_opts(conf)


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return all options by group, for the configuration generator."""
    return [
        entry
        for name in _MODULES
        for entry in importlib.import_module(
            f'{__package__}.{name}'
        ).list_opts()
    ]


def groups() -> list[str]:
    """Return the names of all groups of options of the project."""
    modules = (
        importlib.import_module(f'{__package__}.{name}') for name in _MODULES
    )
    return [str(module.GROUP) for module in modules]


def register_found(conf: cfg.ConfigOpts) -> list[str]:
    """Register the groups whose names the files of *conf* hold alone.

    :returns: their names
    :raises ConfigurationError: when one of them is misnamed
    """
    nova.register_found(conf)
    migration_scopes.register_found(conf)
    policy_scopes.register_found(conf)
    relieve_scopes.register_found(conf)
    windows.register_found(conf)
    return [
        *migration_scopes.groups(conf),
        *policy_scopes.groups(conf),
        *relieve_scopes.groups(conf),
        *windows.groups(conf),
    ]


def set_defaults() -> None:
    """Set defaults of libraries' options that the project needs otherwise."""
    for name in _MODULES:
        module = importlib.import_module(f'{__package__}.{name}')
        if hasattr(module, 'set_defaults'):
            module.set_defaults()
