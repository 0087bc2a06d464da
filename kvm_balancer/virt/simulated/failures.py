"""What goes wrong with a simulated migration, drawn from a seed. Pure."""

import dataclasses
import enum
import random


class Kind(enum.Enum):
    """One way in which a migration goes wrong."""

    #: the destination does not answer when the call begins
    UNREACHABLE = 'unreachable'
    #: the stream between the two hosts breaks while memory is copied
    LINK_CUT = 'link cut'
    #: it succeeds, and the call says that it did not
    LATE_ERROR = 'late error'


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """What goes wrong with one migration.

    :ivar share: of the memory in use that is sent before a link is cut
    """

    kind: Kind
    share: float = 0.5


class Dice:
    """Decides which migrations go wrong.

    The same seed decides the same for the same attempt at the same
    instance, whatever else happens and in whatever order.

    :param rate: share of migrations that go wrong, 0 to 1
    """

    def __init__(self, seed: int = 0, rate: float = 0.0) -> None:
        self._seed = seed
        self._rate = rate
        self._attempts: dict[str, int] = {}
        self._planned: dict[str, Failure] = {}

    def plan(self, instance: str, failure: Failure) -> None:
        """Let the next migration of *instance* go wrong in this way."""
        self._planned[instance] = failure

    def draw(self, instance: str) -> Failure | None:
        """Say what goes wrong with a migration that begins now."""
        attempt = self._attempts.get(instance, 0) + 1
        self._attempts[instance] = attempt
        if instance in self._planned:
            return self._planned.pop(instance)
        dice = random.Random(f'{self._seed}/{instance}/{attempt}')  # noqa: S311
        if dice.random() >= self._rate:
            return None
        return Failure(dice.choice(list(Kind)), dice.uniform(0.1, 0.9))
