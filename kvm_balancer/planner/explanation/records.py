"""What an explanation is made of: figures for programs, sections to read.

Texts are made here once, and are the same for whoever shows them.
"""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """What decided, and what would change that.

    :ivar rule: a filter by its name, or what else has a say
    :ivar text: of a host or an instance, one line
    :ivar remedy: what an operator could do; empty where that is nothing
    """

    rule: str
    text: str
    remedy: str = ''


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """A host as the destination of one instance.

    :ivar cpu_after: CPU load that the instance would bring it to
    :ivar cpu_spread: of the fleet, were the instance there
    :ivar refused: what keeps the instance from there; None where nothing
        does
    """

    host: str
    cpu_before: float
    cpu_after: float
    cpu_spread: float
    refused: Rule | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Rival:
    """Another instance of the same host that could have gone instead.

    :ivar host: the best place for it; empty where there is none
    :ivar cpu_spread: of the fleet, were it there; None where there is none
    """

    instance: str
    name: str
    host: str
    cpu_spread: float | None
    mib: float
    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class End:
    """One end of a move, before it and after."""

    host: str
    cpu_before: float
    cpu_after: float
    memory_before: float
    memory_after: float


@dataclasses.dataclass(frozen=True, slots=True)
class Refused:
    """Hosts that one rule keeps an instance from."""

    hosts: int
    rule: Rule


@dataclasses.dataclass(frozen=True, slots=True)
class Move:
    """One move of a plan, in the fleet as it is when its turn comes.

    :ivar place: of the move in the plan, from 0
    :ivar objection: why it cannot be made in this fleet; empty where it can
    :ivar gain: what it brings the policies of the plan; empty where the plan
        does not tell
    :ivar second: the next best host for the instance
    """

    place: int
    instance: str
    name: str
    source: str
    destination: str
    reason: str
    objection: str = ''
    cpu_spread_before: float = 0.0
    cpu_spread_after: float = 0.0
    gain: str = ''
    ends: tuple[End, ...] = ()
    why_instance: str = ''
    why_host: str = ''
    second: Place | None = None
    rivals: tuple[Rival, ...] = ()
    refused: tuple[Refused, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Section:
    """A heading, and lines to read under it."""

    title: str
    lines: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Explanation:
    """The answer to one why.

    :ivar kind: ``plan``, ``instance`` or ``host``
    :ivar subject: which
    :ivar moves: those of the plan that have to do with it
    :ivar stays: what keeps the instance where it is
    :ivar places: every host the instance might go to, best first
    """

    kind: str
    subject: str
    policy: str
    sections: tuple[Section, ...]
    moves: tuple[Move, ...] = ()
    stays: Rule | None = None
    places: tuple[Place, ...] = ()
