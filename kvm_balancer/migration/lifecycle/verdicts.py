"""What a verdict over a pair of ends is: an outcome, and what to do about it.

Those that there are, in words for the operator, are in :mod:`.cases`.
"""

import dataclasses
import enum

from kvm_balancer.model import outcome


class Action(enum.StrEnum):
    """What has to be done about a pair of ends."""

    NONE = 'nothing'
    WAIT = 'wait'
    RESUME_SOURCE = 'resume the source'
    DESTROY_SOURCE = 'remove what is left on the source'
    DESTROY_DESTINATION = 'remove the unstarted copy on the destination'
    RESUME_DESTINATION = 'resume the destination'
    RECOVER_POST_COPY = 'recover post-copy'
    SUSPEND_BOTH = 'suspend both copies and call a person'
    CALL_A_PERSON = 'call a person'


#: What a driver may be told to do, by :class:`..instructions.Mend`.
MENDABLE = frozenset(
    {
        Action.RESUME_SOURCE,
        Action.DESTROY_SOURCE,
        Action.DESTROY_DESTINATION,
        Action.RESUME_DESTINATION,
        Action.SUSPEND_BOTH,
    }
)


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """What a pair of ends means.

    :ivar outcome: how the migration ended, if the ends stay as they are
    :ivar looks: how often in a row the ends must say so before it is
        believed; 1 for what is settled at once
    :ivar reason: what was found, for the operator
    :ivar advice: what to do about it; empty where there is nothing to do
    """

    outcome: outcome.OutcomeKind
    action: Action
    looks: int
    reason: str
    advice: str = ''
