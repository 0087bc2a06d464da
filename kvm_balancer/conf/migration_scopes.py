"""Groups ``[migration:zone:NAME]`` and ``[migration:aggregate:NAME]``.

They hold the options of ``[migration]`` that a zone or an aggregate has
otherwise, without defaults: what is not set is as elsewhere. Which there are
stands in the files alone, so these groups are registered once those are
read.
"""

import copy

from oslo_config import cfg

from kvm_balancer import errors
from kvm_balancer.conf import migration
from kvm_balancer.migration import request
from kvm_balancer.migration.options import combinations
from kvm_balancer.migration.options import scopes

_KINDS = ('zone', 'aggregate')
_FORM = ' or '.join(f'[{migration.GROUP}:{kind}:NAME]' for kind in _KINDS)


def _without_default(option: cfg.Opt) -> cfg.Opt:
    bare = copy.copy(option)
    bare.default = None
    return bare


#: The executor chooses the plugin, and knows no aggregates of others.
OPTS: list[cfg.Opt] = [
    _without_default(option)
    for option in migration.OPTS
    if option.name in request.Options.__dataclass_fields__
]


def groups(conf: cfg.ConfigOpts) -> list[str]:
    """Return the names of the groups that the files of *conf* hold."""
    return [
        section
        for section in conf.list_all_sections()
        if section.lower().partition(':')[0] == migration.GROUP
        and ':' in section
    ]


def register_found(conf: cfg.ConfigOpts) -> None:
    """Register the groups that the files of *conf* hold.

    :raises ConfigurationError: when one is neither of a zone nor of an
        aggregate, or one is there in two spellings
    """
    seen: dict[str, str] = {}
    for group in groups(conf):
        _split(group)
        other = seen.setdefault(group.lower(), group)
        if other != group:
            raise errors.ConfigurationError(
                f'[{other}] and [{group}] are the same group: names of '
                'groups do not differ by case alone'
            )
        conf.register_opts(OPTS, group=group)


def read(conf: cfg.ConfigOpts) -> scopes.Scopes:
    """Return what holds where.

    :raises ConfigurationError: when a group is not of a zone or an
        aggregate, or asks for what cannot be
    """
    register_found(conf)
    found: dict[str, dict[str, scopes.Overrides]] = {
        kind: {} for kind in _KINDS
    }
    for group in groups(conf):
        kind, name = _split(group)
        found[kind][name] = _overrides(conf, group)
    zones, aggregates = found.values()
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


def _split(group: str) -> tuple[str, str]:
    """Return of what *group* is, and the name of that."""
    _, kind, *rest = group.split(':', 2)
    name = rest[0].strip() if rest else ''
    if kind.lower() not in _KINDS or not name:
        raise errors.ConfigurationError(
            f'[{group}] is of neither a zone nor an aggregate: write {_FORM}'
        )
    return kind.lower(), name


def _overrides(conf: cfg.ConfigOpts, group: str) -> scopes.Overrides:
    found = {
        option.dest: value
        for option in OPTS
        if (value := conf[group][option.dest]) is not None
    }
    if 'profile' in found:
        found['profile'] = request.Profile(found['profile'])
    return found


def _check(group: str, options: request.Options) -> None:
    """Refuse what no version of libvirt and QEMU could do."""
    for refused in combinations.refusals(options):
        raise errors.ConfigurationError(
            f'[{group}] {refused.reason}: {refused.remedy}'
        )
