"""Facts that reach the machine of a migration.

Each event says when it happened (``at``, seconds since the epoch) and what
it is due to (``cause``: the instruction, the hypervisor's event or the
person behind it, in a few words for the story).
"""

import dataclasses
import enum

from kvm_balancer.migration import image_room
from kvm_balancer.migration import knowledge


class EndState(enum.StrEnum):
    """What one end of a migration says of the instance.

    ``UNREACHABLE`` is not ``ABSENT``: who cannot be asked has not denied.
    """

    RUNNING = 'running'
    #: paused, not by a migration
    PAUSED = 'paused'
    #: paused by a migration: about to be switched over, or just arrived
    PAUSED_MIGRATION = 'paused for migration'
    #: waits for the rest of its memory, or sends it
    POST_COPY = 'in post-copy'
    POST_COPY_FAILED = 'post-copy broken'
    SHUT_OFF = 'shut off'
    ABSENT = 'absent'
    UNREACHABLE = 'unreachable'


@dataclasses.dataclass(frozen=True, slots=True)
class End:
    """One end as it was last seen.

    :ivar job_active: a migration job still holds the instance there
    :ivar detail: the hypervisor's own words
    :ivar migrated: it is shut off because all of it went elsewhere
    :ivar unstarted: it is shut off because it could not be started
    :ivar trouble: what has paused it, where nobody wanted that
    """

    state: EndState
    job_active: bool = False
    detail: str = ''
    migrated: bool = False
    trouble: str = ''
    unstarted: bool = False


class Verdict(enum.StrEnum):
    """What a pre-flight check found."""

    PASSED = 'passed'
    FAILED = 'failed'
    #: could not tell
    UNKNOWN = 'unknown'
    #: the means cannot be had, and the migration goes without it
    FORGONE = 'forgone'


@dataclasses.dataclass(frozen=True, slots=True)
class Check:
    """One pre-flight check.

    :ivar reason: why it did not pass; empty where it did
    :ivar remedy: what the operator can do about it
    """

    name: str
    verdict: Verdict
    reason: str = ''
    remedy: str = ''


@dataclasses.dataclass(frozen=True, slots=True)
class Statistics:
    """Where a running copy stands.

    :ivar iteration: passes begun over the memory, from 1
    :ivar remaining_mib: accurate at the boundary between two passes
    :ivar dirty_rate_mib_s: as the hypervisor measured it over the last pass
    :ivar expected_downtime_ms: the hypervisor's guess while the copy runs
    :ivar throttle_percent: how much the guest is slowed down
    :ivar disk_mib_s: at which disks are copied, before the memory's turn
    """

    elapsed_ms: float = 0.0
    total_mib: float = 0.0
    transferred_mib: float = 0.0
    remaining_mib: float = 0.0
    bandwidth_mib_s: float = 0.0
    dirty_rate_mib_s: float = 0.0
    iteration: int = 0
    throttle_percent: int = 0
    expected_downtime_ms: float = 0.0
    disk_total_mib: float = 0.0
    disk_remaining_mib: float = 0.0
    post_copy_requests: int = 0
    disk_mib_s: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events."""

    at: float
    cause: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Accepted(Event):
    """The executor took the migration on; nothing was looked at yet."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Adopted(Event):
    """An earlier run took it on and ended; what became of it is not known.

    :ivar owned: it is in the journal; else the instance's mark is all that
        is left of it, and nothing is done to it
    :ivar told_unknown: that its outcome is unknown was told before
    :ivar known: what the earlier run wrote down
    """

    owned: bool = True
    told_unknown: bool = False
    known: knowledge.Knowledge = knowledge.NOTHING


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Checked(Event):
    """Pre-flight is over.

    :ivar disks: what is copied along before the memory, by name
    :ivar disk_mib: and how large each of them is, as far as it is told
    :ivar images: what they need on the destination
    """

    checks: tuple[Check, ...]
    disks: tuple[str, ...] = ()
    disk_mib: tuple[float, ...] = ()
    images: tuple[image_room.Need, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reserved(Event):
    """The destination's executor was asked for a lease, and for checks.

    :ivar checks: among them ``reservation``: failed where it was refused, or
        where nobody answered; unknown where there is nobody to ask. Others
        tell what pre-flight could not tell from outside
    :ivar here: what the source's own executor found
    """

    checks: tuple[Check, ...]
    here: tuple[Check, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BandwidthShared(Event):
    """The stream's share of the bandwidth of its hosts is another one now.

    :ivar mib_s: 0 for all there is
    :ivar streams: so many share what the source sends, itself among them
    """

    mib_s: int
    streams: int = 1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Progressed(Event):
    """The job exists and was looked at between two boundaries."""

    statistics: Statistics


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PassEnded(Event):
    """The hypervisor went over the memory once more: a boundary."""

    statistics: Statistics


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SourceStopped(Event):
    """The guest was stopped on the source: the switch has begun.

    Migrations that fail later send it as well.
    """


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Arrived(Event):
    """The destination let the guest run that all of the memory came of.

    Only a destination that is listened to tells it.
    """


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PostCopyBegun(Event):
    """The guest runs on the destination; memory still follows."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PostCopyBroke(Event):
    """The stream broke after the switch; the memory is on both ends."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Refused(Event):
    """The hypervisor answered that it did not carry an instruction out.

    Only where it answered: an instruction whose answer was lost may have
    been carried out, and is not refused.

    :ivar instruction: name of the instruction's class
    :ivar text: the hypervisor's reason
    """

    instruction: str
    text: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CallReturned(Event):
    """The call that carries the migration came back.

    Its error is a hint and never the truth: both ends are looked at.

    :ivar error: empty for success
    :ivar events_lost: the connection to the source was lost, and with it
        perhaps the word that the guest had been stopped there
    """

    error: str = ''
    events_lost: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class JobSettled(Event):
    """The final figures of the job, from the source.

    :ivar downtime_ms: None where not told
    """

    statistics: Statistics
    downtime_ms: float | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EndsSeen(Event):
    """Both ends were looked at."""

    source: End
    destination: End


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Mended(Event):
    """What ``Mend`` asked for was done.

    :ivar text: what, in words for the story
    """

    text: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Unmarked(Event):
    """Neither end carries the mark of the migration any more."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Noted(Event):
    """Something was done or seen besides that belongs into the story.

    :ivar text: what, in one line
    :ivar guest_paused: it is that somebody paused the guest meanwhile
    """

    text: str
    guest_paused: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stumbled(Event):
    """An event could not be answered: a defect of ours, or a surprise.

    ``cause`` says which event it was.

    :ivar text: what came of it, in one line
    """

    text: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SettledByHand(Event):
    """A person says how it ended, as nobody else can.

    ``cause`` says who, and why.

    :ivar completed: the instance is not the source's any more; else it is
        the source's, or was started anew
    """

    completed: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CancelAsked(Event):
    """Someone wants this migration to end; ``cause`` says who and why."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ticked(Event):
    """Time went on: limits in time are looked at."""
