"""What is known of the domains of a host beside their statistics.

Whose a domain is, and what it asks of its migrations, stands in its XML,
which the bulk statistics do not carry.
It is read once for each domain, in threads of its own, and again when
libvirt says that the domain was defined, started or marked anew; no sample
waits for a domain that does not answer. Which domains are being migrated
away is heard from libvirt's events as well.
"""

import collections.abc
import contextlib
import dataclasses
import queue
import threading
from typing import Any

import libvirt

from kvm_balancer import errors
from kvm_balancer.migration.options import wishes
from kvm_balancer.virt import ownership
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import documents

_POST_COPY = 'post_copy'


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """What the XML of a domain says that a sample tells.

    :ivar asks: of its migrations; for no post-copy, too, where its memory
        cannot have it: plans would count on it
    :ivar huge_pages: its memory is in huge pages, at least in part
    """

    marks: ownership.Marks
    asks: wishes.Wishes = ()
    huge_pages: bool = False


class DomainBook:
    """Marks, wishes and departures of the domains of one host.

    Give :meth:`listen` as ``on_open`` to the connection that the domains
    are to be read over, and the connection to :meth:`start`.
    """

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._leaving: set[str] = set()
        self._pending: set[str] = set()
        #: changed again while they were being read
        self._overtaken: set[str] = set()
        self._changed = threading.Condition()
        self._unread: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._doubted: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._link: connection.Connection | None = None

    def start(self, link: connection.Connection) -> None:
        """Begin to read domains over *link*, in threads."""
        self._link = link
        # Asking for a job may hang with QEMU; reading an XML may not wait
        # for that.
        for work in (
            (self._unread, self._read),
            (self._doubted, self._ask_job),
        ):
            threading.Thread(
                target=self._run,
                args=work,
                name='libvirt-domains',
                daemon=True,
            ).start()

    def close(self) -> None:
        """End the threads."""
        self._unread.put(None)
        self._doubted.put(None)

    def listen(self, handle: connection.Handle) -> list[int]:
        """Register for events on a fresh connection.

        What was known before it may have changed unheard.
        """
        with self._changed:
            self._entries.clear()
            self._leaving.clear()
        kinds = (
            (libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._on_lifecycle),
            (libvirt.VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, self._on_changed),
            (libvirt.VIR_DOMAIN_EVENT_ID_MIGRATION_ITERATION, self._on_pass),
            (libvirt.VIR_DOMAIN_EVENT_ID_JOB_COMPLETED, self._on_job_over),
        )
        registered = []
        for event, callback in kinds:
            # An older or simpler libvirt has not all of them.
            with contextlib.suppress(libvirt.libvirtError):
                registered.append(
                    handle.domainEventRegisterAny(None, event, callback, None)
                )
        return registered

    def look_up(
        self, uuids: collections.abc.Collection[str], patience_seconds: float
    ) -> dict[str, Entry]:
        """Return what the XML of *uuids* says, as far as it is known.

        :param patience_seconds: wait so long for those not yet read
        """
        with self._changed:
            missing = set(uuids) - self._entries.keys()
            for uuid in missing - self._pending:
                self._pending.add(uuid)
                self._unread.put(uuid)
            self._changed.wait_for(
                lambda: not (missing & self._pending), patience_seconds
            )
            return {
                uuid: self._entries[uuid]
                for uuid in uuids
                if uuid in self._entries
            }

    def leaving(self) -> frozenset[str]:
        """Return the domains that a migration is taking away.

        Each is asked about again meanwhile, as nothing tells of a migration
        that was given up.
        """
        with self._changed:
            found = frozenset(self._leaving)
        for uuid in found:
            self._doubted.put(uuid)
        return found

    def forget_all_but(self, uuids: collections.abc.Collection[str]) -> None:
        """Drop what is known of domains that are gone."""
        with self._changed:
            for uuid in self._entries.keys() - set(uuids):
                del self._entries[uuid]
            self._leaving &= set(uuids)

    def _run(
        self,
        orders: queue.SimpleQueue[str | None],
        work: collections.abc.Callable[[str], None],
    ) -> None:
        while (uuid := orders.get()) is not None:
            work(uuid)

    def _read(self, uuid: str) -> None:
        entry = None
        try:
            entry = self._ask(lambda handle: _entry(handle, uuid))
        except errors.KVMBalancerError:
            # It is gone, or libvirt is: the next sample asks again.
            pass
        finally:
            with self._changed:
                self._pending.discard(uuid)
                if entry is not None and uuid not in self._overtaken:
                    self._entries[uuid] = entry
                self._overtaken.discard(uuid)
                self._changed.notify_all()

    def _ask_job(self, uuid: str) -> None:
        try:
            kind = self._ask(
                lambda handle: handle.lookupByUUIDString(uuid).jobInfo()[0]
            )
        except errors.NotFound:
            kind = libvirt.VIR_DOMAIN_JOB_NONE
        except errors.KVMBalancerError:
            return
        if kind == libvirt.VIR_DOMAIN_JOB_NONE:
            self._stays(uuid)

    def _ask(
        self,
        function: collections.abc.Callable[
            [connection.Handle], connection.Answer
        ],
    ) -> connection.Answer:
        if self._link is None:
            raise errors.HypervisorUnreachable('The book was not opened.')
        return self._link.ask(function)

    def _stays(self, uuid: str) -> None:
        with self._changed:
            self._leaving.discard(uuid)

    # Called from libvirt's event loop: they only take notes.

    def _on_lifecycle(
        self, _handle: Any, domain: Any, event: int, *_rest: Any
    ) -> None:
        if event in (
            libvirt.VIR_DOMAIN_EVENT_DEFINED,
            libvirt.VIR_DOMAIN_EVENT_UNDEFINED,
            libvirt.VIR_DOMAIN_EVENT_STARTED,
            libvirt.VIR_DOMAIN_EVENT_STOPPED,
        ):
            self._on_changed(_handle, domain)
        if event == libvirt.VIR_DOMAIN_EVENT_STOPPED:
            self._stays(domain.UUIDString())

    def _on_changed(self, _handle: Any, domain: Any, *_rest: Any) -> None:
        uuid = domain.UUIDString()
        with self._changed:
            self._entries.pop(uuid, None)
            if uuid in self._pending:
                self._overtaken.add(uuid)

    def _on_pass(self, _handle: Any, domain: Any, *_rest: Any) -> None:
        with self._changed:
            self._leaving.add(domain.UUIDString())

    def _on_job_over(self, _handle: Any, domain: Any, *_rest: Any) -> None:
        self._stays(domain.UUIDString())


def _entry(handle: connection.Handle, uuid: str) -> Entry:
    facts = documents.read_domain(handle.lookupByUUIDString(uuid).XMLDesc(0))
    return Entry(facts.marks, wishes.brief(_asks(facts)), facts.memory.huge)


def _asks(facts: documents.DomainFacts) -> wishes.Wishes:
    """Return what is to be asked of its migrations."""
    if facts.memory.comes_late:
        return facts.asks
    # One that is not understood is left, for its instance to be left alone.
    kept = tuple(one for one in facts.asks if one != (_POST_COPY, 'true'))
    if any(name == _POST_COPY for name, _ in kept):
        return kept
    return (*kept, (_POST_COPY, 'false'))
