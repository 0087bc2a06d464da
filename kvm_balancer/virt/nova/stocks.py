"""What Placement has of computes, asked for as rarely as it can be.

Inventories are asked for again only where the generation of a provider is
another one: of 10,000 computes that is one question and not 10,000. Several
are asked for at a time. Of traits those alone are asked for that any server
names, each with one question for all computes.
"""

import collections.abc
import concurrent.futures
import dataclasses

from kvm_balancer import errors
from kvm_balancer.model.cloud import records
from kvm_balancer.virt.nova import api

#: As many as a Placement with few workers has to spare.
_AT_ONCE = 4

Inventories = dict[str, records.Inventory]


@dataclasses.dataclass(frozen=True, slots=True)
class Stock:
    """What Placement had of one provider, at one generation."""

    generation: int
    inventories: Inventories


class Stocks:
    """Reads what providers have; one thread at a time.

    All methods raise CloudUnreachable or CloudError.
    """

    def __init__(self, nova: api.Api) -> None:
        self._nova = nova
        self._stocks: dict[str, Stock] = {}
        self._generations: dict[str, int] = {}
        #: providers by the trait that they have
        self._holders: dict[str, frozenset[str]] = {}

    def look(
        self,
        providers: collections.abc.Collection[str],
        traits: collections.abc.Set[str],
    ) -> None:
        """Ask for what has changed of *providers*.

        :param traits: those that any server asks for
        """
        generations = self._nova.generations()
        if generations != self._generations or traits != self._holders.keys():
            self._holders = self._nova.holders(traits)
        wanted = {
            provider: generations[provider]
            for provider in providers
            if provider in generations
        }
        known = {
            provider: self._stocks[provider]
            for provider, generation in wanted.items()
            if provider in self._stocks
            and self._stocks[provider].generation == generation
        }
        # What was read is kept, whatever becomes of the rest.
        self._stocks = known
        missing = [one for one in wanted if one not in known]
        for provider, found in self._read(missing):
            if found is not None:
                known[provider] = Stock(wanted[provider], found)
        self._generations = generations

    def inventories(self, provider: str) -> Inventories:
        """Return what a provider has, by resource class; empty for unknown."""
        found = self._stocks.get(provider)
        return {} if found is None else found.inventories

    def traits(self, provider: str) -> dict[str, bool]:
        """Say of each trait that is asked for whether a provider has it."""
        if provider not in self._generations:
            return {}
        return {
            trait: provider in holders
            for trait, holders in self._holders.items()
        }

    def _read(
        self, providers: collections.abc.Collection[str]
    ) -> collections.abc.Iterator[tuple[str, Inventories | None]]:
        """Yield each of *providers* with its inventories, None for gone."""
        with concurrent.futures.ThreadPoolExecutor(
            _AT_ONCE, 'placement'
        ) as asking:
            try:
                read = asking.map(self._inventories, providers)
                yield from zip(providers, read, strict=True)
            finally:
                asking.shutdown(cancel_futures=True)

    def _inventories(self, provider: str) -> Inventories | None:
        try:
            return self._nova.inventories(provider)
        except errors.NotFound:
            # It went between two questions.
            return None
