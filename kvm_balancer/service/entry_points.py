"""Plugins as packages announce them: by name, and as classes.

What a plugin is for, and what stands in for one that does not load, is not
known here.
"""

import collections.abc
import difflib
import logging
from typing import Any

from stevedore import named

from kvm_balancer import errors

LOG = logging.getLogger(__name__)


def known(kind: str) -> list[str]:
    """Return the names that are announced, without loading any."""
    manager: named.NamedExtensionManager[Any] = named.NamedExtensionManager(
        namespace=f'kvm_balancer.{kind}', names=[]
    )
    return sorted(set(manager.entry_points_names()))


def unknown(what: str, name: str, announced: list[str]) -> str:
    """Say that there is no such plugin, and what there is."""
    near = difflib.get_close_matches(name, announced, 1)
    hint = f'; did you mean {near[0]}?' if near else ''
    there = ', '.join(announced)
    return f'there is no {what} {name!r}; known are {there}{hint}'


def load(
    kind: str, names: collections.abc.Sequence[str], base: type[Any]
) -> tuple[dict[str, type[Any]], dict[str, str]]:
    """Load the classes of *names*; return them, and what went wrong.

    :raises PluginError: when a name is not known
    """
    problems: dict[str, str] = {}
    what = base.__name__.lower()

    def failed(_: Any, entry_point: Any, error: BaseException) -> None:
        problems[entry_point.name] = (
            f'{what} {entry_point.name} does not load: '
            f'{type(error).__name__}: {error}'
        )

    manager: named.NamedExtensionManager[Any] = named.NamedExtensionManager(
        namespace=f'kvm_balancer.{kind}',
        names=list(names),
        on_load_failure_callback=failed,
        on_missing_entrypoints_callback=lambda missing: None,
    )
    announced = known(kind)
    for name in names:
        if name not in announced:
            raise errors.PluginError(unknown(what, name, announced))
    classes: dict[str, type[Any]] = {}
    for found in manager:
        if isinstance(found.plugin, type) and issubclass(found.plugin, base):
            classes[found.name] = found.plugin
        else:
            problems[found.name] = (
                f'{what} {found.name} does not load: '
                f'{found.entry_point_target} is no '
                f'{base.__module__}.{base.__name__}'
            )
    for problem in problems.values():
        LOG.warning('%s', problem)
    return classes, problems


def load_class(kind: str, name: str, base: type[Any]) -> type[Any]:
    """Load one plugin that nothing can stand in for.

    :param kind: the last part of its entry point group, as ``drivers``
    :raises PluginError: when it is not known, or does not load
    """
    classes, problems = load(kind, [name], base)
    if name in problems:
        raise errors.PluginError(problems[name])
    return classes[name]
