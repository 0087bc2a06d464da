"""Groups ``[migration:zone:NAME]`` and ``[migration:aggregate:NAME]``.

They hold the options of ``[migration]`` that a zone or an aggregate has
otherwise, without defaults: what is not set is as elsewhere. Which there are
stands in the files alone, so these groups are registered once those are
read.
"""

from oslo_config import cfg

from kvm_balancer import errors
from kvm_balancer.conf import migration
from kvm_balancer.conf import place_groups
from kvm_balancer.migration import request
from kvm_balancer.migration.options import combinations
from kvm_balancer.migration.options import scopes

#: The executor chooses the plugin, and knows no aggregates of others.
OPTS: list[cfg.Opt] = [
    place_groups.without_default(option)
    for option in migration.OPTS
    if option.name in request.Options.__dataclass_fields__
]


def groups(conf: cfg.ConfigOpts) -> list[str]:
    """Return the names of the groups that the files of *conf* hold."""
    return place_groups.find(conf, migration.GROUP)


def register_found(conf: cfg.ConfigOpts) -> None:
    """Register the groups that the files of *conf* hold.

    :raises ConfigurationError: when one is neither of a zone nor of an
        aggregate, or one is there in two spellings
    """
    place_groups.register(conf, migration.GROUP, OPTS)


def read(conf: cfg.ConfigOpts) -> scopes.Scopes:
    """Return what holds where.

    :raises ConfigurationError: when a group is not of a zone or an
        aggregate, or asks for what cannot be
    """
    zones, aggregates = place_groups.values(conf, migration.GROUP, OPTS)
    for found in (*zones.values(), *aggregates.values()):
        if 'profile' in found:
            found['profile'] = request.Profile(found['profile'])
    made = scopes.Scopes(migration.options(conf), zones, aggregates)
    _check(migration.GROUP, made.defaults)
    for kind, place in (
        *(('zone', scopes.Place(zone=name)) for name in made.zones),
        *(
            ('aggregate', scopes.Place(aggregates=(name,)))
            for name in made.aggregates
        ),
    ):
        name = place.zone or place.aggregates[0]
        _check(f'{migration.GROUP}:{kind}:{name}', made.here(place))
    return made


def _check(group: str, options: request.Options) -> None:
    """Refuse what no version of libvirt and QEMU could do."""
    for refused in combinations.refusals(options):
        raise errors.ConfigurationError(
            f'[{group}] {refused.reason}: {refused.remedy}'
        )
