"""The ends of passes: what each of them showed of the guest."""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Boundary:
    """What was left when a pass ended.

    :ivar passes: full passes done by then
    :ivar sent_mib: what had gone over the network by then; 0 where not told
    :ivar carried_mib: of memory, in the passes since the boundary before
    :ivar written_seconds: time in which the guest wrote since then, as if
        it had not been slowed down
    :ivar dirtied_mib: what got dirty in that time
    :ivar late_seconds: how long after it was answered what was left
    """

    at: float
    passes: int
    remaining_mib: float
    throttle_percent: int
    sent_mib: float
    carried_mib: float
    written_seconds: float
    dirtied_mib: float
    late_seconds: float

    @property
    def ratio(self) -> float:
        """What got dirty, of what was carried."""
        if self.carried_mib <= 0.0:
            return 1.0
        return self.dirtied_mib / self.carried_mib

    @property
    def shows(self) -> bool:
        """It has something to show of how the guest writes."""
        return self.dirtied_mib > 0.0 and self.written_seconds > 0.0
