"""Work that is done one after the other, in a thread of its own."""

import collections.abc
import queue
import threading

Work = collections.abc.Callable[[], None]


class Lane:
    """A queue of work, and the thread that does it.

    :param name: of the thread, which begins with the first work
    """

    def __init__(self, name: str) -> None:
        self._work: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._name = name
        self._begun = False
        self._over = threading.Event()

    def put(self, work: Work) -> None:
        """Have something done, after all that was put before."""
        if not self._begun:
            self._begun = True
            threading.Thread(
                target=self._run, name=self._name, daemon=True
            ).start()
        self._work.put(work)

    def close(self) -> None:
        """End when all that was put is done."""
        self._work.put(None)

    def wait(self, seconds: float) -> None:
        """Wait until all that was put is done, but not for ever."""
        if self._begun:
            self._over.wait(seconds)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()
        self._over.set()
