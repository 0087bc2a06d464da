"""The contract of a weigher: which allowed place is better.

Nova's idea: a weigher returns numbers, more being better; they are brought
to 0..1 over the places in question, multiplied by the weigher's multiplier,
and added up. A plain function of one instance and one host is adapted by
:class:`OneByOne`.
"""

import abc
import dataclasses
from typing import ClassVar

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement


@dataclasses.dataclass(frozen=True, slots=True)
class Params:
    """Options of a weigher; a weigher with options derives its own."""


class Weigher(abc.ABC):
    """Says which of the places an instance may go to is better."""

    #: the name it is configured by
    name: ClassVar[str]
    #: False where it has a say between even places alone, as what it weighs
    #: is a by-product of every search: a look at more would not be worth it
    decisive: ClassVar[bool] = True
    #: the class its options are kept in
    params_class: ClassVar[type[Params]] = Params

    def __init__(self, params: Params | None = None) -> None:
        self.params = self.params_class() if params is None else params

    @abc.abstractmethod
    def weigh(
        self,
        state: placement.Placement,
        instance: int,
        hosts: columns.Ints,
    ) -> columns.Floats:
        """Weigh *hosts*, rows of hosts that may take *instance*, a row.

        :returns: shape ``(len(hosts),)``, finite; more is better
        """


class OneByOne(Weigher):
    """Adapts a function of one instance and one host: slower, but right."""

    @abc.abstractmethod
    def weigh_host(
        self, state: placement.Placement, instance: int, host: int
    ) -> float:
        """Weigh *host* for *instance*, both rows; more is better."""

    def weigh(
        self,
        state: placement.Placement,
        instance: int,
        hosts: columns.Ints,
    ) -> columns.Floats:
        return np.array(
            [self.weigh_host(state, instance, one) for one in hosts.tolist()],
            np.float64,
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Weighted:
    """A weigher and how much it counts; a negative multiplier turns it."""

    weigher: Weigher
    multiplier: float = 1.0


def normalised(weights: columns.Floats) -> columns.Floats:
    """Bring *weights* to 0..1; all alike become 0."""
    low, high = float(weights.min()), float(weights.max())
    if high <= low:
        return np.zeros_like(weights)
    scaled: columns.Floats = (weights - low) / (high - low)
    return scaled
