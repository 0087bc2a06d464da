"""Work that goes on in a thread of its own until it is told to end."""

import collections.abc
import threading


class Background:
    """A thread that does its work again and again, and pauses between.

    Its work is a loop that ends when :attr:`ending` is, which each
    :meth:`pause` returns the contrary of::

        while self._background.pause(self._interval_seconds):
            self._look()

    :param name: of the thread
    :param run: the loop
    :param patience_seconds: so long its end is waited for; None: as long as
        it takes
    """

    def __init__(
        self,
        name: str,
        run: collections.abc.Callable[[], None],
        patience_seconds: float | None = None,
    ) -> None:
        self._patience_seconds = patience_seconds
        self._ending = threading.Event()
        self._woken = threading.Event()
        self._thread = threading.Thread(target=run, name=name, daemon=True)

    @property
    def ending(self) -> bool:
        """Whether it was told to end."""
        return self._ending.is_set()

    @property
    def alive(self) -> bool:
        """Whether it has begun, and has not ended."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Cut the pause short, or else the next one."""
        self._woken.set()

    def end(self) -> None:
        """Tell it to end, and do not wait for it."""
        self._ending.set()
        self._woken.set()

    def stop(self) -> None:
        """Tell it to end, and wait for it, if it has begun."""
        self.end()
        self.join(self._patience_seconds)

    def join(self, seconds: float | None = None) -> None:
        """Wait until it has ended, for so long at most, if it has begun."""
        if self._thread.is_alive():
            self._thread.join(seconds)

    def pause(
        self, seconds: float | None = None, gather_seconds: float = 0.0
    ) -> bool:
        """Wait until it is woken or told to end; return whether to go on.

        Who wakes it has put what is to be done before: work that is looked
        for after the pause misses nothing.

        :param seconds: so long at most; None: until then
        :param gather_seconds: so long once it is woken, so that more of
            what it is woken for may come
        """
        if not self._ending.is_set():
            self._woken.wait(seconds)
            self._ending.wait(gather_seconds)
            self._woken.clear()
        return not self._ending.is_set()
