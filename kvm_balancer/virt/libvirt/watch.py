"""One running migration: the call that carries it, and eyes on it.

The call blocks until the migration is over and has a thread of its own. A
second thread watches: libvirt's events wake it, and in between it asks for
the statistics of the job (:mod:`.sight`). Callbacks come from libvirt's event
loop and only leave a note for it.
"""

import collections.abc
import dataclasses
import logging
import threading
import time

from kvm_balancer import errors
from kvm_balancer.migration import events
from kvm_balancer.virt import steady
from kvm_balancer.virt.libvirt import abort
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import failures
from kvm_balancer.virt.libvirt import jobs
from kvm_balancer.virt.libvirt import lines
from kvm_balancer.virt.libvirt import notes
from kvm_balancer.virt.libvirt import sight

LOG = logging.getLogger(__name__)

Tell = collections.abc.Callable[[events.Event], None]

#: The call's work, given the connection of the source.
Call = collections.abc.Callable[[connection.Handle], None]

_State = events.EndState

#: The final figures, or the word that post-copy broke, travel beside the
#: answer of the call and may come after it; so long they are waited for.
_SETTLE_SECONDS = 1.0


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
        self._instance = instance
        self._heard = heard
        self._links = links
        self._tell = tell
        self._poll_seconds = poll_seconds
        self._sight = sight.Sight(instance, links.eyes, heard, tell, clock)
        self._abort = abort.Abort(links.hands, instance)
        self._listening: int | None = None
        self._watching = False
        #: a call is under way
        self._calling = False
        #: a job is, and nobody here called for it
        self._following = False
        #: post-copy is to begin again, which no event tells
        self._recovering = False
        self._closed = threading.Event()

    def start(self, call: Call, recovers: bool = False) -> None:
        """Make the call and watch it, until it returns.

        :param recovers: it carries broken post-copy on
        :raises HypervisorError: while another one has not returned
        """
        if self._calling:
            raise errors.HypervisorError('the call has not come back yet')
        self._calling = True
        self._recovering = recovers
        if recovers:
            # It came too late.
            self._abort.wanted = False
        self._begin(call)

    def follow(self) -> None:
        """Watch a job that was begun by others, until it is over.

        One that was begun here is watched for as long as its call lasts.
        """
        if not self._calling:
            self._begin(None)

    def _begin(self, call: Call | None) -> None:
        if not self._watching:
            self._watching = True
            self._spawn(self._watch)
        self._heard.take(notes.Kind.BEGUN, call)

    def abort(self) -> None:
        """End the job now, or as soon as there is one.

        :raises Refused: when the job is past the point of return
        """
        self._abort.wanted = True
        try:
            self._abort.tell()
        except failures.Refused:
            if self._sight.in_post_copy:
                self._abort.wanted = False
                raise
            # The job is not there yet, or not any more.
        except errors.NotFound:
            pass

    def pause_post_copy(self) -> None:
        """Have the source give up the stream of post-copy.

        :raises Refused: when there is none
        """
        self._links.hands.call(
            lambda handle: handle.lookupByUUIDString(
                self._instance
            ).abortJobFlags(jobs.ABORT_POST_COPY)
        )

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
            if self._abort.wanted:
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
        self._calling = False
        self._heard.take(notes.Kind.RETURNED, _Return(error, lost))

    # The eyes

    def _watch(self) -> None:
        wait: float | None = None
        while not self._closed.is_set():
            note = self._heard.next(wait)
            if note is None:
                self._look()
            elif note.kind == notes.Kind.BEGUN:
                self._set_out(note.value)
                wait = self._poll_seconds
            elif note.kind == notes.Kind.RETURNED:
                self._finish(note)
                # What was said before the call returned may come after.
                wait = None
            else:
                self._take(note)

    def _set_out(self, call: Call | None) -> None:
        self._sight.settled = False
        self._listening = self._listens()
        if self._listening is None:
            # What happened without eyes on it would be missed.
            self._calling = False
            self._return("the source's events cannot be heard", call is None)
        elif call is not None:
            self._spawn(lambda: self._make_call(call))
        else:
            self._following = True
            self._look()

    def _return(self, error: str = '', lost: bool = False) -> None:
        """Say that nothing is to be watched any more."""
        self._following = False
        self._heard.take(notes.Kind.RETURNED, _Return(error, lost))

    def _take(self, note: notes.Note) -> None:
        seen_before = self._sight.in_post_copy
        if note.kind is notes.Kind.POST_COPY and not seen_before:
            self._recovering = False
        self._sight.take(note)

    def _look(self) -> None:
        if self._abort.wanted and not self._sight.in_post_copy:
            self._abort.tell_again()
        if self._following or self._recovering:
            self._look_at_source()
        self._sight.look()

    def _look_at_source(self) -> None:
        """See in the state of the source what no event may tell.

        A recovery that goes well sends none.
        """
        try:
            end = self._sight.source()
        except errors.HypervisorUnreachable as error:
            if self._following:
                self._return(str(error), lost=True)
            return
        except errors.NotFound:
            if self._following:
                self._return()
            return
        except errors.KVMBalancerError:
            # It answers, and may be busy.
            return
        if self._following and end.state is not _State.POST_COPY:
            self._judge_followed(end)

    def _judge_followed(self, end: events.End) -> None:
        if end.state is _State.POST_COPY_FAILED:
            self._sight.in_post_copy = True
            self._heard.take(notes.Kind.BROKEN)
            self._return('the stream of post-copy broke')
        elif not end.job_active:
            self._return()
        elif end.state is _State.PAUSED_MIGRATION and not self._sight.stopped:
            self._heard.take(notes.Kind.STOPPED)

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
            return self._sight.in_post_copy and not answer.lost
        return not self._sight.settled
