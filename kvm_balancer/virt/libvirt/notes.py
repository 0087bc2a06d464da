"""What libvirt's events say of one migration, noted for its watcher.

Callbacks come from libvirt's event loop, which serves every connection of
the process: they leave a note and return.
"""

import dataclasses
import enum
import queue
from typing import Any

import libvirt

from kvm_balancer.virt import steady
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import jobs


class Kind(enum.Enum):
    """What a note is about."""

    BEGUN = enum.auto()
    PASS = enum.auto()
    STOPPED = enum.auto()
    ARRIVED = enum.auto()
    POST_COPY = enum.auto()
    BROKEN = enum.auto()
    SETTLED = enum.auto()
    RETURNED = enum.auto()
    CLOSED = enum.auto()


@dataclasses.dataclass(frozen=True, slots=True)
class Note:
    """Something seen, for the watching thread."""

    kind: Kind
    at: float
    value: Any = None


#: Lifecycle events that mean something to a migration, by event and detail.
#: Each end sends its own.
_LIFECYCLE = {
    (
        libvirt.VIR_DOMAIN_EVENT_SUSPENDED,
        libvirt.VIR_DOMAIN_EVENT_SUSPENDED_MIGRATED,
    ): Kind.STOPPED,
    (
        libvirt.VIR_DOMAIN_EVENT_RESUMED,
        libvirt.VIR_DOMAIN_EVENT_RESUMED_MIGRATED,
    ): Kind.ARRIVED,
    (
        libvirt.VIR_DOMAIN_EVENT_SUSPENDED,
        libvirt.VIR_DOMAIN_EVENT_SUSPENDED_POSTCOPY,
    ): Kind.POST_COPY,
    (
        libvirt.VIR_DOMAIN_EVENT_RESUMED,
        libvirt.VIR_DOMAIN_EVENT_RESUMED_POSTCOPY,
    ): Kind.POST_COPY,
    (
        libvirt.VIR_DOMAIN_EVENT_SUSPENDED,
        libvirt.VIR_DOMAIN_EVENT_SUSPENDED_POSTCOPY_FAILED,
    ): Kind.BROKEN,
    (
        libvirt.VIR_DOMAIN_EVENT_RESUMED,
        libvirt.VIR_DOMAIN_EVENT_RESUMED_POSTCOPY_FAILED,
    ): Kind.BROKEN,
}


class Notes:
    """Notes about one domain, in the order in which they were taken.

    Give :meth:`listen_source` and :meth:`listen_destination` as ``on_open``
    to the connections of the two ends.

    :param clock: tells when a note is taken
    :ivar openings: how many connections have listened to the source
    """

    def __init__(self, instance: str, clock: steady.Clock) -> None:
        self._clock = clock
        self._instance = instance
        self.openings = 0
        self._taken: queue.SimpleQueue[Note] = queue.SimpleQueue()

    def take(self, kind: Kind, value: Any = None) -> None:
        """Take a note, now."""
        self._taken.put(Note(kind, self._clock(), value))

    def next(self, seconds: float | None) -> Note | None:
        """Return the next note; None when there is none in time."""
        try:
            return self._taken.get(timeout=seconds)
        except queue.Empty:
            return None

    def listen_source(self, handle: connection.Handle) -> list[int]:
        """Register for the source's events on a fresh connection."""
        self.openings += 1
        return [
            handle.domainEventRegisterAny(None, event, callback, None)
            for event, callback in (
                (libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._on_lifecycle),
                (
                    libvirt.VIR_DOMAIN_EVENT_ID_MIGRATION_ITERATION,
                    self._on_pass,
                ),
                (libvirt.VIR_DOMAIN_EVENT_ID_JOB_COMPLETED, self._on_settled),
            )
        ]

    def listen_destination(self, handle: connection.Handle) -> list[int]:
        """Register for the destination's events on a fresh connection."""
        return [
            handle.domainEventRegisterAny(
                None,
                libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                self._on_arrival,
                None,
            )
        ]

    def _is_ours(self, domain: Any) -> bool:
        return bool(domain.UUIDString() == self._instance)

    def _on_lifecycle(
        self, _handle: Any, domain: Any, event: int, detail: int, _data: Any
    ) -> None:
        kind = _LIFECYCLE.get((event, detail))
        # The source is "resumed after migration" where that failed.
        if kind not in (None, Kind.ARRIVED) and self._is_ours(domain):
            self.take(kind)

    def _on_arrival(
        self, _handle: Any, domain: Any, event: int, detail: int, _data: Any
    ) -> None:
        kind = _LIFECYCLE.get((event, detail))
        # The destination is "suspended for migration" from the start.
        told = (Kind.ARRIVED, Kind.POST_COPY, Kind.BROKEN)
        if kind in told and self._is_ours(domain):
            self.take(kind)

    def _on_pass(
        self, _handle: Any, domain: Any, iteration: int, _data: Any
    ) -> None:
        if self._is_ours(domain):
            self.take(Kind.PASS, iteration)

    def _on_settled(
        self, _handle: Any, domain: Any, fields: Any, _data: Any
    ) -> None:
        if self._is_ours(domain) and jobs.is_migration(fields):
            self.take(Kind.SETTLED, dict(fields))
