"""One running migration: the call that carries it, and eyes on it.

The call blocks until the migration is over and has a thread of its own. A
second thread watches: libvirt's events wake it, and in between it asks for
the statistics of the job. Callbacks come from libvirt's event loop and only
leave a note for it.
"""

import collections.abc
import contextlib
import dataclasses
import enum
import logging
import queue
import threading
import time
from typing import Any

import libvirt

from kvm_balancer import errors
from kvm_balancer.migration import events
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import failures
from kvm_balancer.virt.libvirt import jobs

LOG = logging.getLogger(__name__)

Tell = collections.abc.Callable[[events.Event], None]

#: The call's work, given the connection of the source.
Call = collections.abc.Callable[[connection.Handle], None]

_EVENT = "libvirt's event"

#: The final figures travel beside the answer of the call, and may come
#: after it; so long they are waited for.
_SETTLE_SECONDS = 1.0

#: How often a job is told again to end that did not hear it.
_ABORT_AGAIN_SECONDS = 1.0


class _Kind(enum.Enum):
    PASS = enum.auto()
    STOPPED = enum.auto()
    POST_COPY = enum.auto()
    BROKEN = enum.auto()
    SETTLED = enum.auto()
    RETURNED = enum.auto()


@dataclasses.dataclass(frozen=True, slots=True)
class _Note:
    """Something seen, for the watching thread."""

    kind: _Kind
    at: float
    value: Any = None


@dataclasses.dataclass(frozen=True, slots=True)
class _Return:
    """How the call came back."""

    error: str
    lost: bool


#: Lifecycle events that mean something to a migration, by event and detail.
#: Each end sends its own.
_LIFECYCLE = {
    (
        libvirt.VIR_DOMAIN_EVENT_SUSPENDED,
        libvirt.VIR_DOMAIN_EVENT_SUSPENDED_MIGRATED,
    ): _Kind.STOPPED,
    (
        libvirt.VIR_DOMAIN_EVENT_SUSPENDED,
        libvirt.VIR_DOMAIN_EVENT_SUSPENDED_POSTCOPY,
    ): _Kind.POST_COPY,
    (
        libvirt.VIR_DOMAIN_EVENT_RESUMED,
        libvirt.VIR_DOMAIN_EVENT_RESUMED_POSTCOPY,
    ): _Kind.POST_COPY,
    (
        libvirt.VIR_DOMAIN_EVENT_SUSPENDED,
        libvirt.VIR_DOMAIN_EVENT_SUSPENDED_POSTCOPY_FAILED,
    ): _Kind.BROKEN,
}


