"""The states of a migration.

A migration is requested, checked, prepared and copied; the guest is then
switched over, with all of its memory (pre-copy) or with the rest of it to
follow (post-copy); post-copy whose stream broke is recovered; the call
finishes, and both ends are verified. Three ends are for good. That it is
unknown is told as an outcome, and looked into until it is known.
"""

import enum


class State(enum.StrEnum):
    """Where a migration stands."""

    REQUESTED = 'requested'
    PRE_FLIGHT = 'pre-flight'
    PREPARING = 'preparing'
    COPYING_STORAGE = 'copying storage'
    PRE_COPY = 'pre-copy'
    SWITCHOVER = 'switchover'
    POST_COPY = 'post-copy'
    POST_COPY_PAUSED = 'post-copy paused'
    RECOVERING = 'recovering'
    FINISHING = 'finishing'
    VERIFYING = 'verifying'
    COMPLETED = 'completed'
    FAILED = 'failed'
    CANCELLED = 'cancelled'
    UNKNOWN = 'unknown'

    @property
    def ended(self) -> bool:
        """True where nothing follows."""
        return self in ENDS


ENDS = frozenset({State.COMPLETED, State.FAILED, State.CANCELLED})

#: Somebody follows its job: what was not known of it before is known again.
FOLLOWED = frozenset(
    {
        State.PRE_FLIGHT,
        State.PREPARING,
        State.COPYING_STORAGE,
        State.PRE_COPY,
        State.SWITCHOVER,
        State.POST_COPY,
    }
)
