"""Asks a guest for an answer all the time, and measures where none comes.

ICMP echo over a raw socket, from the machine's end of the lab's bridge. The
kernel notes when an answer came in, so that a busy machine does not blur it.
"""

import collections.abc
import dataclasses
import itertools
import os
import select
import socket
import struct
import threading
import time
import types
from typing import Self

from kvm_balancer import errors
from kvm_balancer.lab import waiting

_ECHO_REQUEST, _ECHO_REPLY = 8, 0
_HEADER = struct.Struct('>BBHHH')
_PAYLOAD = struct.Struct('>Q')

#: Linux's number for "say when it came, in seconds and nanoseconds", and
#: what it then says.
_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct('@qq')

_IPV4_LENGTH_UNIT = 4


@dataclasses.dataclass(frozen=True, slots=True)
class Gap:
    """A time in which no answer came.

    :ivar began_ns: when the last answer before it came, since the epoch
    :ivar microseconds: from there to the next answer
    :ivar lost: requests in it that were never answered
    """

    began_ns: int
    microseconds: int
    lost: int


class Pinger:
    """Pings an address from a thread of its own, while the context lasts.

    :param address: IPv4
    :param interval_seconds: from one request to the next; the resolution of
        what is measured
    """

    def __init__(self, address: str, interval_seconds: float = 0.01) -> None:
        self._address = address
        self._interval = interval_seconds
        self._identity = (os.getpid() ^ id(self) >> 4) & 0xFFFF
        self._sent = 0
        self._answers: dict[int, int] = {}
        self._told = threading.Condition()
        self._ending = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name=f'ping {address}', daemon=True
        )

    def __enter__(self) -> Self:
        try:
            self._socket = socket.socket(
                socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP
            )
        except PermissionError:
            raise errors.LabError('ping: run it as root') from None
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._socket.setblocking(False)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        self._ending.set()
        self._thread.join()
        self._socket.close()

    @property
    def answers(self) -> int:
        """How many requests have been answered."""
        return len(self._answers)

    def wait_for_answers(
        self, more: int = 1, seconds: float = waiting.PATIENCE_SECONDS
    ) -> None:
        """Wait until *more* requests that are still to be sent are answered.

        :raises LabError: when they are not
        """
        with self._told:
            after = self._sent

            def answered() -> bool:
                later = [one for one in self._answers if one > after]
                return len(later) >= more

            if not self._told.wait_for(answered, seconds):
                raise errors.LabError(
                    f'{self._address} gives no answer to ping within '
                    f'{seconds:g} seconds: {self._told_so_far()}'
                )

    def gap(self, since_ns: int = 0) -> Gap:
        """Return where the guest was away (see :func:`find_gap`).

        :param since_ns: leave out answers before it, since the epoch
        :raises LabError: when fewer than two answers came
        """
        with self._told:
            answers = dict(self._answers)
        return find_gap(answers, since_ns, self._address)

    def _told_so_far(self) -> str:
        """Return what tells a guest that stands still from a lost pinger."""
        state = 'pings on' if self._thread.is_alive() else 'pings no more'
        if not self._answers:
            return f'{state}, {self._sent} requests sent, none answered'
        ago = (time.time_ns() - max(self._answers.values())) / 1e9
        return (
            f'{state}, {self._sent} requests sent, {len(self._answers)} '
            f'answered, the last one {ago:.1f} seconds ago'
        )

    def _run(self) -> None:
        due = time.monotonic()
        while not self._ending.is_set():
            self._ask()
            # A thread that was held up does not catch up in a burst.
            due = max(due + self._interval, time.monotonic())
            while (left := due - time.monotonic()) > 0:
                if select.select([self._socket], [], [], left)[0]:
                    self._take()

    def _ask(self) -> None:
        self._sent += 1
        message = request(self._identity, self._sent)
        try:
            self._socket.sendto(message, (self._address, 0))
        except OSError:
            # No route or neighbour at the moment: as good as no answer.
            return

    def _take(self) -> None:
        packet, notes, _, sender = self._socket.recvmsg(2048, 128)
        number = answered(packet, self._identity)
        if number is None or sender[0] != self._address:
            return
        with self._told:
            self._answers.setdefault(number, _arrival_ns(notes))
            self._told.notify_all()


def find_gap(answers: dict[int, int], since_ns: int, who: str) -> Gap:
    """Return the gap in which most requests were lost.

    A guest that is only held up, as on a busy machine, answers late, and that
    may take longer than the switch of a migration; what is asked during the
    switch is lost. Where nothing was lost it is the longest gap.

    :param answers: when each request was answered, in nanoseconds
    :raises LabError: when fewer than two came since *since_ns*
    """
    arrivals = sorted(
        (at, number) for number, at in answers.items() if at >= since_ns
    )
    if len(arrivals) < 2:
        raise errors.LabError(f'{who} has not answered ping twice')
    gaps = [
        (
            sum(one not in answers for one in range(before + 1, after)),
            ended - began,
            began,
        )
        for (began, before), (ended, after) in itertools.pairwise(arrivals)
    ]
    lost, nanoseconds, began_ns = max(gaps)
    return Gap(began_ns, nanoseconds // 1000, lost)


def request(identity: int, number: int) -> bytes:
    """Return an echo request.

    :param identity: tells this pinger's answers from others', 16 bits
    """
    payload = _PAYLOAD.pack(number)
    head = _HEADER.pack(_ECHO_REQUEST, 0, 0, identity, number & 0xFFFF)
    check = _checksum(head + payload)
    head = _HEADER.pack(_ECHO_REQUEST, 0, check, identity, number & 0xFFFF)
    return head + payload


def answered(packet: bytes, identity: int) -> int | None:
    """Return the number of the request that *packet* answers, if it does.

    :param packet: with its IPv4 header, as raw sockets get it
    """
    begin = (packet[0] & 0xF) * _IPV4_LENGTH_UNIT
    if len(packet) < begin + _HEADER.size + _PAYLOAD.size:
        return None
    kind, _, _, its_identity, _ = _HEADER.unpack_from(packet, begin)
    if kind != _ECHO_REPLY or its_identity != identity:
        return None
    (number,) = _PAYLOAD.unpack_from(packet, begin + _HEADER.size)
    return int(number)


def _checksum(message: bytes) -> int:
    """Return the Internet checksum (RFC 1071); *message* has even length."""
    total: int = sum(struct.unpack(f'>{len(message) // 2}H', message))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def _arrival_ns(
    notes: collections.abc.Iterable[tuple[int, int, bytes]],
) -> int:
    for level, kind, content in notes:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
            seconds, nanoseconds = _TIMESPEC.unpack(content)
            return int(seconds) * 10**9 + int(nanoseconds)
    return time.time_ns()
