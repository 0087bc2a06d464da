"""Monitors of a guest's QEMU, beside the one that libvirt has.

No fault of a network, a libvirtd or an executor cuts them: who wants to know
whether a copy of a guest runs asks the QEMU that would run it. A monitor has
one connection at a time; so there is one to watch by, and one for all who
have something to ask or to order now and then. Owns the connection to one
QEMU; whether an answer is good or bad is not its business.
"""

import contextlib
import json
import pathlib
import socket
import time
from typing import Any

#: An answer that takes longer is none.
_ANSWER_SECONDS = 2.0

#: Where they are in the host's ``/run/kvm-balancer-lab``.
EYES = '{guest}-eyes.qmp'
HANDS = '{guest}-hands.qmp'


def arguments(folder: str, guest: str) -> tuple[str, ...]:
    """Return what to tell a guest's QEMU, so that it listens in *folder*."""
    names = (name.format(guest=guest) for name in (EYES, HANDS))
    return tuple(
        word
        for name in names
        for word in ('-qmp', f'unix:{folder}/{name},server=on,wait=off')
    )


class Gone(Exception):
    """No QEMU is there, or it is no more."""


class Silent(Exception):
    """A QEMU is there and does not answer in time."""


class Monitor:
    """The connection to one QEMU, made anew whenever it is lost.

    :param path: of its socket
    """

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self._connection: socket.socket | None = None
        self._received = b''

    def ask(self, command: str, **arguments: object) -> Any:
        """Return QEMU's answer to a command.

        :raises Gone: when there is no QEMU
        :raises Silent: when it does not answer
        """
        try:
            connection = self._connected()
            return self._answer(connection, command, arguments)
        except TimeoutError:
            self.close()
            raise Silent(command) from None
        except (OSError, EOFError, ValueError):
            self.close()
            raise Gone(command) from None

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.close()
        self._connection, self._received = None, b''

    def _connected(self) -> socket.socket:
        if self._connection is None:
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(_ANSWER_SECONDS)
            self._connection = connection
            connection.connect(str(self._path))
            self._next(time.monotonic() + _ANSWER_SECONDS)
            self._answer(connection, 'qmp_capabilities', {})
        return self._connection

    def _answer(
        self,
        connection: socket.socket,
        command: str,
        arguments: dict[str, object],
    ) -> Any:
        asked = {'execute': command, 'arguments': arguments}
        connection.sendall(json.dumps(asked).encode())
        until = time.monotonic() + _ANSWER_SECONDS
        while True:
            told = self._next(until)
            if 'return' in told:
                return told['return']
            if 'error' in told:
                raise ValueError(told['error'])

    def _next(self, until: float) -> dict[str, Any]:
        """Return the next line that QEMU tells: an answer or an event."""
        if self._connection is None:
            raise EOFError
        while b'\n' not in self._received:
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._connection.settimeout(left)
            data = self._connection.recv(65536)
            if not data:
                raise EOFError
            self._received += data
        line, _, self._received = self._received.partition(b'\n')
        told: dict[str, Any] = json.loads(line)
        return told
