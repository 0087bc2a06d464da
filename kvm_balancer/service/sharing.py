"""The arbiter of a host's bandwidth: who leaves it now, and at which limit.

Whenever a migration comes, goes, or is left less by its destination, the
limits of all are worked out anew (:mod:`..migration.bandwidth`), and those
whose limit changes are told. Used from the threads of many migrations.
"""

import collections.abc
import dataclasses
import threading
import time

from kvm_balancer.migration import bandwidth
from kvm_balancer.migration import headroom

#: Told the new limit in MiB/s, 0 for none, how many streams share, and why;
#: must return at once.
Tell = collections.abc.Callable[[int, int, str], None]


@dataclasses.dataclass(slots=True)
class _Stream:
    """One stream away from this host.

    :ivar own_mib_s: limit of its request; 0 for none
    :ivar left_mib_s: what its destination leaves to it; 0 for all
    :ivar left_streams: how many come in there, and itself
    :ivar told_mib_s: the limit that it was last told
    :ivar told_streams: how many it was last told to share with, and itself
    :ivar carries_mib_s: what the interface carries by which it leaves; None
        where that is not known
    """

    own_mib_s: float
    left_mib_s: float
    told_mib_s: int
    destination: str
    tell: Tell
    carries_mib_s: float | None = None
    told_streams: int = 1
    left_streams: int = 1

    @property
    def cap_mib_s(self) -> float:
        caps = [one for one in (self.own_mib_s, self.left_mib_s) if one > 0]
        return min(caps, default=0.0)


class Sharing:
    """What one host's outgoing migrations share.

    :param capacity_mib_s: ``[host] migration_mib_s``
    """

    def __init__(
        self,
        host: str,
        capacity_mib_s: float,
        clock: collections.abc.Callable[[], float] = time.monotonic,
    ) -> None:
        self._host = host
        self._clock = clock
        self._capacity_mib_s = capacity_mib_s
        self._lock = threading.Lock()
        self._streams: dict[str, _Stream] = {}
        self._departed = headroom.Departed()

    def join(
        self,
        migration_id: str,
        own_mib_s: float,
        left_mib_s: float,
        destination: str,
        tell: Tell,
        carries_mib_s: float | None = None,
        left_streams: int = 1,
    ) -> None:
        """Let a migration share; it and the others are told what changes.

        :param tell: told under a lock, so that no word overtakes another
        :param carries_mib_s: the interface by which it leaves, MiB/s; None
            where that is not known
        :param left_streams: how many come in at its destination, and itself
        """
        with self._lock:
            self._streams[migration_id] = _Stream(
                own_mib_s,
                left_mib_s,
                int(own_mib_s),
                destination,
                tell,
                carries_mib_s,
                left_streams=left_streams,
            )
            self._share()

    def leave_to(
        self, migration_id: str, left_mib_s: float, left_streams: int = 1
    ) -> None:
        """Take note of what a migration's destination leaves to it now.

        :param left_streams: how many come in there, and itself
        """
        with self._lock:
            stream = self._streams.get(migration_id)
            if stream is not None:
                stream.left_mib_s = left_mib_s
                stream.left_streams = left_streams
                self._share()

    def leave(self, migration_id: str) -> None:
        """Share no longer; the others get what it had."""
        with self._lock:
            gone = self._streams.pop(migration_id, None)
            if gone is not None:
                self._departed.note(
                    migration_id, gone.cap_mib_s, self._clock()
                )
                self._share()

    def others(self, migration_id: str) -> tuple[float, ...]:
        """Return the most that each other stream can use of this host.

        Those that ended a moment ago count, as they are still measured.

        :returns: MiB/s; 0 for all there is
        """
        with self._lock:
            caps = self._departed.caps_mib_s(self._clock())
            for name, one in self._streams.items():
                caps[name] = one.cap_mib_s
            caps.pop(migration_id, None)
            return tuple(caps.values())

    def usable(self, migration_id: str, own_mib_s: float) -> float:
        """Return the most that a migration could use of this host.

        What its destination leaves to it does not count.

        :returns: MiB/s; 0 for all there is
        """
        with self._lock:
            caps = {name: one.cap_mib_s for name, one in self._streams.items()}
            caps[migration_id] = own_mib_s
            if len(caps) == 1:
                return own_mib_s
            return bandwidth.shares(self._carries_mib_s, caps)[migration_id]

    @property
    def _carries_mib_s(self) -> float:
        """What is shared: never more than an interface in use carries."""
        streams = self._streams.values()
        known = [one.carries_mib_s for one in streams if one.carries_mib_s]
        return min([self._capacity_mib_s, *known])

    def _share(self) -> None:
        caps = {name: one.cap_mib_s for name, one in self._streams.items()}
        limits = bandwidth.limits(self._carries_mib_s, caps)
        for name, stream in self._streams.items():
            limit = limits[name]
            # The end that more streams share leaves less to each.
            count = max(len(caps), stream.left_streams)
            if (limit, count) != (stream.told_mib_s, stream.told_streams):
                stream.told_mib_s, stream.told_streams = limit, count
                stream.tell(limit, count, self._why(stream, limit))

    def _why(self, stream: _Stream, limit: int) -> str:
        """Say what a limit is due to: the end that leaves less."""
        count = len(self._streams)
        if stream.left_mib_s and limit == int(stream.left_mib_s):
            return f'{stream.destination} shares what comes in'
        if count > 1:
            return f'{self._host} shares what goes out between {count}'
        return f'{self._host} has no other migration'
