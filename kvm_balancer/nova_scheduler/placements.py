"""The vCPUs of hosts, those that this scheduler has just placed counted in.

A compute claims room for a server, and tells Nova's database of it, seconds
after a scheduler has chosen it; what schedulers read until then knows nothing
of the server. No weigher is told which host was chosen, either. But Nova
counts a server in on the state of the host that it has chosen, a copy that
belongs to one request: those of the last requests are kept for a while, and
looked at when the next one comes.

What is told is a lower bound: of what other schedulers have chosen only the
computes tell.
"""

import collections.abc
import dataclasses
import threading
import typing

#: From choosing a host until its compute has told of the server, at most. A
#: build that fails before counts for as long.
_CLAIMED_SECONDS = 30.0
#: From weighing until a host is chosen, at most.
_CHOSEN_SECONDS = 30.0
#: Requests that are decided at once in one process; the states of all hosts
#: are kept for each.
_REQUESTS = 8


class Host(typing.Protocol):
    """As much of Nova's ``HostState`` as is read here."""

    host: str
    vcpus_used: int


@dataclasses.dataclass(frozen=True, slots=True)
class _Asked:
    """Hosts of a request, and the vCPUs that were in use when it came."""

    at: float
    hosts: tuple[Host, ...]
    vcpus: list[int]


@dataclasses.dataclass(frozen=True, slots=True)
class _Placed:
    """A server that was placed on a host where *before* were in use."""

    at: float
    before: int
    vcpus: int


class Placements:
    """Counts what is placed; any thread calls it.

    :param clock: seconds
    """

    def __init__(self, clock: collections.abc.Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._asked: list[_Asked] = []
        self._placed: dict[str, list[_Placed]] = {}

    def vcpus(self, hosts: collections.abc.Sequence[Host]) -> list[int]:
        """Return how many are in use on each of *hosts*, of a request."""
        with self._lock:
            now = self._clock()
            self._settle(now)
            found = [one.vcpus_used for one in hosts]
            self._asked.append(_Asked(now, tuple(hosts), found))
            del self._asked[:-_REQUESTS]
            if not self._placed:
                return found
            placed = self._placed
            return [
                max(vcpus, _at_least(placed[one.host]))
                if one.host in placed
                else vcpus
                for one, vcpus in zip(hosts, found, strict=True)
            ]

    def settle(self) -> None:
        """Let go of states that have told what they can."""
        with self._lock:
            self._settle(self._clock())

    def _settle(self, now: float) -> None:
        self._placed = {
            host: young
            for host, found in self._placed.items()
            if (
                young := [
                    one for one in found if now - one.at < _CLAIMED_SECONDS
                ]
            )
        }
        self._asked = [one for one in self._asked if self._is_open(one, now)]

    def _is_open(self, asked: _Asked, now: float) -> bool:
        """Note what was placed; say whether that is still to come."""
        chosen = [
            (one, before)
            for one, before in zip(asked.hosts, asked.vcpus, strict=True)
            if one.vcpus_used != before
        ]
        for one, before in chosen:
            self._placed.setdefault(one.host, []).append(
                _Placed(asked.at, before, one.vcpus_used - before)
            )
        return not chosen and now - asked.at < _CHOSEN_SECONDS


def _at_least(placed: collections.abc.Iterable[_Placed]) -> int:
    """Add up what was placed, whether or not what came before is told."""
    found = 0
    for one in placed:
        found = max(found, one.before) + one.vcpus
    return found
