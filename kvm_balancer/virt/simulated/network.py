"""The migration network: streams that share what hosts can carry. Pure.

Each direction of a host's network card is shared equally by the streams
that use it; a stream gets the smaller of its two shares, or its own limit.
"""

import collections
import collections.abc
from typing import Protocol


class Stream(Protocol):
    """The memory of one migration on its way.

    :ivar limit_mib_s: its own limit; 0 for none
    """

    source: str
    destination: str
    limit_mib_s: float

    def catch_up(self) -> None:
        """Account for the time until now, at the bandwidth it had."""

    def flow(self, bandwidth_mib_s: float) -> None:
        """Go on at another bandwidth from now on."""


class Network:
    """All streams that flow now.

    :param capacity: bandwidth of a host's card, each way, MiB/s
    """

    def __init__(
        self, capacity: collections.abc.Callable[[str], float]
    ) -> None:
        self._capacity = capacity
        # kept in order: who is told first must not depend on addresses
        self._leaving: dict[str, dict[int, Stream]] = collections.defaultdict(
            dict
        )
        self._coming: dict[str, dict[int, Stream]] = collections.defaultdict(
            dict
        )

    def join(self, stream: Stream) -> None:
        """Let a stream flow."""
        self._settle(stream)
        self._leaving[stream.source][id(stream)] = stream
        self._coming[stream.destination][id(stream)] = stream
        self._share(stream)

    def leave(self, stream: Stream) -> None:
        """Take a stream out, if it flows; the others get its share."""
        self._settle(stream)
        self._leaving[stream.source].pop(id(stream), None)
        self._coming[stream.destination].pop(id(stream), None)
        self._share(stream)

    def change(self, stream: Stream, limit_mib_s: float) -> None:
        """Give a stream another limit."""
        self._settle(stream)
        stream.limit_mib_s = limit_mib_s
        self._share(stream)

    def through(self, host: str) -> list[Stream]:
        """Return the streams from or to a host."""
        return [*self._leaving[host].values(), *self._coming[host].values()]

    def _near(self, stream: Stream) -> list[Stream]:
        return [
            *self._leaving[stream.source].values(),
            *self._coming[stream.destination].values(),
        ]

    def _settle(self, stream: Stream) -> None:
        for one in self._near(stream):
            one.catch_up()

    def _share(self, stream: Stream) -> None:
        for one in {id(one): one for one in self._near(stream)}.values():
            share = min(
                self._capacity(one.source) / len(self._leaving[one.source]),
                self._capacity(one.destination)
                / len(self._coming[one.destination]),
            )
            limit = one.limit_mib_s
            one.flow(min(share, limit) if limit > 0 else share)
