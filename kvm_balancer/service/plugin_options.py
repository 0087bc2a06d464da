"""The options of plugins, read into the parameters that they take.

Those of our own are described in ``conf``; what others have is made an
option here, of the fields of their ``params_class``.
"""

import collections.abc
import dataclasses
import typing
from typing import Any

from oslo_config import cfg

from kvm_balancer import errors
from kvm_balancer.conf import relieve
from kvm_balancer.conf import relieve_scopes

#: what zones and aggregates have otherwise of options, by group, and the
#: parameter that takes it
_BY_PLACE = {relieve.GROUP: relieve_scopes.read}
_PLACES = 'places'

_OPTION_TYPES: dict[Any, type[cfg.Opt]] = {
    bool: cfg.BoolOpt,
    float: cfg.FloatOpt,
    int: cfg.IntOpt,
    str: cfg.StrOpt,
}


def read(
    conf: cfg.ConfigOpts,
    group: str,
    kind: type[Any],
    overrides: collections.abc.Mapping[str, float] | None = None,
) -> Any:
    """Make the parameters of a plugin of the options in *group*.

    :param overrides: what counts for more than the options, everywhere
    :raises ConfigurationError: when they refuse a value
    """
    read_places = _BY_PLACE.get(group)
    fields = [
        field
        for field in dataclasses.fields(kind)
        if read_places is None or field.name != _PLACES
    ]
    if not fields:
        return kind()
    known = set(conf[group]) if group in conf else set()
    types = typing.get_type_hints(kind)
    for field in fields:
        if field.name not in known:
            option = _option(field, types[field.name])
            conf.register_opts([option], group=group)
    values = {field.name: conf[group][field.name] for field in fields}
    wanted = overrides or {}
    for name, value in wanted.items():
        if name in values:
            values[name] = value
    if read_places is not None:
        values[_PLACES] = read_places(conf).without(wanted)
    try:
        return kind(**values)
    except ValueError as error:
        raise errors.ConfigurationError(f'[{group}] {error}') from error


def _option(field: dataclasses.Field[Any], kind: Any) -> cfg.Opt:
    """Make the option of a field that no module of ``conf`` describes."""
    option = _OPTION_TYPES.get(kind)
    if option is None or field.default is dataclasses.MISSING:
        raise errors.PluginError(
            f'option {field.name} of a plugin is neither a number, a string '
            f'nor a boolean with a default'
        )
    bounds = {
        name: field.metadata[name]
        for name in ('min', 'max')
        if name in field.metadata
    }
    return option(
        field.name,
        default=field.default,
        help=field.metadata.get('help', ''),
        **bounds,
    )
