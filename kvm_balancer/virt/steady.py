"""A clock that shows the time of day and is never set.

What a migration waits for is counted in seconds that go by; what it tells
are times of day. The clock of a host may be set while it runs, so that the
difference of two of its times is no count of seconds: it is read once, and
those that went by since are added.
"""

import collections.abc
import time

#: Returns the present time, in seconds since the epoch.
Clock = collections.abc.Callable[[], float]


class SteadyClock:
    """The time of day at its beginning, and the seconds since.

    All that is told of one migration carries the time of one of these.

    :param begun_at: what it shows first; None for the time of day
    """

    def __init__(self, begun_at: float | None = None) -> None:
        shown = time.time() if begun_at is None else begun_at
        self._ahead = shown - time.monotonic()

    def __call__(self) -> float:
        """Return the seconds since the epoch, counted from the beginning."""
        return time.monotonic() + self._ahead
