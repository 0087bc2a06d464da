"""The mark that an instance carries while it is migrated. Pure.

It travels with the instance, so that whoever finds a copy, on either host
and after whatever crash, knows which migration left it there.
"""

import dataclasses

from kvm_balancer.migration import request


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """What the migrations of an instance are limited to."""

    downtime_ms: int
    bandwidth_mib_s: int
    post_copy_mib_s: int


@dataclasses.dataclass(frozen=True, slots=True)
class Card:
    """A network card of an instance, where it was before it left.

    :ivar port: of the bridge
    """

    bridge: str
    mac: str
    port: str


@dataclasses.dataclass(frozen=True, slots=True)
class Mark:
    """Which migration an instance is in, and all it takes to look after it.

    :ivar accepted_at: seconds since the epoch
    :ivar images: that were made on the destination for its disks, each where
        there was no file before
    :ivar planned: images that are about to be made: what is found of them is
        empty, as nothing is copied before they count as made
    :ivar limits: as they were before this migration; None where not noted
    :ivar cards: of which bridges of the source can tell
    """

    migration_id: str
    source: str
    destination: str
    destination_uri: str
    accepted_at: float = 0.0
    images: tuple[str, ...] = ()
    planned: tuple[str, ...] = ()
    limits: Limits | None = None
    cards: tuple[Card, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Marked:
    """A copy that carries a mark.

    :ivar instance: its uuid
    """

    instance: str
    mark: Mark


def of(
    wanted: request.Request,
    images: tuple[str, ...] = (),
    planned: tuple[str, ...] = (),
    limits: Limits | None = None,
    cards: tuple[Card, ...] = (),
) -> Mark:
    """Return the mark of a migration.

    :param images: made on the destination for its disks
    :param planned: about to be made there
    :param limits: as they were before it
    :param cards: where they were before it
    """
    return Mark(
        migration_id=wanted.migration_id,
        source=wanted.source,
        destination=wanted.destination,
        destination_uri=wanted.destination_uri,
        accepted_at=wanted.accepted_at,
        images=images,
        planned=planned,
        limits=limits,
        cards=cards,
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
