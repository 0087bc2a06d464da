"""Wishes of the machine of a migration, for a driver to carry out.

A driver answers each with events, never with a return value, and never
carries out what it was not told.
"""

import dataclasses
import enum

from kvm_balancer.migration import events
from kvm_balancer.migration import image_room
from kvm_balancer.migration import request
from kvm_balancer.migration.lifecycle import verdicts
from kvm_balancer.model import outcome


class Decided(enum.StrEnum):
    """What was decided about a copy, in words for whoever watches."""

    CARRY_ON = 'carry on'
    RAISE_DOWNTIME = 'allow a longer stop'
    START_POST_COPY = 'start post-copy'
    GIVE_UP = 'give up'


@dataclasses.dataclass(frozen=True, slots=True)
class Instruction:
    """Base of all instructions."""


@dataclasses.dataclass(frozen=True, slots=True)
class Check(Instruction):
    """Look at both ends before anything is touched: ``Checked``."""


@dataclasses.dataclass(frozen=True, slots=True)
class Reserve(Instruction):
    """Have room reserved at the destination: ``Reserved``, once.

    The promise is kept up until ``Release``, and ``BandwidthShared`` tells
    what the stream may use meanwhile, and before it is begun. For the shell,
    not the driver.

    :ivar images: what the disks need there that are copied along
    """

    images: tuple[image_room.Need, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Release(Instruction):
    """Give up the lease; for the shell, not the driver."""


@dataclasses.dataclass(frozen=True, slots=True)
class Start(Instruction):
    """Mark the instance with the migration's id, and start the job.

    Followed by ``Progressed`` and ``PassEnded`` while it runs, and by one
    ``CallReturned`` when it is over.

    :ivar options: the request's options as convergence settled them (the
        throttle's steps, say); None for the request's own
    """

    options: request.Options | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Follow(Instruction):
    """Watch a job that runs already, and was started by nobody here.

    Followed by the same as ``Start``: one ``CallReturned`` when the job is
    over, or not to be seen any more.
    """


@dataclasses.dataclass(frozen=True, slots=True)
class SetDowntime(Instruction):
    """Let the switch happen when it takes at most this long.

    Comes before ``Start`` as well, for a limit that holds from the first
    pass on; it comes again once the job is seen.
    """

    downtime_ms: int


@dataclasses.dataclass(frozen=True, slots=True)
class SetBandwidth(Instruction):
    """Limit the memory stream; 0 for no limit.

    Comes before ``Start`` as well, in place of the limit of its options; it
    comes again once the job is seen.
    """

    mib_s: int


@dataclasses.dataclass(frozen=True, slots=True)
class StartPostCopy(Instruction):
    """Run the guest on the destination now; its memory follows."""


@dataclasses.dataclass(frozen=True, slots=True)
class Abort(Instruction):
    """End the job and leave the guest on the source."""


@dataclasses.dataclass(frozen=True, slots=True)
class PausePostCopy(Instruction):
    """Have the source give up a stream over which nothing comes any more.

    The hypervisors may not have noticed that it is dead, and recover no
    other: ``PostCopyBroke`` follows, and nothing is lost.
    """


@dataclasses.dataclass(frozen=True, slots=True)
class Recover(Instruction):
    """Carry broken post-copy on over a new stream.

    Both ends are read again first. Followed by ``PostCopyBegun`` once memory
    comes again, and by one ``CallReturned`` when the call is over.
    """


@dataclasses.dataclass(frozen=True, slots=True)
class Mend(Instruction):
    """Do what cannot be undone to a copy that was left behind: ``Mended``.

    Both ends are read again right before, under the one lock of their
    instance. It is refused where they are not as *source* and *destination*
    say, where a job has begun since, and where a copy that is to be touched
    does not carry the mark of this migration, or is not ours to move.

    :ivar source_job: the source had a job already,
    :ivar destination_job: and the destination
    """

    action: verdicts.Action
    source: events.EndState
    destination: events.EndState
    source_job: bool = False
    destination_job: bool = False

    def job_since(self, source: events.End, destination: events.End) -> str:
        """Say on which end a job holds the instance by now; empty for none.

        Two running copies damage their disk, whatever job they are in: that
        they are suspended waits for none.
        """
        if self.action is verdicts.Action.SUSPEND_BOTH:
            return ''
        if source.job_active and not self.source_job:
            return 'source'
        if destination.job_active and not self.destination_job:
            return 'destination'
        return ''


@dataclasses.dataclass(frozen=True, slots=True)
class Unmark(Instruction):
    """Take the mark of this migration off both ends: ``Unmarked``.

    :ivar clean: it failed and is ours: images that it made on the
        destination go as well, where the instance is seen to have stayed
    :ivar never_left: the guest was never stopped on the source: where it has
        ended, it ended there
    :ivar ran_there: the guest ran on the destination: its images there may
        be the latest, and stay
    """

    clean: bool = False
    never_left: bool = False
    ran_there: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class LookAtEnds(Instruction):
    """Ask both ends what they have: ``EndsSeen``, once they were asked.

    :ivar delay_seconds: wait this long first; the ends were just asked and
        had not settled
    :ivar ran_there: the guest ran on the destination: whatever the ends say,
        images that were made for it there may be the latest, and stay
    """

    delay_seconds: float = 0.0
    ran_there: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class ReportProgress(Instruction):
    """Tell whoever watches how far it is; for the shell, not the driver.

    :ivar text: one line; of a decision, its reason
    :ivar decision: what was last decided; None where there was nothing to
        decide
    :ivar decisions: how many were carried out so far: the number of the last
        of them in the story
    :ivar remaining_seconds: until it is across; None where nobody can know
    :ivar expected_downtime_ms: how long the guest will stand still; likewise
    :ivar downtime_limit_ms: how long it may, as it is; 0 before it is set
    """

    state: str
    statistics: events.Statistics
    text: str
    decision: Decided | None = None
    decisions: int = 0
    remaining_seconds: float | None = None
    expected_downtime_ms: float | None = None
    downtime_limit_ms: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Conclude(Instruction):
    """Tell how it ended; for the shell, not the driver.

    Given once, or twice where the first outcome is that it is unknown.
    """

    outcome: outcome.Outcome
