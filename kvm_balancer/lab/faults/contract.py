"""What a fault is, and what it is let loose on."""

import abc
import collections.abc
import dataclasses
import enum
import random

from kvm_balancer.lab import fleet
from kvm_balancer.lab import guests
from kvm_balancer.lab import hosts
from kvm_balancer.lab import waiting


class Phase(enum.StrEnum):
    """Where a migration is when a fault strikes."""

    STORAGE = 'copying storage'
    PRE_COPY = 'pre-copy'
    SWITCHOVER = 'switchover'
    POST_COPY = 'post-copy'


class Fate(enum.StrEnum):
    """What may become of an instance at most."""

    #: a whole copy of it is left, and has to run in the end
    LIVES = 'lives'
    #: someone paused it
    PAUSED = 'paused'
    #: whether a whole copy is left depends on the moment
    EITHER = 'lives or ends'
    #: the source's copy is whole as long as the other has not run
    LIVES_UNLESS_IT_RAN = 'lives, unless it ran on the destination'
    #: no copy is left, or someone ended it
    ENDS = 'ends'
    #: no copy is whole, and a person has to look at what is left of it
    BROKEN = 'broken'


#: A loss of what the source has: it is all there is before the switch.
SOURCE_LOST = {
    Phase.STORAGE: Fate.ENDS,
    Phase.PRE_COPY: Fate.ENDS,
    Phase.SWITCHOVER: Fate.EITHER,
    Phase.POST_COPY: Fate.BROKEN,
}
#: A loss of what the destination has: nothing before the switch.
DESTINATION_LOST = {
    Phase.STORAGE: Fate.LIVES,
    Phase.PRE_COPY: Fate.LIVES,
    Phase.SWITCHOVER: Fate.LIVES_UNLESS_IT_RAN,
    Phase.POST_COPY: Fate.BROKEN,
}
NOTHING_LOST = dict.fromkeys(Phase, Fate.LIVES)


@dataclasses.dataclass(frozen=True)
class Scene:
    """A migration under way, in a laboratory.

    :ivar cancel: asks for its end, as a person does; may raise
    :ivar migrate: asks the executor of the first host to bring the guest to
        the second one, in another migration; may raise
    :ivar chance: of this run
    """

    lab: fleet.Lab
    guest: guests.Guest
    source: hosts.Host
    destination: hosts.Host
    cancel: collections.abc.Callable[[], object]
    migrate: collections.abc.Callable[[hosts.Host, hosts.Host], object]
    chance: random.Random


def see(
    holds: collections.abc.Callable[[], bool],
    what: str,
    seconds: float = 5.0,
) -> None:
    """Wait until what a fault is to bring about is seen.

    :param what: that is waited for
    :raises LabError: when it does not come
    """
    waiting.until(holds, what, seconds)


class Fault(abc.ABC):
    """One cause.

    :ivar name: in commands and results
    :ivar title: for the documentation
    :ivar fates: what may become of the instance, by phase
    :ivar hold_seconds: it is healed after so long, within these bounds
    :ivar until_over: it is not healed before the migration is over
    :ivar at_once: it strikes as soon as its phase begins
    :ivar reboots: the guest begins anew, and so does what it counts
    """

    name: str
    title: str
    fates: collections.abc.Mapping[Phase, Fate] = NOTHING_LOST
    hold_seconds: tuple[float, float] = (0.5, 3.0)
    until_over: bool = False
    at_once: bool = False
    reboots: bool = False

    def prepare(self, scene: Scene) -> None:  # noqa: B027 - or none
        """Make ready, before the migration begins; nothing, for most."""

    @abc.abstractmethod
    def begin(self, scene: Scene) -> None:
        """Let it happen, and see that it did.

        :raises LabError: when it did not
        """

    def heal(self, scene: Scene) -> None:  # noqa: B027 - or none
        """Mend what would be mended by an operator, or by systemd."""

    def clear(self, scene: Scene) -> None:  # noqa: B027 - as prepare
        """Undo what ``prepare`` did."""
