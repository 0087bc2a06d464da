"""What a host has for instances: memory, room for disks, and who has it.

Pure. Hypervisors tell it, and :mod:`.reservation` reckons with it.
"""

import dataclasses

from kvm_balancer.migration import image_room

#: Pool of the memory that is not in huge pages.
ORDINARY = None


@dataclasses.dataclass(frozen=True, slots=True)
class Occupant:
    """An instance that the hypervisor has, or is about to have.

    :ivar arriving: its memory is still to come, and to be filled
    :ivar starting: it does not even hold the huge pages that it will be in
    """

    id: str
    memory_mib: float
    arriving: bool = False
    starting: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Capacity:
    """What memory a host has at one moment, and who is in it.

    :ivar total_mib: all memory of the host
    :ivar free_mib: what the kernel could give away now; None where that is
        not known, and only what instances were given counts
    :ivar huge_free_mib: free huge pages, by their size in KiB
    :ivar occupants: active instances
    :ivar directories: for images, by their paths; those that were asked for
    """

    total_mib: float
    free_mib: float | None = None
    huge_free_mib: dict[int, float] = dataclasses.field(default_factory=dict)
    occupants: tuple[Occupant, ...] = ()
    directories: dict[str, image_room.Directory] = dataclasses.field(
        default_factory=dict
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Terms:
    """What the operator lets come.

    :ivar memory_reserved_mib: for the host itself
    :ivar memory_allocation_ratio: MiB given away for each MiB there is
    :ivar max_incoming: migrations that may come at a time
    """

    memory_reserved_mib: float = 0.0
    memory_allocation_ratio: float = 1.0
    max_incoming: int = 2
