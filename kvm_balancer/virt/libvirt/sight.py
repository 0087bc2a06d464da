"""What one migration looks like from its source, told as events.

Owns what is known of a job, whoever has begun it: its statistics, and what
libvirt's events have said. It only asks, so that a connection that may write
nothing is enough.
"""

import dataclasses

from kvm_balancer import errors
from kvm_balancer.migration import events
from kvm_balancer.virt import driver
from kvm_balancer.virt import steady
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import ends
from kvm_balancer.virt.libvirt import jobs
from kvm_balancer.virt.libvirt import notes

_EVENT = "libvirt's event"

#: A switch makes one pass over the memory when the guest stands still. A guest
#: that a person paused is copied on before that: libvirt tells of both as of
#: one thing, and lets the guest run at the destination (seen with libvirt
#: 9.0), as who migrates by pausing wants it.
_PASSES_OF_A_PAUSE = 2
_PAUSED = (
    'somebody paused the guest while it was copied: libvirt takes that for '
    'part of the migration and lets it run on the destination; pause it there '
    'again if it is to stand still'
)


class Sight:
    """One migration, seen by one connection.

    :param instance: uuid of the domain
    :param eyes: to the source; listens to its events
    :param heard: notes of what these say
    :param tell: takes the events
    :param clock: tells when they happen
    :ivar stopped: the guest was stopped on the source
    :ivar in_post_copy: it runs on the destination, its memory follows
    :ivar settled: the final figures were told
    """

    def __init__(
        self,
        instance: str,
        eyes: connection.Connection,
        heard: notes.Notes,
        tell: driver.Sink,
        clock: steady.Clock,
    ) -> None:
        self._instance = instance
        self._eyes = eyes
        self._heard = heard
        self._tell = tell
        self._clock = clock
        self._last = events.Statistics()
        #: passes over the memory since the guest stopped
        self._passes_since = 0
        self.stopped = False
        self.in_post_copy = False
        self.settled = False

    def take(self, note: notes.Note) -> None:
        """Take in what an event has said."""
        match note.kind:
            case notes.Kind.PASS:
                self._end_pass(note)
            case notes.Kind.STOPPED:
                self.stopped = True
                self._tell(events.SourceStopped(at=note.at, cause=_EVENT))
            case notes.Kind.ARRIVED:
                self._tell(events.Arrived(at=note.at, cause=_EVENT))
            case notes.Kind.POST_COPY if not self.in_post_copy:
                self.in_post_copy = True
                self._tell(events.PostCopyBegun(at=note.at, cause=_EVENT))
            case notes.Kind.BROKEN if self.in_post_copy:
                self.in_post_copy = False
                self._tell(events.PostCopyBroke(at=note.at, cause=_EVENT))
            case notes.Kind.SETTLED:
                self._settle(note)

    def look(self) -> bool:
        """Ask for the statistics, and tell them.

        :returns: whether there is a job that has any
        """
        if not self._read():
            return False
        self._tell(
            events.Progressed(
                at=self._clock(),
                cause='job statistics',
                statistics=self._last,
            )
        )
        return True

    def source(self) -> events.End:
        """Ask the source what it has of the domain.

        What no event may have told is told from it: of a job that somebody
        else began they came before, and to somebody else.

        :raises NotFound: when it has none
        :raises HypervisorUnreachable: when it does not answer
        :raises Refused: when it answers otherwise: it may be busy
        """
        end = self._eyes.ask(
            lambda handle: ends.read_end(
                handle.lookupByUUIDString(self._instance)
            )
        )
        if end.state is events.EndState.POST_COPY:
            self._heard.take(notes.Kind.POST_COPY)
        return end

    def _end_pass(self, note: notes.Note) -> None:
        # The remaining memory is accurate right now: ask at once. Where
        # libvirt has no answer the boundary still is one.
        self._read()
        self._last = dataclasses.replace(self._last, iteration=note.value)
        if self.stopped and not self.in_post_copy:
            self._passes_since += 1
            if self._passes_since == _PASSES_OF_A_PAUSE:
                self._tell(
                    events.Noted(
                        at=note.at,
                        cause=_EVENT,
                        text=_PAUSED,
                        guest_paused=True,
                    )
                )
        # The first begins and ends none; the last is the switch itself.
        if note.value > 1 and not (self.stopped or self.in_post_copy):
            self._tell(
                events.PassEnded(
                    at=note.at, cause=_EVENT, statistics=self._last
                )
            )

    def _read(self) -> bool:
        """Ask for the statistics; tell whether there is a job."""
        try:
            fields = self._eyes.ask(
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

    def _settle(self, note: notes.Note) -> None:
        self.settled = True
        self._tell(
            events.JobSettled(
                at=note.at,
                cause=_EVENT,
                statistics=jobs.read_statistics(note.value),
                downtime_ms=jobs.downtime_ms(note.value),
            )
        )
