"""Listens to what hypervisors tell the network of guests that arrive.

QEMU lets a guest's cards say where they are now (RARP with their own MAC, as
from anybody), so that bridges learn the way before anybody asks. Such frames
are heard at the bridge's end of each host's cable, as a switch would.
"""

import ctypes
import dataclasses
import select
import socket
import struct
import threading
import time
import types
from typing import Self

from kvm_balancer import errors
from kvm_balancer.lab import waiting

_ETH_P_ALL = 0x0003
_ETH_P_RARP = 0x8035
_SO_ATTACH_FILTER = 26
_SENDER = slice(6, 12)

#: Instructions of the kernel's packet filter: take the frame's protocol; if
#: it is RARP take all of it, otherwise nothing.
_INSTRUCTION = struct.Struct('=HBBI')
_FILTER = (
    (0x28, 0, 0, 12),
    (0x15, 0, 1, _ETH_P_RARP),
    (0x06, 0, 0, 0xFFFF),
    (0x06, 0, 0, 0),
)


@dataclasses.dataclass(frozen=True, slots=True)
class Announcement:
    """One frame.

    :ivar at_ns: when it was heard, since the epoch
    :ivar interface: bridge's end of the cable that it came by
    :ivar mac: whom it is about, as libvirt writes it
    """

    at_ns: int
    interface: str
    mac: str


class Listener:
    """Hears announcements while the context lasts.

    :param interfaces: to listen at: the bridge's end of the hosts' cables
    """

    def __init__(self, interfaces: list[str]) -> None:
        self._interfaces = interfaces
        self._heard: list[Announcement] = []
        self._told = threading.Condition()
        self._thread = threading.Thread(
            target=self._run, name='announcements', daemon=True
        )

    def __enter__(self) -> Self:
        self._ears = [_ear(name) for name in self._interfaces]
        self._bell, self._rung = socket.socketpair()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        self._bell.close()
        self._thread.join()
        for one in (*self._ears, self._rung):
            one.close()

    def of(self, mac: str) -> list[Announcement]:
        """Return what was announced of a card, in order."""
        with self._told:
            return [one for one in self._heard if one.mac == mac]

    def wait(
        self,
        mac: str,
        interface: str,
        since_ns: int,
        seconds: float = waiting.PATIENCE_SECONDS,
    ) -> Announcement:
        """Return the first announcement of a card at an interface.

        :param since_ns: leave out what was heard before, since the epoch
        :raises LabError: when there is none
        """

        def first() -> Announcement | None:
            for one in self._heard:
                if one.at_ns >= since_ns and (mac, interface) == (
                    one.mac,
                    one.interface,
                ):
                    return one
            return None

        with self._told:
            found = self._told.wait_for(first, seconds)
        if found is None:
            raise errors.LabError(
                f'{mac} was not announced at {interface} within {seconds:g} '
                f'seconds'
            )
        return found

    def _run(self) -> None:
        ends = [*self._ears, self._rung]
        while True:
            ready = select.select(ends, [], [])[0]
            if self._rung in ready:
                return
            for ear in ready:
                frame, (interface, _, direction, *_) = ear.recvfrom(2048)
                # The bridge sends a copy down every other cable.
                if direction != socket.PACKET_OUTGOING:
                    self._take(interface, frame)

    def _take(self, interface: str, frame: bytes) -> None:
        mac = frame[_SENDER].hex(':')
        with self._told:
            self._heard.append(Announcement(time.time_ns(), interface, mac))
            self._told.notify_all()


def _ear(interface: str) -> socket.socket:
    """Return a socket that hears RARP on one interface.

    :raises LabError: when there is no such interface
    """
    ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    code = b''.join(_INSTRUCTION.pack(*one) for one in _FILTER)
    program = ctypes.create_string_buffer(code)
    pointed = struct.pack('@HP', len(_FILTER), ctypes.addressof(program))
    ear.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, pointed)
    try:
        # Only with the filter in place; and for every protocol, since the
        # bridge takes frames away before those of a single one are told.
        ear.bind((interface, _ETH_P_ALL))
    except OSError as error:
        ear.close()
        raise errors.LabError(f'{interface}: {error}') from None
    return ear
