"""What past migrations teach of the next ones: predicted against actual.

A factor for each of copying time, downtime and MiB, by mode: one for the
whole fleet, and one for each instance, which begins as that of the fleet and
goes its own way. Every lesson holds what happened against what had been
predicted *before* it was corrected, and draws the factors part of the way to
that ratio, the instance's further than the fleet's, which no single instance
draws by more than a little. What was corrected by does not matter, so that
lessons may come late and many at once: factors never overshoot. Old lessons
fade, those of an instance to what the fleet has.

A migration that ended in another mode than predicted says nothing of the
factors of either, but that the instance gets more of its memory dirty than was
measured, or less: another factor, of its dirty rate, goes a step that way, and
so the next prediction comes to another mode by itself.

The time in which nothing is copied is no matter of factors: what both ends
have shown of it is taken instead (:mod:`.passages`). Pure: times are those
of the migrations.
"""

import collections.abc
import dataclasses
import math

import numpy as np
from numpy import typing as npt

from kvm_balancer.migration.foresight import passages
from kvm_balancer.model import plan

#: Shares of the way to the newest ratio that a lesson goes.
INSTANCE_SHARE = 0.5
FLEET_SHARE = 0.1
#: A lesson is taken for no further off than this factor by the fleet: one
#: guest that was mistaken by far says little of all others.
_MOST_OF_FLEET = math.log(1.2)
#: A lesson counts for half after so long.
HALF_LIFE_SECONDS = 14 * 86_400.0
#: One migration never counts for more than a factor of this, nor do all.
_MOST = math.log(3.0)
#: How far another mode than predicted draws the factor of the dirty rate, and
#: all of them at most. Three such migrations double what was mistaken by two.
_MODE_STEP = math.log(1.4)
_MOST_DIRTYING = math.log(4.0)
#: What is off by less time, downtime or memory is as good as true.
_SLACK = (0.25, 20.0, 8.0)

#: Logarithms of the factors of copying seconds, downtime and MiB.
_Logs = tuple[float, float, float]
_NONE: _Logs = (0.0, 0.0, 0.0)
#: The same of one migration; None where it was not seen.
_Ratios = tuple[float | None, float | None, float | None]


@dataclasses.dataclass(frozen=True, slots=True)
class Lesson:
    """A migration that completed, and what had been predicted of it.

    :ivar mode: in which it ended
    :ivar copying_seconds: while its memory was copied; this, and what
        follows, None where it is not known
    :ivar fixed_seconds: all other time
    :ivar downtime_ms: in which the guest did not run
    :ivar alone: no other is known to have used a host of it meanwhile
    """

    instance: str
    ends: passages.Ends
    mode: plan.Mode
    began_at: float
    ended_at: float
    predicted: plan.Prediction
    mib: float
    copying_seconds: float | None
    fixed_seconds: float | None
    downtime_ms: float | None
    alone: bool = True


@dataclasses.dataclass(slots=True)
class _Factors:
    logs: _Logs = _NONE
    at: float = 0.0

    def now(self, at: float, rest: _Logs = _NONE) -> _Logs:
        """Return them as they have faded to *rest* until *at*."""
        left = 0.5 ** (max(0.0, at - self.at) / HALF_LIFE_SECONDS)
        seconds, downtime, mib = (
            to + left * (log - to)
            for log, to in zip(self.logs, rest, strict=True)
        )
        return seconds, downtime, mib

    def draw(
        self, ratios: _Ratios, share: float, at: float, rest: _Logs = _NONE
    ) -> None:
        """Go a share of the way to what was seen."""
        seconds, downtime, mib = (
            old if ratio is None else old + share * (ratio - old)
            for old, ratio in zip(self.now(at, rest), ratios, strict=True)
        )
        self.logs = seconds, downtime, mib
        self.at = max(self.at, at)


@dataclasses.dataclass(slots=True)
class _Faded:
    """The logarithm of a factor that fades to 1."""

    log: float = 0.0
    at: float = 0.0

    def now(self, at: float) -> float:
        lives = max(0.0, at - self.at) / HALF_LIFE_SECONDS
        return self.log * math.pow(0.5, lives)


