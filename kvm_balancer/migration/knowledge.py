"""What an executor has to know of a migration after it died. Pure.

The hypervisors show where an instance is, and not where it has been. What was
seen of that decides which copy may run, so it is written down before anything
is done that follows from it.
"""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Knowledge:
    """What was seen, and what was told, of one migration so far.

    :ivar across: all of the memory is on the destination
    :ivar ran_there: the guest was seen to run on the destination
    :ivar ran_back: the source was seen to go on after either of the two
    :ivar guest_paused: somebody paused the guest while it was copied
    :ivar told: the finding with which it was last told that the outcome is
        unknown; empty where none was
    """

    across: bool = False
    ran_there: bool = False
    ran_back: bool = False
    guest_paused: bool = False
    told: str = ''


#: Nothing was seen, and nothing told.
NOTHING = Knowledge()
