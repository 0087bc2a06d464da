"""One running migration: the call that carries it, and eyes on it.

The call blocks until the migration is over and has a thread of its own. A
second thread watches: libvirt's events wake it, and in between it asks for
the statistics of the job. Callbacks come from libvirt's event loop and only
leave a note for it.
"""

import collections.abc
import contextlib
import dataclasses
import logging
import threading
import time

from kvm_balancer import errors
from kvm_balancer.migration import events
from kvm_balancer.virt import steady
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import failures
from kvm_balancer.virt.libvirt import jobs
from kvm_balancer.virt.libvirt import lines
from kvm_balancer.virt.libvirt import notes

LOG = logging.getLogger(__name__)

Tell = collections.abc.Callable[[events.Event], None]

#: The call's work, given the connection of the source.
Call = collections.abc.Callable[[connection.Handle], None]

_EVENT = "libvirt's event"

#: The final figures, or the word that post-copy broke, travel beside the
#: answer of the call and may come after it; so long they are waited for.
_SETTLE_SECONDS = 1.0

#: How often a job is told again to end that did not hear it.
_ABORT_AGAIN_SECONDS = 1.0


@dataclasses.dataclass(frozen=True, slots=True)
class _Return:
    """How the call came back."""

    error: str
    lost: bool


class Watch:
    """The life of one migration in libvirt, told as events.

    :param instance: uuid of the domain
    :param heard: notes of what its two ends say
    :param links: the connections that it is watched and ended by
    :param tell: takes the events, from any thread
    :param clock: tells when they happen
    """

    def __init__(
        self,
        instance: str,
        heard: notes.Notes,
        links: lines.Lines,
        tell: Tell,
        poll_seconds: float,
        clock: steady.Clock,
    ) -> None:
        self._clock = clock
        self._instance = instance
        self._heard = heard
        self._links = links
        self._tell = tell
        self._poll_seconds = poll_seconds
        self._last = events.Statistics()
        self._abort_wanted = False
        self._abort_tried_at = 0.0
        self._stopped = False
        self._in_post_copy = False
        self._settled = False
        self._listening: int | None = None
        self._closed = threading.Event()

    def start(self, call: Call) -> None:
        """Make the call and watch it, until it returns."""
        self._spawn(lambda: self._watch(call))

    def abort(self) -> None:
        """End the job now, or as soon as there is one.

        :raises Refused: when the job is past the point of return
        """
        self._abort_wanted = True
        try:
            self._try_abort()
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
        self._heard.take(notes.Kind.CLOSED)

    def _spawn(self, work: collections.abc.Callable[[], None]) -> None:
        threading.Thread(
            target=work, name=f'migrate-{self._instance[:8]}', daemon=True
        ).start()

    # The call

    def _make_call(self, call: Call) -> None:
        error, lost = '', False
        try:
            if self._abort_wanted:
                error = 'it was cancelled before it began'
            else:
                self._links.call.call(call)
        except errors.HypervisorUnreachable as found:
            error, lost = str(found), True
        except errors.KVMBalancerError as found:
            error = str(found)
        except Exception as found:
            # Whatever it was, the machine must not wait for ever.
            LOG.exception('The call that migrates broke')
            error = f'internal error: {found}'
        self._heard.take(notes.Kind.RETURNED, _Return(error, lost))

    # The eyes

    def _watch(self, call: Call) -> None:
        self._listening = self._listens()
        if self._listening is None:
            # What happened without eyes on it would be missed.
            self._heard.take(
                notes.Kind.RETURNED,
                _Return("the source's events cannot be heard", lost=False),
            )
        else:
            self._spawn(lambda: self._make_call(call))
        wait: float | None = self._poll_seconds
        while not self._closed.is_set():
            note = self._heard.next(wait)
            if note is None:
                self._look()
            elif note.kind == notes.Kind.RETURNED:
                self._finish(note)
                # What was said before the call returned may come after.
                wait = None
            else:
                self._take(note)

    def _take(self, note: notes.Note) -> None:
        match note.kind:
            case notes.Kind.PASS:
                self._end_pass(note)
            case notes.Kind.STOPPED:
                self._stopped = True
                self._tell(events.SourceStopped(at=note.at, cause=_EVENT))
            case notes.Kind.POST_COPY if not self._in_post_copy:
                self._in_post_copy = True
                self._tell(events.PostCopyBegun(at=note.at, cause=_EVENT))
            case notes.Kind.BROKEN if self._in_post_copy:
                self._in_post_copy = False
                self._tell(events.PostCopyBroke(at=note.at, cause=_EVENT))
            case notes.Kind.SETTLED:
                self._settle(note)

    def _end_pass(self, note: notes.Note) -> None:
        # The remaining memory is accurate right now: ask at once. Where
        # libvirt has no answer the boundary still is one.
        self._read()
        self._last = dataclasses.replace(self._last, iteration=note.value)
        # The first begins and ends none; the last is the switch itself.
        if note.value > 1 and not (self._stopped or self._in_post_copy):
            self._tell(
                events.PassEnded(
                    at=note.at, cause=_EVENT, statistics=self._last
                )
            )

    def _look(self) -> None:
        if self._abort_wanted:
            self._abort_again()
        if self._read():
            self._tell(
                events.Progressed(
                    at=self._clock(),
                    cause='job statistics',
                    statistics=self._last,
                )
            )

    def _read(self) -> bool:
        """Ask for the statistics; tell whether there is a job."""
        try:
            fields = self._links.eyes.call(
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

    def _listens(self) -> int | None:
        """Say which connection hears the source's events now.

        Its answer comes after the events that libvirt sent before.

        :returns: another number for each; None when there is none
        """
        try:
            self._links.eyes.call(lambda handle: handle.getLibVersion())
        except errors.KVMBalancerError:
            return None
        return self._heard.openings

    def _settle(self, note: notes.Note) -> None:
        self._settled = True
        self._tell(
            events.JobSettled(
                at=note.at,
                cause=_EVENT,
                statistics=jobs.read_statistics(note.value),
                downtime_ms=jobs.downtime_ms(note.value),
            )
        )

    def _finish(self, returned: notes.Note) -> None:
        answer: _Return = returned.value
        deadline = time.monotonic() + _SETTLE_SECONDS
        while self._awaits_word(answer) and not self._closed.is_set():
            left = deadline - time.monotonic()
            note = self._heard.next(left) if left > 0 else None
            if note is None:
                break
            self._take(note)
        self._tell(
            events.CallReturned(
                at=returned.at,
                cause='migrateToURI3',
                error=answer.error,
                events_lost=(
                    answer.lost or self._listens() != self._listening
                ),
            )
        )

    def _awaits_word(self, answer: _Return) -> bool:
        """Tell whether libvirt has more to say about how it ended."""
        if answer.error:
            return self._in_post_copy and not answer.lost
        return not self._settled

    # The end of it, on demand

    def _try_abort(self) -> None:
        self._abort_tried_at = time.monotonic()
        self._links.hands.call(
            lambda handle: handle.lookupByUUIDString(self._instance).abortJob()
        )

    def _abort_again(self) -> None:
        waited = time.monotonic() - self._abort_tried_at
        if waited >= _ABORT_AGAIN_SECONDS and not self._in_post_copy:
            # In a thread of its own: abortJob hangs where QEMU's monitor
            # is dead, and the eyes have to stay open.
            self._abort_tried_at = time.monotonic()
            threading.Thread(target=self._abort_quietly, daemon=True).start()

    def _abort_quietly(self) -> None:
        with contextlib.suppress(errors.KVMBalancerError):
            self._try_abort()
