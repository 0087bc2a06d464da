"""What is due at which moment of a simulated time. Pure."""

import collections.abc
import dataclasses
import heapq
import itertools
import math

Action = collections.abc.Callable[[], None]


@dataclasses.dataclass(slots=True)
class Entry:
    """Something that is due, unless it was called off."""

    at: float
    action: Action
    called_off: bool = False

    def call_off(self) -> None:
        """Let it not happen."""
        self.called_off = True


class Agenda:
    """Actions in the order of their time; at the same time, as put."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Entry]] = []
        self._numbers = itertools.count()

    @property
    def next_at(self) -> float:
        """When the next one is due; infinite where none is."""
        while self._heap and self._heap[0][2].called_off:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else math.inf

    def put(self, at: float, action: Action) -> Entry:
        """Let *action* happen at *at*, unless the entry is called off."""
        entry = Entry(at, action)
        heapq.heappush(self._heap, (at, next(self._numbers), entry))
        return entry

    def take(self, until: float) -> Entry | None:
        """Take out the next one that is due by *until*."""
        if self.next_at > until or not self._heap:
            return None
        return heapq.heappop(self._heap)[2]
