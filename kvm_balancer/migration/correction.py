"""What past migrations teach of the next ones: predicted against actual.

A factor for each of time, downtime and MiB, by mode: one for the whole fleet,
which learns what hosts and networks add to every migration, and on top one
for each instance, which learns what is its own. A prediction that came true
changes nothing; one that was too low raises the factors by part of its error,
the instance's by more than the fleet's. Old lessons fade.

The predictions in plans are corrected already when they are made, so that
their errors add to the factors that were in force; those made by hand are
not, and their errors are what the factors should have been. Pure: times are
those of the migrations.
"""

import collections.abc
import dataclasses
import math

from kvm_balancer.model import plan

#: Shares of an error that a lesson takes over.
INSTANCE_SHARE = 0.5
FLEET_SHARE = 0.1
#: A lesson counts for half after so long.
HALF_LIFE_SECONDS = 14 * 86_400.0
#: One migration never counts for more than a factor of this, nor do all.
_MOST = math.log(3.0)
#: What is off by less time, downtime or memory is as good as true.
_SLACK = (0.5, 20.0, 8.0)

#: Logarithms of the factors of seconds, downtime and MiB.
_Logs = tuple[float, float, float]
_NONE: _Logs = (0.0, 0.0, 0.0)


@dataclasses.dataclass(frozen=True, slots=True)
class Lesson:
    """A migration that completed, and what had been predicted of it.

    :ivar mode: in which it ended
    :ivar downtime_ms: None where it is not known
    :ivar planned: the prediction was one of a plan
    """

    instance: str
    mode: plan.Mode
    ended_at: float
    predicted: plan.Prediction
    seconds: float
    downtime_ms: float | None
    mib: float
    planned: bool = True


@dataclasses.dataclass(slots=True)
class _Factors:
    logs: _Logs = _NONE
    at: float = 0.0

    def now(self, at: float) -> _Logs:
        """Return them as they have faded until *at*."""
        age = max(0.0, at - self.at)
        faded = 0.5 ** (age / HALF_LIFE_SECONDS)
        seconds, downtime, mib = self.logs
        return seconds * faded, downtime * faded, mib * faded

    def learn(self, error: _Logs, share: float, at: float) -> None:
        before = self.now(at)
        seconds, downtime, mib = (
            _bounded(old + share * new)
            for old, new in zip(before, error, strict=True)
        )
        self.logs = seconds, downtime, mib
        self.at = max(self.at, at)


class Corrections:
    """The factors as they are after all lessons so far."""

    def __init__(self) -> None:
        self._fleet: dict[plan.Mode, _Factors] = {}
        self._instances: dict[tuple[str, plan.Mode], _Factors] = {}

    def __len__(self) -> int:
        return len(self._instances)

    def learn(self, lesson: Lesson) -> None:
        """Take in one migration; lessons come in the order they ended.

        One that ended in another mode than predicted teaches nothing of
        either.
        """
        if lesson.mode is not lesson.predicted.mode:
            return
        at = lesson.ended_at
        error = _error(lesson)
        if not lesson.planned:
            seconds, downtime, mib = (
                new - old
                for new, old in zip(
                    error,
                    self._logs(lesson.instance, lesson.mode, at),
                    strict=True,
                )
            )
            error = seconds, downtime, mib
        self._fleet.setdefault(lesson.mode, _Factors()).learn(
            error, FLEET_SHARE, at
        )
        key = lesson.instance, lesson.mode
        self._instances.setdefault(key, _Factors()).learn(
            error, INSTANCE_SHARE, at
        )

    def correct(
        self, instance: str, predicted: plan.Prediction, now: float
    ) -> plan.Prediction:
        """Return what is to be expected after all that was learned."""
        logs = self._logs(instance, predicted.mode, now)
        if logs == _NONE:
            return predicted
        seconds, downtime, mib = (math.exp(log) for log in logs)
        return dataclasses.replace(
            predicted,
            seconds=predicted.seconds * seconds,
            downtime_ms=predicted.downtime_ms * downtime,
            mib=predicted.mib * mib,
        )

    def correct_all(
        self,
        instances: collections.abc.Sequence[str],
        predicted: collections.abc.Sequence[plan.Prediction],
        now: float,
    ) -> list[plan.Prediction]:
        """Correct one prediction of each of *instances*."""
        if not self._fleet:
            return list(predicted)
        return [
            self.correct(instance, one, now)
            for instance, one in zip(instances, predicted, strict=True)
        ]

    def _logs(self, instance: str, mode: plan.Mode, now: float) -> _Logs:
        fleet = self._fleet.get(mode)
        if fleet is None:
            return _NONE
        common = fleet.now(now)
        own = self._instances.get((instance, mode))
        if own is None:
            return common
        seconds, downtime, mib = (
            _bounded(one + other)
            for one, other in zip(common, own.now(now), strict=True)
        )
        return seconds, downtime, mib


def _error(lesson: Lesson) -> _Logs:
    hoped = lesson.predicted
    downtime_ms = (
        hoped.downtime_ms if lesson.downtime_ms is None else lesson.downtime_ms
    )
    return (
        _log_ratio(lesson.seconds, hoped.seconds, _SLACK[0]),
        _log_ratio(downtime_ms, hoped.downtime_ms, _SLACK[1]),
        _log_ratio(lesson.mib, hoped.mib, _SLACK[2]),
    )


def _log_ratio(actual: float, predicted: float, slack: float) -> float:
    """Compare two sizes, of which differences below *slack* are noise."""
    if not math.isfinite(predicted) or abs(actual - predicted) <= slack:
        return 0.0
    return _bounded(math.log((actual + slack) / (predicted + slack)))


def _bounded(log: float) -> float:
    return min(max(log, -_MOST), _MOST)
