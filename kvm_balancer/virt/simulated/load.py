"""What an instance wants of its host's CPUs, as time goes on.

Pure: a function of the time alone, so that nothing has to be kept and any
moment can be asked about.
"""

import dataclasses
import math
import random
from typing import Protocol


class Load(Protocol):
    """CPU that an instance would use if it got it."""

    def cores(self, at: float) -> float:
        """Return the cores in use at *at*, seconds since it all began."""


@dataclasses.dataclass(frozen=True, slots=True)
class Steady:
    """The same at all times."""

    usage: float

    def cores(self, at: float) -> float:
        """Return the cores in use at any time."""
        return self.usage


@dataclasses.dataclass(frozen=True, slots=True)
class Wave:
    """A load that swings slowly, and trembles around that.

    :ivar usage: its mean, in cores
    :ivar swing: of the slow part, as a share of the mean; a third of it
        comes on top for the fast part
    :ivar most: cores that it can never exceed
    """

    usage: float
    most: float
    swing: float
    period_seconds: float
    phase: float
    tremble_seconds: float

    def cores(self, at: float) -> float:
        """Return the cores in use at *at*, seconds."""
        slow = math.sin(math.tau * at / self.period_seconds + self.phase)
        fast = math.sin(math.tau * at / self.tremble_seconds + 3 * self.phase)
        share = 1.0 + self.swing * (slow + fast / 3.0)
        return min(max(0.0, self.usage * share), self.most)


def wave(usage: float, most: float, swing: float, seed: str) -> Wave:
    """Make the load of one instance; the same seed makes the same load."""
    dice = random.Random(seed)  # noqa: S311
    return Wave(
        usage=usage,
        most=most,
        swing=swing,
        period_seconds=dice.uniform(60.0, 240.0),
        phase=dice.uniform(0.0, math.tau),
        tremble_seconds=dice.uniform(5.0, 15.0),
    )
