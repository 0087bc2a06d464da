"""How long it takes to carry moves out.

Dispatch is continuous: a move starts as soon as the moves it waits for have
completed and both of its hosts have a slot, the earlier in the list first.
A stream gets an even share of the networks of both ends, so its rate changes
only when another starts or ends on one of them, and only those few are
looked at again.
"""

import collections.abc
import dataclasses
import heapq

import numpy as np

from kvm_balancer.model import fleet as columns

#: MiB and seconds under which something is over
_DONE = 1e-9


@dataclasses.dataclass(frozen=True, slots=True)
class Transfer:
    """One move as seen by the network.

    :ivar seconds: predicted time at full rate, all phases
    :ivar mib: what goes over the network
    """

    source: int
    destination: int
    seconds: float
    mib: float
    after: tuple[int, ...]


@dataclasses.dataclass(slots=True)
class _Stream:
    mib: float
    #: time that is not spent on the network
    rest: float
    rate: float
    at: float
    version: int = 0


class _Clockwork:
    """Carries transfers out in pretended time."""

    def __init__(
        self,
        hosts: columns.Hosts,
        transfers: collections.abc.Sequence[Transfer],
    ) -> None:
        self._transfers = transfers
        self._rate = hosts.migration_mib_s.tolist()
        self._most = (hosts.max_outgoing.tolist(), hosts.max_incoming.tolist())
        self._active: dict[tuple[int, int], set[int]] = {}
        self._ready: dict[tuple[int, int], set[int]] = {}
        self._waits = [len(one.after) for one in transfers]
        self._followers: dict[int, list[int]] = {}
        for index, one in enumerate(transfers):
            for before in one.after:
                self._followers.setdefault(before, []).append(index)
        self._streams: dict[int, _Stream] = {}
        self._heap: list[tuple[float, int, int]] = []
        self._now = 0.0

    def run(self) -> float:
        """Return the time at which the last transfer completes."""
        self._start(
            [index for index, left in enumerate(self._waits) if not left]
        )
        while self._heap:
            at, index, version = heapq.heappop(self._heap)
            stream = self._streams.get(index)
            if stream is None or stream.version != version:
                continue
            self._now = at
            if stream.mib > 0:
                # all memory is across; what is left needs no network
                stream.mib, stream.at = 0.0, at
                stream.version += 1
                heapq.heappush(
                    self._heap, (at + stream.rest, index, stream.version)
                )
                continue
            self._finish(index)
        return self._now

    def _ends(self, index: int) -> tuple[tuple[int, int], tuple[int, int]]:
        one = self._transfers[index]
        return (0, one.source), (1, one.destination)

    def _finish(self, index: int) -> None:
        del self._streams[index]
        freed: list[int] = []
        for end in self._ends(index):
            self._active[end].discard(index)
            freed.extend(self._ready.get(end, ()))
            self._share(end)
        for follower in self._followers.get(index, ()):
            self._waits[follower] -= 1
            if not self._waits[follower]:
                freed.append(follower)
        self._start(sorted(set(freed)))

    def _start(self, candidates: collections.abc.Iterable[int]) -> None:
        """Start those of *candidates* for which there are slots."""
        for index in candidates:
            ends = self._ends(index)
            free = all(
                len(self._active.get(end, ())) < self._most[end[0]][end[1]]
                for end in ends
            )
            if not free:
                for end in ends:
                    self._ready.setdefault(end, set()).add(index)
                continue
            one = self._transfers[index]
            full = min(self._rate[one.source], self._rate[one.destination])
            self._streams[index] = _Stream(
                mib=max(one.mib, _DONE),
                rest=max(0.0, one.seconds - one.mib / full),
                rate=full,
                at=self._now,
            )
            for end in ends:
                self._ready.get(end, set()).discard(index)
                self._active.setdefault(end, set()).add(index)
            for end in ends:
                self._share(end)

    def _share(self, end: tuple[int, int]) -> None:
        """Give every stream of one end of a network its rate anew."""
        for index in self._active[end]:
            stream = self._streams[index]
            if stream.mib <= 0:
                continue
            rate = min(
                self._rate[host] / len(self._active[side, host])
                for side, host in self._ends(index)
            )
            carried = stream.rate * (self._now - stream.at)
            stream.mib = max(_DONE, stream.mib - carried)
            stream.rate, stream.at = rate, self._now
            stream.version += 1
            heapq.heappush(
                self._heap,
                (self._now + stream.mib / rate, index, stream.version),
            )


def seconds(
    hosts: columns.Hosts, transfers: collections.abc.Sequence[Transfer]
) -> float:
    """Return how long *transfers* take; inf where some can never start."""
    for one in transfers:
        if (
            hosts.max_outgoing[one.source] < 1
            or hosts.max_incoming[one.destination] < 1
        ):
            return float('inf')
    return _Clockwork(hosts, transfers).run()


def bound(
    hosts: columns.Hosts, transfers: collections.abc.Sequence[Transfer]
) -> float:
    """Return the time under which nobody carries *transfers* out.

    The longest move; for every network and direction what it has to carry
    over its bandwidth; and for every host its moves over its slots, each as
    long as the shortest of them.
    """
    if not transfers:
        return 0.0
    count = len(hosts)
    took = np.array([one.seconds for one in transfers])
    mib = np.array([one.mib for one in transfers])
    longest = float(took.max())
    for rows, slots in (
        ([one.source for one in transfers], hosts.max_outgoing),
        ([one.destination for one in transfers], hosts.max_incoming),
    ):
        at = np.array(rows, np.int32)
        carried = np.bincount(at, weights=mib, minlength=count)
        longest = max(longest, float((carried / hosts.migration_mib_s).max()))
        moves = np.bincount(at, minlength=count)
        shortest = np.full(count, np.inf)
        np.minimum.at(shortest, at, took)
        used = np.flatnonzero(moves)
        waves = np.ceil(moves[used] / np.maximum(slots[used], 1))
        longest = max(longest, float((waves * shortest[used]).max()))
    return longest
