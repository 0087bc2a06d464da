"""A connection to one libvirt that mends itself.

Owns the event loop of the process (libvirt's default one, in one daemon
thread, registered before the first connection is opened: without it there
is neither keepalive nor any event), and opens, watches and reopens one
connection. Opening is bounded in time although libvirt's own call is not: it
runs in a thread that is left behind when it takes too long, at most one at a
time.

A lost connection costs the call that finds it lost; the next one tries anew.

Keepalive tells of a libvirt that is silent, not of a QEMU that is: libvirt
answers, and holds the one question about that domain up for as long as it
lasts. Who only reads asks by :meth:`Connection.ask`, which does not wait for
ever; what is done to a domain is waited for, in a thread that nobody else
needs.
"""

import collections.abc
import contextlib
import dataclasses
import logging
import queue
import threading
import typing
from typing import Any
from typing import TypeVar

import libvirt

from kvm_balancer import errors
from kvm_balancer.virt.libvirt import failures

LOG = logging.getLogger(__name__)

#: libvirt's objects are not typed.
Handle = Any
Answer = TypeVar('Answer')

#: Registers for events on a fresh connection; returns their ids.
OnOpen = collections.abc.Callable[[Handle], collections.abc.Sequence[int]]

_LOOP_LOCK = threading.Lock()
_LOOP: list[threading.Thread] = []


@dataclasses.dataclass(frozen=True, slots=True)
class Timing:
    """How long a libvirt may be silent.

    :ivar open_seconds: for opening a connection
    :ivar keepalive_seconds: between two keepalive messages; 0 for none
    :ivar keepalive_count: this many unanswered ones close the connection
    :ivar answer_seconds: for a question about a domain, once the connection
        is open; libvirt itself waits for 30 s where another one holds it
    """

    open_seconds: float = 10.0
    keepalive_seconds: int = 5
    keepalive_count: int = 3
    answer_seconds: float = 40.0


class Connection:
    """One libvirt, by its URI.

    :param on_open: called with every fresh connection, from another thread
    :param read_only: libvirt itself refuses whatever would change something
    """

    def __init__(
        self,
        uri: str,
        timing: Timing | None = None,
        on_open: OnOpen | None = None,
        read_only: bool = False,
    ) -> None:
        self.uri = uri
        self._opener = libvirt.openReadOnly if read_only else libvirt.open
        self._timing = timing or Timing()
        self._on_open = on_open
        self._lock = threading.Lock()
        self._live: _Opened | None = None
        self._attempt: _Attempt | None = None
        self._closed = False

    def call(
        self, function: collections.abc.Callable[[Handle], Answer]
    ) -> Answer:
        """Call *function* with the connection, opening it where needed.

        :raises HypervisorUnreachable: when libvirt does not answer
        :raises NotFound: when it knows no such domain
        :raises Refused: when it answers otherwise
        """
        opened = self._open()
        try:
            return function(opened.handle)
        except libvirt.libvirtError as error:
            alive = opened.alive()
            if not alive:
                self._drop(opened)
            raise failures.translate(error, self.uri, alive) from None

    def ask(
        self, function: collections.abc.Callable[[Handle], Answer]
    ) -> Answer:
        """Call *function*, which only reads, but do not wait for ever.

        One that does not come back is left behind, in a thread of its own.

        :raises HypervisorUnreachable: when there is no answer in time, too;
            else as :meth:`call`
        """
        answers: queue.SimpleQueue[
            tuple[Answer, None] | tuple[None, Exception]
        ] = queue.SimpleQueue()

        def work() -> None:
            try:
                answers.put((self.call(function), None))
            except Exception as error:
                answers.put((None, error))

        threading.Thread(target=work, name='libvirt-ask', daemon=True).start()
        patience = self._timing.open_seconds + self._timing.answer_seconds
        try:
            answer, error = answers.get(timeout=patience)
        except queue.Empty:
            raise failures.unreachable(
                self.uri,
                f'no answer within {patience:g} s, as where the QEMU of a '
                'domain hangs',
            ) from None
        if error is not None:
            raise error
        return typing.cast(Answer, answer)

    def close(self) -> None:
        """Let go of the connection; a later call is refused."""
        with self._lock:
            self._closed = True
            opened, self._live = self._live, None
        if opened is not None:
            opened.close()

    def _open(self) -> '_Opened':
        with self._lock:
            if self._closed:
                raise failures.unreachable(
                    self.uri, 'the connection was closed on our side'
                )
            if self._live is not None and self._live.alive():
                return self._live
            lost, self._live = self._live, None
            if self._attempt is None or self._attempt.failed:
                self._attempt = _Attempt(
                    self.uri, self._timing, self._on_open, self._opener
                )
            attempt = self._attempt
        if lost is not None:
            lost.close()
        return self._settle(attempt)

    def _settle(self, attempt: '_Attempt') -> '_Opened':
        opened = attempt.wait(self._timing.open_seconds)
        with self._lock:
            if self._attempt is attempt:
                self._attempt = None
                if not self._closed:
                    self._live = opened
                    return opened
            elif self._live is not None:
                return self._live
        opened.close()
        raise failures.unreachable(self.uri, 'the connection was let go')

    def _drop(self, opened: '_Opened') -> None:
        with self._lock:
            if self._live is opened:
                self._live = None
        opened.close()


