"""Groups ``[relieve:zone:NAME]`` and ``[relieve:aggregate:NAME]``.

They hold the limits of ``[relieve]`` that a zone or an aggregate has
otherwise, without defaults: what is not set is as elsewhere.
"""

from typing import TYPE_CHECKING

from oslo_config import cfg

from kvm_balancer.conf import place_groups
from kvm_balancer.conf import relieve

if TYPE_CHECKING:
    from kvm_balancer.policies import scopes

#: A policy waits once for all hosts that it looks after.
OPTS: list[cfg.Opt] = [
    place_groups.without_default(option)
    for option in relieve.OPTS
    if option.name != 'hold_seconds'
]


def groups(conf: cfg.ConfigOpts) -> list[str]:
    """Return the names of the groups that the files of *conf* hold."""
    return place_groups.find(conf, relieve.GROUP)


def register_found(conf: cfg.ConfigOpts) -> None:
    """Register the groups that the files of *conf* hold.

    :raises ConfigurationError: when one is neither of a zone nor of an
        aggregate, or one is there in two spellings
    """
    place_groups.register(conf, relieve.GROUP, OPTS)


def read(conf: cfg.ConfigOpts) -> 'scopes.Scopes':
    """Return what zones and aggregates have otherwise.

    :raises ConfigurationError: as :func:`register_found` raises it
    """
    # Arithmetic starts threads, which have to know of signals first.
    from kvm_balancer.policies import scopes

    return scopes.Scopes(*place_groups.values(conf, relieve.GROUP, OPTS))
