"""How a migration went over time, as columns: what is drawn of it."""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Mark:
    """A state that was entered.

    :ivar seconds: since the migration was accepted
    """

    seconds: float
    state: str


@dataclasses.dataclass(frozen=True, slots=True)
class Track:
    """Figures of one migration over time; all columns are of one length.

    Bounded, however long it took: of what lies on a line between its
    neighbours not every point is kept.

    :ivar begun_at: when it was accepted, seconds since the epoch
    :ivar seconds: since then, never falling
    :ivar remaining_mib: memory that was left
    :ivar disk_remaining_mib: disks that were left
    :ivar bandwidth_mib_s: 0 where it was not told
    :ivar dirty_rate_mib_s: as the hypervisor measured it
    :ivar throttle_percent: how much the guest was slowed down
    :ivar passes: begun over the memory; it rises where a pass ended
    :ivar states: in the order in which they were entered
    """

    begun_at: float = 0.0
    seconds: tuple[float, ...] = ()
    remaining_mib: tuple[float, ...] = ()
    disk_remaining_mib: tuple[float, ...] = ()
    bandwidth_mib_s: tuple[float, ...] = ()
    dirty_rate_mib_s: tuple[float, ...] = ()
    throttle_percent: tuple[int, ...] = ()
    passes: tuple[int, ...] = ()
    states: tuple[Mark, ...] = ()

    def __post_init__(self) -> None:
        lengths = {
            len(column)
            for column in (
                self.seconds,
                self.remaining_mib,
                self.disk_remaining_mib,
                self.bandwidth_mib_s,
                self.dirty_rate_mib_s,
                self.throttle_percent,
                self.passes,
            )
        }
        if len(lengths) > 1:
            raise ValueError('the columns of a track differ in length')

    def __len__(self) -> int:
        return len(self.seconds)