class _Opened:
    """One open connection, and what was registered on it."""

    def __init__(
        self, handle: Handle, callbacks: collections.abc.Sequence[int]
    ) -> None:
        self.handle = handle
        self._callbacks = tuple(callbacks)

    def alive(self) -> bool:
        """Tell whether it still stands, without asking the other side."""
        try:
            return bool(self.handle.isAlive() == 1)
        except libvirt.libvirtError:
            return False

    def close(self) -> None:
        # A registered callback holds a reference: without this the socket
        # stays open after close().
        for callback in self._callbacks:
            with contextlib.suppress(libvirt.libvirtError):
                self.handle.domainEventDeregisterAny(callback)
        self._callbacks = ()
        with contextlib.suppress(libvirt.libvirtError):
            self.handle.close()


class _Attempt:
    """One try to open a connection, in a thread of its own."""

    def __init__(
        self,
        uri: str,
        timing: Timing,
        on_open: OnOpen | None,
        opener: collections.abc.Callable[[str], Handle],
    ) -> None:
        self._uri = uri
        self._opener = opener
        self._timing = timing
        self._on_open = on_open
        self._over = threading.Event()
        self._opened: _Opened | None = None
        self._error: errors.HypervisorUnreachable | None = None
        threading.Thread(
            target=self._run, name='libvirt-open', daemon=True
        ).start()

    @property
    def failed(self) -> bool:
        """True once it is over and came to nothing."""
        return self._over.is_set() and self._opened is None

    def wait(self, seconds: float) -> _Opened:
        if not self._over.wait(seconds):
            raise failures.unreachable(
                self._uri, f'no connection within {seconds:g} s'
            )
        if self._opened is None:
            raise self._error or failures.unreachable(self._uri, 'no reason')
        return self._opened

    def _run(self) -> None:
        try:
            self._opened = self._open()
        except libvirt.libvirtError as error:
            self._error = failures.unreachable(
                self._uri, failures.words(error)
            )
        finally:
            self._over.set()

    def _open(self) -> _Opened:
        _run_event_loop()
        handle = self._opener(self._uri)
        if self._timing.keepalive_seconds:
            # A driver inside this process has nothing to keep alive.
            with contextlib.suppress(libvirt.libvirtError):
                handle.setKeepAlive(
                    self._timing.keepalive_seconds,
                    self._timing.keepalive_count,
                )
        callbacks = self._on_open(handle) if self._on_open else ()
        return _Opened(handle, callbacks)


def _run_event_loop() -> None:
    """Start libvirt's event loop, once in a process."""
    with _LOOP_LOCK:
        if _LOOP:
            return
        # libvirt prints every error to stderr otherwise.
        libvirt.registerErrorHandler(_ignore, None)
        libvirt.virEventRegisterDefaultImpl()
        thread = threading.Thread(
            target=_loop, name='libvirt-events', daemon=True
        )
        thread.start()
        _LOOP.append(thread)


def _ignore(_context: object, _error: object) -> None:
    """Take an error that is raised as an exception as well."""


def _loop() -> None:
    while True:
        try:
            libvirt.virEventRunDefaultImpl()
        except libvirt.libvirtError as error:
            LOG.error('libvirt event loop: %s', failures.words(error))
