"""Work that is done one after the other, in a thread of its own."""

import collections.abc
import heapq
import threading
import time

Work = collections.abc.Callable[[], None]


class Lane:
    """A queue of work, and the thread that does it.

    :param name: of the thread, which begins with the first work
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._changed = threading.Condition()
        #: when each is due, and how much was put before
        self._work: list[tuple[float, int, Work]] = []
        self._count = 0
        self._closed = False
        self._over = threading.Event()

    def put(self, work: Work, delay_seconds: float = 0.0) -> None:
        """Have something done, after all that was put before.

        :param delay_seconds: not before that time is over; nothing that is
            put meanwhile waits for it
        """
        with self._changed:
            if self._closed:
                return
            due = time.monotonic() + delay_seconds
            heapq.heappush(self._work, (due, self._count, work))
            self._count += 1
            if self._count == 1:
                threading.Thread(
                    target=self._run, name=self._name, daemon=True
                ).start()
            self._changed.notify()

    def close(self) -> None:
        """End when all that was put is done, but for what is not due yet."""
        with self._changed:
            self._closed = True
            now = time.monotonic()
            self._work = [one for one in self._work if one[0] <= now]
            heapq.heapify(self._work)
            self._changed.notify()

    def wait(self, seconds: float) -> None:
        """Wait until all that was put is done, but not for ever."""
        if self._count:
            self._over.wait(seconds)

    def _run(self) -> None:
        while (work := self._next()) is not None:
            work()
        self._over.set()

    def _next(self) -> Work | None:
        """Wait for what is due; None when nothing more will be."""
        with self._changed:
            while True:
                pause = None
                if self._work:
                    pause = self._work[0][0] - time.monotonic()
                    if pause <= 0.0:
                        return heapq.heappop(self._work)[2]
                if self._closed:
                    return None
                self._changed.wait(pause)