class Corrections:
    """The factors as they are after all lessons so far."""

    def __init__(self) -> None:
        self._fleet: dict[plan.Mode, _Factors] = {}
        self._instances: dict[tuple[str, plan.Mode], _Factors] = {}
        self._passages = passages.Passages()
        self._dirtying: dict[str, _Faded] = {}

    def __len__(self) -> int:
        return len(self._instances)

    def learn(self, lesson: Lesson) -> None:
        """Take in one migration; lessons come in the order they ended.

        One that ended in another mode than predicted teaches that the dirty
        rate is mistaken, and nothing of the factors of either mode. One that
        shared the network of a host teaches neither: it took longer, and may
        have copied more, for what is no matter of its own, and who plans
        reckons with sharing anyway.
        """
        passage = passages.Passage(
            lesson.ends,
            lesson.began_at,
            lesson.ended_at,
            lesson.mib,
            lesson.copying_seconds,
            lesson.fixed_seconds,
            lesson.alone,
            lesson.predicted.limit_mib_s,
        )
        self._passages.add(passage)
        if not passage.alone:
            return
        if lesson.mode is not lesson.predicted.mode:
            self._learn_dirtying(lesson)
            return
        at = lesson.ended_at
        ratios = _ratios(lesson)
        fleet = self._fleet.setdefault(lesson.mode, _Factors())
        before = fleet.now(at)
        fleet.draw(_near(ratios, before), FLEET_SHARE, at)
        own = self._instances.setdefault(
            (lesson.instance, lesson.mode), _Factors(before, at)
        )
        own.draw(ratios, INSTANCE_SHARE, at, before)

    def _learn_dirtying(self, lesson: Lesson) -> None:
        """Who needed post-copy gets more dirty, who did not gets less."""
        known = self._dirtying.setdefault(lesson.instance, _Faded())
        hybrid = lesson.mode is plan.Mode.POST_COPY
        log = known.now(lesson.ended_at) + (
            _MODE_STEP if hybrid else -_MODE_STEP
        )
        known.log = min(max(log, -_MOST_DIRTYING), _MOST_DIRTYING)
        known.at = max(known.at, lesson.ended_at)

    def dirtying(self, now: float) -> dict[str, float]:
        """Return by what dirty rates are corrected, by instance.

        :returns: only those of whom it is known
        """
        return {
            instance: math.exp(known.now(now))
            for instance, known in self._dirtying.items()
        }

    def bandwidths_mib_s(
        self, ends: collections.abc.Iterable[passages.Ends]
    ) -> npt.NDArray[np.float64]:
        """Return what was seen to be carried between each two hosts.

        :returns: infinity where it is not known
        """
        return np.array(
            [self._passages.bandwidth_mib_s(one) or np.inf for one in ends],
            dtype=np.float64,
        )

    def carried_mib_s(self) -> dict[passages.Ends, float]:
        """Return what is known to be carried between hosts."""
        return self._passages.known_mib_s()

    def mib_factors(
        self,
        instances: collections.abc.Sequence[str],
        post_copy: npt.NDArray[np.bool_],
        now: float,
    ) -> npt.NDArray[np.float64]:
        """Return by what the MiB predicted of *instances* are corrected.

        :param post_copy: who is to end in that mode, shape ``(n,)``
        """
        pre, post = (
            math.exp(self._logs('', mode, now)[2])
            for mode in (plan.Mode.PRE_COPY, plan.Mode.POST_COPY)
        )
        factors = np.where(post_copy, post, pre)
        for row, (instance, hybrid) in enumerate(
            zip(instances, post_copy.tolist(), strict=True)
        ):
            mode = plan.Mode.POST_COPY if hybrid else plan.Mode.PRE_COPY
            if (instance, mode) in self._instances:
                factors[row] = math.exp(self._logs(instance, mode, now)[2])
        return factors

    def correct(
        self,
        instance: str,
        ends: passages.Ends,
        predicted: plan.Prediction,
        now: float,
    ) -> plan.Prediction:
        """Return what is to be expected after all that was learned.

        It carries what was predicted, for the lesson that comes of it.
        """
        raw = uncorrected(predicted)
        fixed = self._passages.fixed_seconds(ends)
        if fixed is None:
            fixed = predicted.fixed_seconds
        seconds, downtime, mib = (
            math.exp(log) for log in self._logs(instance, predicted.mode, now)
        )
        without = predicted.without_post_copy
        if without is not None:
            without = self.correct(instance, ends, without, now)
        return dataclasses.replace(
            predicted,
            without_post_copy=without,
            seconds=fixed + raw.copying_seconds * seconds,
            downtime_ms=raw.downtime_ms * downtime,
            mib=raw.mib * mib,
            fixed_seconds=fixed,
            uncorrected=raw,
        )

    def correct_all(
        self,
        instances: collections.abc.Iterable[str],
        ends: collections.abc.Iterable[passages.Ends],
        predicted: collections.abc.Iterable[plan.Prediction],
        now: float,
    ) -> list[plan.Prediction]:
        """Correct one prediction of each of *instances*."""
        return [
            self.correct(*one, now)
            for one in zip(instances, ends, predicted, strict=True)
        ]

    def _logs(self, instance: str, mode: plan.Mode, now: float) -> _Logs:
        fleet = self._fleet.get(mode)
        if fleet is None:
            return _NONE
        common = fleet.now(now)
        own = self._instances.get((instance, mode))
        return common if own is None else own.now(now, common)


def uncorrected(predicted: plan.Prediction) -> plan.Uncorrected:
    """Return what was predicted before past migrations were asked."""
    return predicted.uncorrected or plan.Uncorrected(
        max(predicted.seconds - predicted.fixed_seconds, 0.0),
        predicted.downtime_ms,
        predicted.mib,
    )


def _ratios(lesson: Lesson) -> _Ratios:
    raw = uncorrected(lesson.predicted)
    return (
        _log_ratio(lesson.copying_seconds, raw.copying_seconds, _SLACK[0]),
        _log_ratio(lesson.downtime_ms, raw.downtime_ms, _SLACK[1]),
        _log_ratio(lesson.mib, raw.mib, _SLACK[2]),
    )


def _near(ratios: _Ratios, known: _Logs) -> _Ratios:
    """Bring what was seen close to what is known."""
    seconds, downtime, mib = (
        None
        if ratio is None
        else log + min(max(ratio - log, -_MOST_OF_FLEET), _MOST_OF_FLEET)
        for ratio, log in zip(ratios, known, strict=True)
    )
    return seconds, downtime, mib


def _log_ratio(
    actual: float | None, predicted: float, slack: float
) -> float | None:
    """Compare two sizes, of which differences below *slack* are noise."""
    if actual is None or not math.isfinite(predicted):
        return None
    if abs(actual - predicted) <= slack:
        return 0.0
    log = math.log((actual + slack) / (predicted + slack))
    return min(max(log, -_MOST), _MOST)
