"""Options by place: what zones and aggregates say of migrations.

Pure. What holds at a host are the defaults, over them what its zone says,
and over that what its aggregates say. A migration has two ends: whoever
grants more is heeded where both ends grant it, whoever grants less always.
So of the two ends, and of several aggregates of one host, the stricter
counts where safety is concerned (:mod:`.strictness`). How the stream is
carried is for the source to say; of its aggregates, for the first by name.

What an instance's own metadata asks is laid over all of it, by
:mod:`.wishes`.
"""

import collections.abc
import dataclasses
from typing import Any

from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import manner as manners
from kvm_balancer.migration.options import strictness

#: Names of options, and their values.
Overrides = collections.abc.Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where one end of a migration is.

    :ivar host: its name, for people
    """

    host: str = ''
    zone: str = ''
    aggregates: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Resolved:
    """Options of one migration.

    :ivar changes: what is not as the defaults have it, and who says so, one
        line each
    """

    options: request.Options
    changes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class _Said:
    """The value of one option, and who says it; empty for the defaults."""

    value: Any
    origin: str


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Scopes:
    """What holds where.

    :ivar zones: by name, the options that a zone sets
    :ivar aggregates: by name, the options that an aggregate sets
    :ivar manner: of the policy that decides on convergence, everywhere
    """

    defaults: request.Options = dataclasses.field(
        default_factory=request.Options
    )
    zones: collections.abc.Mapping[str, Overrides] = dataclasses.field(
        default_factory=dict
    )
    aggregates: collections.abc.Mapping[str, Overrides] = dataclasses.field(
        default_factory=dict
    )

    manner: manners.Manner = manners.ADAPTIVE

    @property
    def uniform(self) -> bool:
        """True where the defaults hold everywhere."""
        return not (self.zones or self.aggregates)

    def here(self, place: Place) -> request.Options:
        """Return the options that hold at one host."""
        said = {name: one.value for name, one in self._said(place).items()}
        return dataclasses.replace(self.defaults, **said)

    def between(self, source: Place, destination: Place) -> Resolved:
        """Return the options of a migration from one host to another."""
        there, found = self._said(destination), self._said(source)
        values: dict[str, Any] = {}
        changes: list[str] = []
        for name in (*found, *(one for one in there if one not in found)):
            default = _Said(getattr(self.defaults, name), '')
            ours = found.get(name, default)
            theirs = there.get(name, default)
            values[name] = _settled(name, ours.value, theirs.value)
            line = _told(
                name,
                default.value,
                values[name],
                _named(ours, source),
                _named(theirs, destination),
            )
            if line:
                changes.append(line)
        return Resolved(
            dataclasses.replace(self.defaults, **values), tuple(changes)
        )

    def _said(self, place: Place) -> dict[str, _Said]:
        """Return what zone and aggregates of a host say."""
        origin = f'zone {place.zone}'
        found = {
            name: _Said(value, origin)
            for name, value in self.zones.get(place.zone, {}).items()
        }
        narrower: dict[str, _Said] = {}
        for aggregate in sorted(place.aggregates):
            for name, value in self.aggregates.get(aggregate, {}).items():
                said = _Said(value, f'aggregate {aggregate}')
                before = narrower.setdefault(name, said)
                if _settled(name, before.value, value) != before.value:
                    narrower[name] = said
        return found | narrower


def _settled(name: str, first: Any, second: Any) -> Any:
    stricter = strictness.STRICTER.get(name)
    return stricter(first, second) if stricter else first


def _named(said: _Said, place: Place) -> _Said:
    host = f' of {place.host}' if place.host else ''
    return dataclasses.replace(
        said, origin=f'{said.origin}{host}' if said.origin else ''
    )


def _told(
    name: str, default: Any, value: Any, ours: _Said, theirs: _Said
) -> str:
    """Say what became of an option; nothing where nothing did."""
    if value != default:
        origin = next(
            (
                one.origin
                for one in (ours, theirs)
                if one.origin and one.value == value
            ),
            ours.origin or theirs.origin,
        )
        return (
            f'{name} is {strictness.said(name, value)}, as {origin} says, and '
            f'not {strictness.said(name, default)}'
        )
    for one in (ours, theirs):
        if one.value != default and name in strictness.STRICTER:
            return (
                f'{name} stays {strictness.said(name, default)}: {one.origin} '
                f'says {strictness.said(name, one.value)}, the other end does '
                'not'
            )
    return ''
