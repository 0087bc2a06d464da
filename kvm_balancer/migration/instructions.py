"""Wishes of the machine of a migration, for a driver to carry out.

A driver answers each with events, never with a return value, and never
carries out what it was not told.
"""

import dataclasses

from kvm_balancer.migration import events
from kvm_balancer.migration import request
from kvm_balancer.model import outcome


@dataclasses.dataclass(frozen=True, slots=True)
class Instruction:
    """Base of all instructions."""


@dataclasses.dataclass(frozen=True, slots=True)
class Check(Instruction):
    """Look at both ends before anything is touched: ``Checked``."""


@dataclasses.dataclass(frozen=True, slots=True)
class Start(Instruction):
    """Start the job.

    Followed by ``Progressed`` and ``PassEnded`` while it runs, and by one
    ``CallReturned`` when it is over.

    :ivar options: the request's options as convergence settled them (the
        throttle's steps, say); None for the request's own
    """

    options: request.Options | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class SetDowntime(Instruction):
    """Let the switch happen when it takes at most this long.

    Comes before ``Start`` as well, for a limit that holds from the first
    pass on; it comes again once the job is seen.
    """

    downtime_ms: int


@dataclasses.dataclass(frozen=True, slots=True)
class SetBandwidth(Instruction):
    """Limit the memory stream; 0 for no limit."""

    mib_s: int


@dataclasses.dataclass(frozen=True, slots=True)
class StartPostCopy(Instruction):
    """Run the guest on the destination now; its memory follows."""


@dataclasses.dataclass(frozen=True, slots=True)
class Abort(Instruction):
    """End the job and leave the guest on the source."""


@dataclasses.dataclass(frozen=True, slots=True)
class LookAtEnds(Instruction):
    """Ask both ends what they have: ``EndsSeen``, once they were asked.

    :ivar delay_seconds: wait this long first; the ends were just asked and
        had not settled
    """

    delay_seconds: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class ReportProgress(Instruction):
    """Tell whoever watches how far it is; for the shell, not the driver."""

    state: str
    statistics: events.Statistics
    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Conclude(Instruction):
    """The migration is over; for the shell, not the driver."""

    outcome: outcome.Outcome
