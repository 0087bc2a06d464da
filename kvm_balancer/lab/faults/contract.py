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
    #: the destination has all of it, and was not told to start it
    HANDOVER = 'handover'
    #: it runs at the destination, and the source does not know
    STARTED = 'started'
    POST_COPY = 'post-copy'


class Fate(enum.StrEnum):
    """What may become of an instance at most."""

    #: a whole copy of it is left, and has to run in the end
    LIVES = 'lives'
    #: someone paused it
    PAUSED = 'paused'
    #: whether a whole copy is left depends on the moment
    EITHER = 'lives or ends'
    #: the destination's copy is whole once it has run
    LIVES_IF_IT_RAN = 'lives, if it ran on the destination'
    #: the source's copy is whole as long as the other has not run
    LIVES_UNLESS_IT_RAN = 'lives, unless it ran on the destination'
    #: it ran on the destination, which has lost it: what the source has of it
    #: is older than the disk
    OUTRUN = 'is lost where it ran last'
    #: a whole copy of it is left, and nobody may be able to know that
    LIVES_OR_WAITS = 'lives, or waits for a person'
    #: it does
    WAITS = 'waits for a person'
    #: libvirt may run it twice, unless a lock manager keeps it from that
    LIVES_BY_LEASE = 'lives, or is suspended where it ran twice'
    #: it did: both copies are suspended, and a person decides
    TWICE = 'ran twice'
    #: no copy is left, or someone ended it
    ENDS = 'ends'
    #: no copy is whole, and a person has to look at what is left of it
    BROKEN = 'broken'


#: A loss of what the source has: it is all there is before the switch.
SOURCE_LOST = {
    Phase.STORAGE: Fate.ENDS,
    Phase.PRE_COPY: Fate.ENDS,
    Phase.SWITCHOVER: Fate.LIVES_IF_IT_RAN,
    # The destination's libvirt ends what nobody tells it to start.
    Phase.HANDOVER: Fate.LIVES_IF_IT_RAN,
    Phase.STARTED: Fate.LIVES,
    Phase.POST_COPY: Fate.BROKEN,
}
#: A loss of what the destination has: nothing before the switch.
DESTINATION_LOST = {
    Phase.STORAGE: Fate.LIVES,
    Phase.PRE_COPY: Fate.LIVES,
    Phase.SWITCHOVER: Fate.LIVES_UNLESS_IT_RAN,
    Phase.HANDOVER: Fate.LIVES_UNLESS_IT_RAN,
    Phase.STARTED: Fate.OUTRUN,
    Phase.POST_COPY: Fate.BROKEN,
}
#: Between these two nobody but libvirt has a hand in it.
_HANDED_OVER = (Phase.HANDOVER, Phase.STARTED)
NOTHING_LOST = {
    phase: Fate.LIVES for phase in Phase if phase not in _HANDED_OVER
}
#: Of what strikes those that hand it over, too.
LIVES_THROUGHOUT = dict.fromkeys(Phase, Fate.LIVES)
#: Of what leaves nobody who knows whether the destination has started it.
ALL_FORGOTTEN = LIVES_THROUGHOUT | {Phase.HANDOVER: Fate.LIVES_OR_WAITS}
#: Of what may keep the source from learning that the destination runs it.
ANSWER_LOST = LIVES_THROUGHOUT | {Phase.STARTED: Fate.LIVES_BY_LEASE}


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
    :ivar fates: what may become of the instance, by each phase in which it
        can strike
    :ivar hold_seconds: it is healed after so long, within these bounds
    :ivar until_over: it is not healed before the migration is over
    :ivar until_told: it is not healed before an outcome was told, whatever
        can be known by then
    :ivar at_once: it strikes as soon as its phase begins
    :ivar reboots: the guest begins anew, and so does what it counts
    """

    name: str
    title: str
    fates: collections.abc.Mapping[Phase, Fate] = NOTHING_LOST
    hold_seconds: tuple[float, float] = (0.5, 3.0)
    until_over: bool = False
    until_told: bool = False
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
