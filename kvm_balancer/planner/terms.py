"""Under which options each instance would migrate, from where to where.

Options come from the places of both ends and from the wishes of the
instance. Hosts of which the same is said are of one kind; kinds and distinct
wishes are few, so that a question about all instances stays a few array
operations.
"""

import collections.abc
import dataclasses

import numpy as np

from kvm_balancer import errors
from kvm_balancer.migration import request
from kvm_balancer.migration.options import combinations
from kvm_balancer.migration.options import scopes
from kvm_balancer.migration.options import wishes
from kvm_balancer.model import fleet as columns


@dataclasses.dataclass(frozen=True, slots=True)
class Term:
    """Options of a migration; or why there are none.

    :ivar refused: one line; empty where all is well
    """

    options: request.Options
    refused: str = ''


class Terms:
    """Kinds of hosts of a fleet, and the options between them.

    :ivar kind: of every host, shape ``(hosts,)``
    :ivar kinds: how many there are
    :ivar manner: of the policy that decides on convergence
    """

    def __init__(self, fleet: columns.Fleet, rules: scopes.Scopes) -> None:
        self._fleet = fleet
        self._rules = rules
        self.manner = rules.manner
        self._places: tuple[scopes.Place, ...] = (scopes.Place(),)
        self._between: dict[tuple[int, int], request.Options] = {}
        #: kinds are many where zones and aggregates cross; options are few
        self._terms: dict[tuple[request.Options, int], Term] = {}
        self.kind: columns.Ints = np.zeros(len(fleet.hosts), np.int32)
        if not rules.uniform:
            self._tell_apart()
        self.kinds = len(self._places)

    def _tell_apart(self) -> None:
        fleet, hosts = self._fleet, self._fleet.hosts
        spoken_of = [
            column
            for column, name in enumerate(fleet.aggregates)
            if name in self._rules.aggregates
        ]
        zones = [
            name if name in self._rules.zones else '' for name in fleet.zones
        ]
        numbers: dict[scopes.Place, int] = {}
        held = hosts.aggregates[:, spoken_of].tolist()
        names = [fleet.aggregates[column] for column in spoken_of]
        for row, (zone, inside) in enumerate(
            zip(hosts.zone.tolist(), held, strict=True)
        ):
            place = scopes.Place(
                zone=zones[zone],
                aggregates=tuple(
                    name
                    for name, is_in in zip(names, inside, strict=True)
                    if is_in
                ),
            )
            self.kind[row] = numbers.setdefault(place, len(numbers))
        self._places = tuple(numbers)

    def neighbours(self, kind: int) -> list[int]:
        """Return the kinds of hosts in the zones where *kind* is."""
        if self.kinds == 1:
            return [0]
        zone = self._fleet.hosts.zone
        near = np.isin(zone, zone[self.kind == kind])
        found: list[int] = np.unique(self.kind[near]).tolist()
        return found

    def term(self, source: int, destination: int, wish: int) -> Term:
        """Return what holds between two kinds for a number of wishes."""
        ends = (source, destination)
        if ends not in self._between:
            self._between[ends] = self._rules.between(
                self._places[source], self._places[destination]
            ).options
        key = (self._between[ends], wish)
        if key not in self._terms:
            self._terms[key] = self._settle(*key)
        return self._terms[key]

    def _settle(self, options: request.Options, wish: int) -> Term:
        try:
            options = wishes.merge(options, self._fleet.wishes[wish]).options
        except errors.MigrationError as error:
            return Term(options, str(error))
        for refused in combinations.refusals(options):
            return Term(options, refused.reason)
        return Term(options)

    def grouped(
        self,
        instances: columns.Ints,
        sources: columns.Ints,
        destinations: columns.Ints,
    ) -> collections.abc.Iterator[tuple[Term, columns.Ints]]:
        """Put moves with the same options together.

        :param instances: by row, shape ``(moves,)``; the others likewise
        :returns: options, and the places in the columns that have them
        """
        many = len(self._fleet.wishes)
        key = (
            self.kind[sources].astype(np.int64) * self.kinds
            + self.kind[destinations]
        ) * many + self._fleet.instances.wish[instances]
        distinct, group = np.unique(key, return_inverse=True)
        for number, code in enumerate(distinct.tolist()):
            ends, wish = divmod(code, many)
            source, destination = divmod(ends, self.kinds)
            term = self.term(source, destination, wish)
            yield term, np.flatnonzero(group == number).astype(np.int32)
