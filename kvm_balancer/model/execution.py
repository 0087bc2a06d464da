"""Where a plan, and each of its moves, stands while it is carried out."""

import enum


class PlanMode(enum.StrEnum):
    """What becomes of a plan once it is made."""

    #: it is shown and kept, and never carried out
    ADVISE = 'advise'
    AUTOMATIC = 'automatic'


class PlanState(enum.StrEnum):
    """Where a plan stands."""

    #: made in the mode ``advise``
    ADVISED = 'advised'
    RUNNING = 'running'
    #: each of its moves ended or was dropped
    FINISHED = 'finished'
    #: given up before its end: a newer plan or an operator took its place
    STOPPED = 'stopped'


class MoveState(enum.StrEnum):
    """Where a move of a plan stands; the last five are for good."""

    PLANNED = 'planned'
    DISPATCHED = 'dispatched'
    COMPLETED = 'completed'
    FAILED = 'failed'
    CANCELLED = 'cancelled'
    UNKNOWN = 'unknown'
    #: no longer made sense, or was refused, when its turn came
    DROPPED = 'dropped'
