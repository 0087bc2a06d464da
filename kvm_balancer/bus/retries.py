"""Trying again for as long as the broker is away, and saying so once.

Owns the pauses between attempts, and the two lines of the log: when trouble
begins, and when it is over.
"""

import logging


class Trouble:
    """Logs when trouble begins, changes or ends, and not while it lasts.

    Not to be called while an exception is handled: oslo.log appends it to the
    line.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._text = ''

    def begins(self, text: str) -> None:
        """Note that there is trouble."""
        if text != self._text:
            self._log.error('%s; trying until it works', text)
        self._text = text

    def ends(self, text: str) -> None:
        """Note that there is none, or none any more."""
        if self._text:
            self._log.info('%s', text)
        self._text = ''


class Pauses:
    """How long to wait between attempts, in seconds: 1, 2, 4 ... 30."""

    _LONGEST_SECONDS = 30.0

    def __init__(self) -> None:
        self._next = 1.0

    def next(self) -> float:
        """Return the next pause."""
        pause = self._next
        self._next = min(2 * pause, self._LONGEST_SECONDS)
        return pause

    def reset(self) -> None:
        """Begin anew: it worked."""
        self._next = 1.0
