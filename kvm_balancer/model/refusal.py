"""Why a sample was not taken into the fleet: the words they are counted by.

Owns the words alone. That a sample is well-formed is found out by
``messages.sample``; that its time has come, by :mod:`.arrivals`.
"""

import enum


class Cause(enum.StrEnum):
    """What is wrong with a sample that was refused."""

    #: not JSON, or no object
    MALFORMED = 'malformed'
    #: of a schema or version that is not known here
    SCHEMA = 'schema'
    #: more bytes or instances than a host can have
    TOO_LARGE = 'too-large'
    #: a field is missing, or is of another type
    WRONG_TYPE = 'wrong-type'
    NOT_A_NUMBER = 'not-a-number'
    NEGATIVE = 'negative'
    #: a number or a text beyond what any host has
    ABSURD = 'absurd'
    UNEQUAL_COLUMNS = 'unequal-columns'
    DUPLICATE_INSTANCE = 'duplicate-instance'
    #: taken later than now
    FUTURE = 'future'
    #: taken so long ago that its host would count as silent
    STALE = 'stale'
    #: taken before the last one of its host
    OLDER = 'older'
    #: seen before: its sequence number is not above the last one's
    REPLAYED = 'replayed'
