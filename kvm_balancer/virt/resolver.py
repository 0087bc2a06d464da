"""What the name of a host means on this one, asked with an end to it.

Libraries ask name servers for as long as ``resolv.conf`` says, which may be
half a minute; whoever asks here has other things to do.
"""

import collections.abc
import queue
import socket
import threading
from typing import Any

#: One server that does not answer is asked twice in that time by default.
PATIENCE_SECONDS = 10.0

#: Said of a name that nobody knows, or that has no address. The second is an
#: error of some systems alone.
_UNKNOWN = (socket.EAI_NONAME, getattr(socket, 'EAI_NODATA', None))

_Found = list[tuple[socket.AddressFamily, str]]
_LookUp = collections.abc.Callable[[str, None, int, int], list[Any]]


class NoSuchName(Exception):
    """Nobody knows that name; says so in words."""


class NoAnswer(Exception):
    """Whether the name is known could not be found out; says why."""


def resolve(
    name: str,
    seconds: float = PATIENCE_SECONDS,
    look_up: _LookUp = socket.getaddrinfo,
) -> _Found:
    """Return the addresses that a name or an address stands for.

    :param seconds: at most, to wait for
    :param look_up: what asks, as the socket library does
    :returns: at least one
    :raises NoSuchName: when it stands for none
    :raises NoAnswer: when that could not be found out, or not in time
    """
    answers: queue.SimpleQueue[_Found | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found = _addresses(look_up(name, None, 0, socket.SOCK_DGRAM))
            answers.put(found or NoSuchName(f'{name} has no address'))
        except Exception as error:
            # Who asks would wait for an answer that never comes.
            answers.put(_translate(name, error))

    threading.Thread(target=ask, name='resolver', daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise NoAnswer(
            f'{name} was not resolved within {seconds:g} s'
        ) from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _addresses(found: list[Any]) -> _Found:
    return [(family, str(where[0])) for family, _, _, _, where in found]


def _translate(name: str, error: Exception) -> Exception:
    # A name of which no query can be made is none.
    code = error.args[0] if error.args else None
    if isinstance(error, UnicodeError) or code in _UNKNOWN:
        return NoSuchName(f'{name} cannot be resolved: {error}')
    return NoAnswer(f'{name} could not be resolved for now: {error}')
