"""Rates made of counters, one round of reading after the other.

Pure: the time comes in with every round.
"""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class _Mark:
    at: float
    value: float
    rate: float


class Meters:
    """Counters of many owners, and what they grow by in a second.

    An owner is one life of something: what restarts is another owner. The
    counters of an owner that was not there in the round before began after
    it, so all they counted belongs to the time between. A counter that went
    backwards, or that its owner only now tells, says nothing yet: 0. One
    that was not told this time keeps its rate, and the next one covers both
    intervals. In the first round there is nothing to compare with, and every
    rate is 0.
    """

    def __init__(self) -> None:
        self._before: dict[str, dict[str, _Mark]] = {}
        self._round: dict[str, dict[str, _Mark]] = {}
        self._began: float | None = None
        self._now: float | None = None

    @property
    def interval_seconds(self) -> float:
        """Time between this round and the one before; 0 in the first."""
        if self._began is None or self._now is None:
            return 0.0
        return self._now - self._began

    def begin(self, now: float) -> None:
        """Begin a round at *now*, in seconds of a clock that never jumps."""
        self._began, self._now = self._now, now
        self._before, self._round = self._round, {}

    def rate(self, owner: str, name: str, value: float | None) -> float:
        """Return what a counter grows by in a second, never negative.

        :param value: the counter; None where it was not told this time
        """
        marks = self._round.setdefault(owner, {})
        before = self._before.get(owner, {}).get(name)
        if value is None:
            if before is None:
                return 0.0
            marks[name] = before
            return before.rate
        now = self._now or 0.0
        rate = self._grown(owner, before, value, now)
        marks[name] = _Mark(now, value, rate)
        return rate

    def _grown(
        self, owner: str, before: _Mark | None, value: float, now: float
    ) -> float:
        if before is not None:
            grown, since = value - before.value, before.at
        elif self._began is not None and owner not in self._before:
            grown, since = value, self._began
        else:
            return 0.0
        if grown < 0 or now <= since:
            return 0.0
        return grown / (now - since)
