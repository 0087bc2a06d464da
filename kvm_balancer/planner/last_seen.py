"""Where instances were seen last: what tells a move from an arrival.

Who keeps it over a restart does so piece by piece: an instance is in the
piece that its id says, and only pieces that have changed need to be written
anew. What an agent of 200,000 instances changes from one decision to the
next is a few kilobytes so, and all of it some megabytes. Pure.
"""

import collections.abc
from typing import Final
import zlib

#: Of 200,000 instances, each piece holds 200.
_PIECES: Final = 1024
#: What is kept is written anew so often, before any store forgets it.
_RENEWED_SECONDS: Final = 6 * 3600.0


class LastSeen:
    """The host of every instance that was seen."""

    def __init__(self) -> None:
        self._pieces: list[dict[str, str]] = [{} for _ in range(_PIECES)]
        self._changed: set[int] = set()
        self._renewed_at: float | None = None

    def get(self, instance: str) -> str | None:
        """Return where an instance was; None where it was not seen."""
        return self._pieces[_piece(instance)].get(instance)

    def put(self, instance: str, host: str) -> None:
        """Take down where an instance is."""
        number = _piece(instance)
        if self._pieces[number].get(instance) != host:
            self._pieces[number][instance] = host
            self._changed.add(number)

    def renew(self, known: collections.abc.Container[str], now: float) -> None:
        """Let go of who is not *known* any more, if it is time.

        That is hours after the first call: hosts come back after a restart
        one by one.
        """
        if self._renewed_at is None:
            self._renewed_at = now
        if now - self._renewed_at < _RENEWED_SECONDS:
            return
        self._renewed_at = now
        for number, piece in enumerate(self._pieces):
            if piece:
                self._changed.add(number)
            self._pieces[number] = {
                one: host for one, host in piece.items() if one in known
            }

    def changed(self) -> dict[int, dict[str, str]]:
        """Return the pieces that are other than they were written."""
        return {number: self._pieces[number] for number in self._changed}

    def written(self) -> None:
        """Take down that all that has changed was written."""
        self._changed.clear()

    def restore(self, piece: collections.abc.Mapping[str, str]) -> None:
        """Take over a piece that an earlier run has written."""
        for instance, host in piece.items():
            self._pieces[_piece(instance)][instance] = host


def _piece(instance: str) -> int:
    # The same in every run, as hash() is not.
    return zlib.crc32(instance.encode()) % _PIECES