class Watch:
    """The life of one migration in libvirt, told as events.

    Give :meth:`listen_source` and :meth:`listen_destination` as ``on_open``
    to the connections of the two ends.

    :param instance: uuid of the domain
    :param tell: takes the events, from any thread
    """

    def __init__(self, instance: str, tell: Tell, poll_seconds: float) -> None:
        self._instance = instance
        self._tell = tell
        self._poll_seconds = poll_seconds
        self._notes: queue.SimpleQueue[_Note] = queue.SimpleQueue()
        self._last = events.Statistics()
        self._abort_wanted = False
        self._abort_tried_at = 0.0
        self._stopped = False
        self._in_post_copy = False
        self._settled = False
        self._closed = threading.Event()

    def listen_source(self, handle: connection.Handle) -> list[int]:
        """Register for the source's events on a fresh connection."""
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

    def start(self, link: connection.Connection, call: Call) -> None:
        """Make the call and watch it, until it returns."""
        for target in (self._make_call, self._watch):
            threading.Thread(
                target=target,
                args=(link, call),
                name=f'migrate-{self._instance[:8]}',
                daemon=True,
            ).start()

    def abort(self, link: connection.Connection) -> None:
        """End the job now, or as soon as there is one.

        :raises Refused: when the job is past the point of return
        """
        self._abort_wanted = True
        try:
            self._try_abort(link)
        except failures.Refused:
            if self._in_post_copy:
                self._abort_wanted = False
                raise
            # The job is not there yet, or not any more.
        except errors.NotFound:
            pass

    def close(self) -> None:
        """Look away."""
        self._closed.set()

    # The call

    def _make_call(self, link: connection.Connection, call: Call) -> None:
        error, lost = '', False
        try:
            if self._abort_wanted:
                error = 'it was cancelled before it began'
            else:
                link.call(call)
        except errors.HypervisorUnreachable as found:
            error, lost = str(found), True
        except errors.KVMBalancerError as found:
            error = str(found)
        except Exception as found:
            # Whatever it was, the machine must not wait for ever.
            LOG.exception('The call that migrates broke')
            error = f'internal error: {found}'
        self._note(_Kind.RETURNED, _Return(error, lost))

    # The eyes

    def _watch(self, link: connection.Connection, _call: Call) -> None:
        while not self._closed.is_set():
            note = self._next(self._poll_seconds)
            if note is None:
                self._look(link)
            elif note.kind == _Kind.RETURNED:
                self._finish(note)
                return
            else:
                self._take(link, note)

    def _next(self, seconds: float) -> _Note | None:
        try:
            return self._notes.get(timeout=seconds)
        except queue.Empty:
            return None

    def _take(self, link: connection.Connection, note: _Note) -> None:
        match note.kind:
            case _Kind.PASS:
                self._end_pass(link, note)
            case _Kind.STOPPED:
                self._stopped = True
                self._tell(events.SourceStopped(at=note.at, cause=_EVENT))
            case _Kind.POST_COPY if not self._in_post_copy:
                self._in_post_copy = True
                self._tell(events.PostCopyBegun(at=note.at, cause=_EVENT))
            case _Kind.BROKEN if self._in_post_copy:
                self._in_post_copy = False
                self._tell(events.PostCopyBroke(at=note.at, cause=_EVENT))
            case _Kind.SETTLED:
                self._settle(note)

    def _end_pass(self, link: connection.Connection, note: _Note) -> None:
        # The remaining memory is accurate right now: ask at once. Where
        # libvirt has no answer the boundary still is one.
        self._read(link)
        self._last = dataclasses.replace(self._last, iteration=note.value)
        # The first begins and ends none; the last is the switch itself.
        if note.value > 1 and not (self._stopped or self._in_post_copy):
            self._tell(
                events.PassEnded(
                    at=note.at, cause=_EVENT, statistics=self._last
                )
            )

    def _look(self, link: connection.Connection) -> None:
        if self._abort_wanted:
            self._abort_again(link)
        if self._read(link):
            self._tell(
                events.Progressed(
                    at=time.time(),
                    cause='job statistics',
                    statistics=self._last,
                )
            )

    def _read(self, link: connection.Connection) -> bool:
        """Ask for the statistics; tell whether there is a job."""
        try:
            fields = link.call(
                lambda handle: handle.lookupByUUIDString(
                    self._instance
                ).jobStats()
            )
        except errors.KVMBalancerError:
            # Gone, unreachable, or "migration was active, but no RAM info
            # was set": the call will say what became of it.
            return False
        if not jobs.is_migration(fields):
            return False
        found = jobs.read_statistics(fields)
        if self._last.total_mib and not found.total_mib:
            # A job that is being undone has no figures any more.
            return False
        self._last = found
        return True

    def _settle(self, note: _Note) -> None:
        self._settled = True
        self._tell(
            events.JobSettled(
                at=note.at,
                cause=_EVENT,
                statistics=jobs.read_statistics(note.value),
                downtime_ms=jobs.downtime_ms(note.value),
            )
        )

    def _finish(self, returned: _Note) -> None:
        deadline = time.monotonic() + _SETTLE_SECONDS
        answer: _Return = returned.value
        while not (answer.error or self._settled or self._closed.is_set()):
            left = deadline - time.monotonic()
            note = self._next(left) if left > 0 else None
            if note is None:
                break
            if note.kind == _Kind.SETTLED:
                self._settle(note)
        self._tell(
            events.CallReturned(
                at=returned.at,
                cause='migrateToURI3',
                error=answer.error,
                events_lost=answer.lost,
            )
        )

    # The end of it, on demand

    def _try_abort(self, link: connection.Connection) -> None:
        self._abort_tried_at = time.monotonic()
        link.call(
            lambda handle: handle.lookupByUUIDString(self._instance).abortJob()
        )

    def _abort_again(self, link: connection.Connection) -> None:
        waited = time.monotonic() - self._abort_tried_at
        if waited >= _ABORT_AGAIN_SECONDS and not self._in_post_copy:
            # In a thread of its own: abortJob hangs where QEMU's monitor
            # is dead, and the eyes have to stay open.
            self._abort_tried_at = time.monotonic()
            threading.Thread(
                target=self._abort_quietly, args=(link,), daemon=True
            ).start()

    def _abort_quietly(self, link: connection.Connection) -> None:
        with contextlib.suppress(errors.KVMBalancerError):
            self._try_abort(link)

    # Called from libvirt's event loop

    def _note(self, kind: _Kind, value: Any = None) -> None:
        self._notes.put(_Note(kind, time.time(), value))

    def _is_ours(self, domain: Any) -> bool:
        return bool(domain.UUIDString() == self._instance)

    def _on_lifecycle(
        self, _handle: Any, domain: Any, event: int, detail: int, _data: Any
    ) -> None:
        kind = _LIFECYCLE.get((event, detail))
        if kind is not None and self._is_ours(domain):
            self._note(kind)

    def _on_arrival(
        self, _handle: Any, domain: Any, event: int, detail: int, _data: Any
    ) -> None:
        kind = _LIFECYCLE.get((event, detail))
        # The destination is "suspended for migration" from the start.
        if kind in (_Kind.POST_COPY, _Kind.BROKEN) and self._is_ours(domain):
            self._note(kind)

    def _on_pass(
        self, _handle: Any, domain: Any, iteration: int, _data: Any
    ) -> None:
        if self._is_ours(domain):
            self._note(_Kind.PASS, iteration)

    def _on_settled(
        self, _handle: Any, domain: Any, fields: Any, _data: Any
    ) -> None:
        if self._is_ours(domain) and jobs.is_migration(fields):
            self._note(_Kind.SETTLED, dict(fields))
