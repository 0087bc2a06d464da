"""The mark that an instance carries while it is migrated. Pure.

It travels with the instance, so that whoever finds a copy, on either host
and after whatever crash, knows which migration left it there.
"""

import dataclasses

from kvm_balancer.migration import request


@dataclasses.dataclass(frozen=True, slots=True)
class Mark:
    """Which migration an instance is in, and all it takes to look after it.

    :ivar accepted_at: seconds since the epoch
    :ivar images: that were made on the destination for its disks, each where
        there was no file before
    """

    migration_id: str
    source: str
    destination: str
    destination_uri: str
    accepted_at: float = 0.0
    images: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Marked:
    """A copy that carries a mark.

    :ivar instance: its uuid
    """

    instance: str
    mark: Mark


def of(wanted: request.Request, images: tuple[str, ...] = ()) -> Mark:
    """Return the mark of a migration.

    :param images: made on the destination for its disks
    """
    return Mark(
        migration_id=wanted.migration_id,
        source=wanted.source,
        destination=wanted.destination,
        destination_uri=wanted.destination_uri,
        accepted_at=wanted.accepted_at,
        images=images,
    )


def request_of(found: Marked) -> request.Request:
    """Return what a mark still says of the command that it comes from."""
    mark = found.mark
    return request.Request(
        migration_id=mark.migration_id,
        instance=found.instance,
        source=mark.source,
        destination=mark.destination,
        destination_uri=mark.destination_uri,
        accepted_at=mark.accepted_at,
    )
