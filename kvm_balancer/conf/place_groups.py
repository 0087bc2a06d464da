"""Groups of options that zones and aggregates have for themselves.

``[GROUP:zone:NAME]`` and ``[GROUP:aggregate:NAME]`` say what holds there
instead of what ``[GROUP]`` says. Which there are stands in the files alone,
so they are registered once those are read. What the options are for is for
the modules to know that have them.
"""

import copy
from typing import Any

from oslo_config import cfg

from kvm_balancer import errors

KINDS = ('zone', 'aggregate')


def without_default(option: cfg.Opt) -> cfg.Opt:
    """Return *option* for such a group: what is not set is as elsewhere."""
    bare = copy.copy(option)
    bare.default = None
    return bare


def find(conf: cfg.ConfigOpts, wider: str) -> list[str]:
    """Return the names of the groups in the files of *conf*.

    :param wider: the group that they say otherwise of
    """
    return [
        section
        for section in conf.list_all_sections()
        if section.lower().startswith(f'{wider}:')
    ]


def register(
    conf: cfg.ConfigOpts, wider: str, options: list[cfg.Opt]
) -> list[str]:
    """Register *options* in the groups that the files of *conf* hold.

    :returns: the names of the groups
    :raises ConfigurationError: when one is neither of a zone nor of an
        aggregate, or one is there in two spellings
    """
    found = find(conf, wider)
    seen: dict[str, str] = {}
    for group in found:
        split(group, wider)
        other = seen.setdefault(group.lower(), group)
        if other != group:
            raise errors.ConfigurationError(
                f'[{other}] and [{group}] are the same group: names of '
                'groups do not differ by case alone'
            )
        conf.register_opts(options, group=group)
    return found


def split(group: str, wider: str) -> tuple[str, str]:
    """Return of what *group* is, and the name of that.

    :raises ConfigurationError: when it is neither of a zone nor of an
        aggregate
    """
    _, kind, name = [*group.split(':', 2), '', ''][:3]
    name = name.strip()
    if kind.lower() not in KINDS or not name:
        form = ' or '.join(f'[{wider}:{one}:NAME]' for one in KINDS)
        raise errors.ConfigurationError(
            f'[{group}] is of neither a zone nor an aggregate: write {form}'
        )
    return kind.lower(), name


def values(
    conf: cfg.ConfigOpts,
    wider: str,
    options: list[cfg.Opt],
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """Return what zones and what aggregates set, by name and option.

    :raises ConfigurationError: as :func:`register` raises it
    """
    found: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in KINDS}
    for group in register(conf, wider, options):
        kind, name = split(group, wider)
        found[kind][name] = {
            option.dest: value
            for option in options
            if (value := conf[group][option.dest]) is not None
        }
    zones, aggregates = found.values()
    return zones, aggregates
