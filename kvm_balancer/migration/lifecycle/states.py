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


def stays_unknown(unknown: bool, told: bool, state: str) -> bool:
    """Say whether nobody knows where a migration stands, by its last state.

    One that was told to be unknown stays so until somebody follows it again.
    It may be unknown once more then, without being told a second time.

    :param unknown: whether it was so until now
    :param told: it was told that it is unknown, at any time
    """
    if state in FOLLOWED:
        return False
    return unknown or (told and state == State.UNKNOWN)
