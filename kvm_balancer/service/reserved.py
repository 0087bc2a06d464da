"""What one migration has reserved at its destination, as its runner knows it.

Who can be asked for it, and how it is kept, is for others
(:mod:`.reservations`); a migration by hand has nobody to ask.
"""

import collections.abc
import time
from typing import Protocol

from kvm_balancer.migration import events
from kvm_balancer.migration import image_room

#: Where events of one migration are put; returns at once.
Tell = collections.abc.Callable[[events.Event], None]


class Reservation(Protocol):
    """What one migration has reserved at its destination."""

    def reserve(
        self, tell: Tell, images: tuple[image_room.Need, ...] = ()
    ) -> None:
        """Begin to ask for it: ``Reserved`` is told once.

        It is kept until it is released or left, and ``BandwidthShared``
        told meanwhile, from any thread.

        :param images: what the disks need that are copied along
        """

    def share(self, tell: Tell) -> None:
        """Share the bandwidth again, for a job that is followed."""

    def release(self) -> None:
        """Give it back, if there is any; take no long time over it."""

    def leave(self) -> None:
        """Care for it no longer; it lapses unless it was released."""


#: What is said of it where there is nobody to ask.
UNRESERVED = events.Check(
    'reservation',
    events.Verdict.UNKNOWN,
    'none is reserved, as no executor is asked; what the destination has free '
    'may be promised to others',
    'see who is on the way there: kvm-balancer migrations list',
)


class Unreserved:
    """No reservation: there is nobody who could make it.

    The hypervisor's own look at what is free has to do.
    """

    def __init__(
        self, clock: collections.abc.Callable[[], float] = time.time
    ) -> None:
        self._clock = clock

    def reserve(
        self, tell: Tell, images: tuple[image_room.Need, ...] = ()
    ) -> None:
        tell(
            events.Reserved(
                at=self._clock(),
                cause='a migration by hand',
                checks=(UNRESERVED,),
            )
        )

    def share(self, tell: Tell) -> None:
        """Do nothing: nobody shares it out."""

    def release(self) -> None:
        """Do nothing: nothing was promised."""

    def leave(self) -> None:
        """Do nothing: nothing was promised."""
