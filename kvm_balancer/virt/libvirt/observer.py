"""Eyes on a migration that somebody else carries out.

By a connection of its own that is read-only: whatever goes wrong here, the
domain is its owner's alone.
"""

import logging
import threading

from kvm_balancer import errors
from kvm_balancer.migration import events
from kvm_balancer.virt import driver
from kvm_balancer.virt import steady
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import notes
from kvm_balancer.virt.libvirt import sight

LOG = logging.getLogger(__name__)


class LibvirtObserver(driver.Observer):
    """Watches the next job that takes a domain away, to its end.

    :param instance: uuid of the domain
    :param uri: of the source
    :param clock: tells when the events happen
    """

    def __init__(
        self,
        instance: str,
        uri: str,
        timing: connection.Timing,
        sink: driver.Sink,
        poll_seconds: float,
        clock: steady.Clock,
    ) -> None:
        self._instance = instance
        self._sink = sink
        self._poll_seconds = poll_seconds
        self._clock = clock
        self._telling = threading.Lock()
        self._closed = threading.Event()
        self._heard = notes.Notes(instance, clock)
        self._eyes = connection.Connection(
            uri, timing, self._heard.listen_source, read_only=True
        )
        self._sight = sight.Sight(
            instance, self._eyes, self._heard, self._tell, clock
        )
        #: a job was seen
        self._seen = False
        threading.Thread(
            target=self._watch, name=f'observe-{instance[:8]}', daemon=True
        ).start()

    def close(self) -> None:
        with self._telling:
            self._closed.set()
        self._heard.take(notes.Kind.CLOSED)

    def _tell(self, event: events.Event) -> None:
        with self._telling:
            if not self._closed.is_set():
                self._sink(event)

    def _watch(self) -> None:
        try:
            while not (self._closed.is_set() or self._is_over()):
                self._take_notes()
        except Exception:
            # Who lends its eyes must not fall over what it sees.
            LOG.exception('Watching the migration of %s', self._instance)
        self._eyes.close()

    def _take_notes(self) -> None:
        """Take in what is said until it is time for another look."""
        note = self._heard.next(self._poll_seconds)
        while note is not None and note.kind is not notes.Kind.CLOSED:
            self._sight.take(note)
            note = self._heard.next(self._poll_seconds)

    def _is_over(self) -> bool:
        """Look, and tell when the job that was seen is there no more."""
        try:
            end = self._sight.source()
            active = end.job_active
            failed = end.state is events.EndState.POST_COPY_FAILED
        except errors.NotFound:
            active = failed = False
        except errors.KVMBalancerError:
            # It may answer again, or not be busy any more.
            return False
        if failed:
            self._heard.take(notes.Kind.BROKEN)
        # Other jobs than migrations hold a domain as well.
        self._seen |= active and self._sight.look()
        self._seen |= self._sight.settled or self._sight.in_post_copy
        if active or not self._seen:
            return False
        self._take_notes()
        self._tell(
            events.CallReturned(at=self._clock(), cause='the job is gone')
        )
        return True
