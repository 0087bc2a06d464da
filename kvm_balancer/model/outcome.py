"""How a migration ended, and the story of how it got there."""

import dataclasses
import enum

from kvm_balancer.model import plan
from kvm_balancer.model import track as tracks


class OutcomeKind(enum.StrEnum):
    """The four ends of a migration."""

    COMPLETED = 'completed'
    FAILED = 'failed'
    CANCELLED = 'cancelled'
    #: neither end could be made sure of: nothing more is done to it
    UNKNOWN = 'unknown'


@dataclasses.dataclass(frozen=True, slots=True)
class StoryLine:
    """One step in the life of a migration.

    :ivar at: seconds since the epoch
    :ivar state: the state that was entered, or was stayed in
    :ivar text: what happened, and why that led here
    :ivar decision: its number, from 1, where something was decided; else 0
    """

    at: float
    state: str
    text: str
    decision: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """The record of one finished migration.

    :ivar total_ms: from the command's acceptance to the verified end
    :ivar downtime_ms: None where the hypervisor did not tell
    :ivar track: its figures over time, as far as they were seen
    :ivar copying_ms: while its memory was copied; None where it was not seen
        from the first page to the last, or broke in between
    :ivar fixed_ms: what both ends took before and after, without disks; None
        as before
    """

    migration_id: str
    instance: str
    source: str
    destination: str
    outcome: OutcomeKind
    mode: plan.Mode
    reason: str
    accepted_at: float
    ended_at: float
    total_ms: float
    downtime_ms: float | None
    transferred_mib: float
    iterations: int
    max_throttle_percent: int
    predicted: plan.Prediction | None
    story: tuple[StoryLine, ...] = ()
    plan_id: str = ''
    track: tracks.Track = dataclasses.field(default_factory=tracks.Track)
    copying_ms: float | None = None
    fixed_ms: float | None = None
