"""How long a migration was predicted to take, and how long it took.

Guests of sizes, dirty rates, working sets and links drawn with a seed of
their own, none of which the model was tuned on. Each is measured as an
executor measures it in its first quarter of an hour, predicted before it is
begun, and migrated. The same prediction is made once more as an agent makes
it, which has learned from the guests before and has never seen this one. Some
go back at once, predicted by what the first migration of them has taught.
"""

import collections.abc
from concurrent import futures
import dataclasses

import numpy as np

from benchmarks.migration import foresight
from benchmarks.migration import ground
from benchmarks.migration import report
from benchmarks.migration import ways
from kvm_balancer.lab import bootsector
from kvm_balancer.migration import request
from kvm_balancer.migration.foresight import correction
from kvm_balancer.model import outcome as outcomes
from kvm_balancer.model import plan
from kvm_balancer.service import dirty_rates

#: Another one whenever the model has changed.
_SEED = 20261129
_LIMIT = 0.10
#: An executor makes a round every five minutes.
_ROUNDS = 3
#: Guests that are measured side by side; they migrate one by one.
_SIDE_BY_SIDE = 6
#: One guest of so many goes back.
_BACK = 3


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    """One guest and its link."""

    memory_mib: int
    filled_mib: int
    link_mib_s: float
    load: bootsector.Load
    post_copy: bool

    @property
    def options(self) -> request.Options:
        """What its migration is allowed."""
        return request.Options(post_copy=self.post_copy)


@dataclasses.dataclass(frozen=True, slots=True)
class Ready:
    """A guest that is up, and what is expected of its migration."""

    case: Case
    uid: str
    predicted: plan.Prediction


def cases(number: int) -> list[Case]:
    """Draw guests; the same number gives the same guests."""
    random = np.random.default_rng(_SEED)
    drawn = []
    for _ in range(number):
        memory = int(random.choice([512, 640, 768]))
        filled = int(memory * random.uniform(0.5, 0.93))
        link = float(random.uniform(48, 128))
        working = int(filled * random.uniform(0.05, 0.8))
        rate = link * float(random.choice([0, 0.1, 0.3, 0.6, 0.9, 1.5]))
        drawn.append(
            Case(
                memory_mib=memory,
                filled_mib=filled,
                link_mib_s=round(link, 1),
                load=bootsector.Load(
                    cpu=0.0,
                    dirty_mib_s=max(0.25, round(rate, 1)),
                    working_set_mib=working,
                ),
                post_copy=bool(random.random() < 0.5),
            )
        )
    return drawn


def run(place: ground.Ground, pairs: int) -> report.Report:
    """Predict and migrate *pairs* guests."""
    told = report.Report(
        'prediction',
        f'predicted against actual time of {pairs} guests, measured in '
        f'{_ROUNDS} rounds',
        f'90th percentile of the relative error at most {_LIMIT:.0%}',
    )
    book = correction.Corrections()
    differs: list[float] = []
    again: list[float] = []
    for number, ready in enumerate(_readied(place, cases(pairs)), 1):
        place.limit(ready.case.link_mib_s)
        options = ready.case.options
        ended = ways.ours(place, ready.uid, options, ready.predicted)
        told.rows.append(_row(ready, ended, book))
        told.say(str(told.rows[-1]))
        if number % _BACK == 1:
            back = ways.ours(place, ready.uid, options, ready.predicted)
            differs.append(abs(back.seconds / ended.seconds - 1))
            second = _row(ready, back, book)
            again.append(abs(float(second['learned error %'] or 0.0)))
            told.say(f'again: {second}')
        place.limit(None)
        place.remove(ready.uid)
    _sum_up(told)
    _tell(told, 'error of a second migration %', again)
    told.identical = (
        f'{100 * float(np.median(differs)):.1f} % in the median, '
        f'{100 * max(differs):.1f} % at most'
    )
    return told


def _readied(
    place: ground.Ground, drawn: list[Case]
) -> collections.abc.Iterator[Ready]:
    """Start guests and measure them, a few side by side."""
    with futures.ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        for first in range(0, len(drawn), _SIDE_BY_SIDE):
            some = drawn[first : first + _SIDE_BY_SIDE]
            uids = [
                place.guest(case.load, case.memory_mib, case.filled_mib)
                for case in some
            ]
            yield from pool.map(
                lambda case, uid: Ready(case, uid, _expect(place, case, uid)),
                some,
                uids,
            )


def _expect(place: ground.Ground, case: Case, uid: str) -> plan.Prediction:
    return foresight.predict(
        place,
        uid,
        case.options,
        case.link_mib_s * ground.PAYLOAD,
        dirty_rates.Params().windows_seconds,
        _ROUNDS,
    )


def _row(
    ready: Ready, ended: ways.Run, book: correction.Corrections
) -> dict[str, report.Cell]:
    """Hold one migration against what was predicted, and learn from it."""
    case, predicted, was = ready.case, ready.predicted, ended.outcome
    if was is None:
        raise RuntimeError('our own migrations have outcomes')
    ends = was.source, was.destination
    expected = book.correct(was.instance, ends, predicted, was.accepted_at)
    book.learn(_lesson(was, expected))
    return {
        'MiB': case.filled_mib,
        'link': case.link_mib_s,
        'dirty': case.load.dirty_mib_s,
        'working set': case.load.working_set_mib,
        'predicted': str(predicted.ending),
        'actual': str(was.mode),
        'throttle %': was.max_throttle_percent,
        'predicted s': predicted.seconds,
        'learned s': expected.seconds,
        'actual s': ended.seconds,
        'fixed s': (was.fixed_ms or 0.0) / 1000.0,
        'predicted MiB': predicted.mib,
        'actual MiB': was.transferred_mib,
        'MiB error %': 100 * (predicted.mib / was.transferred_mib - 1),
        'error %': 100 * (predicted.seconds / ended.seconds - 1),
        'learned error %': 100 * (expected.seconds / ended.seconds - 1),
    }


def _lesson(
    was: outcomes.Outcome, expected: plan.Prediction
) -> correction.Lesson:
    def seconds(milliseconds: float | None) -> float | None:
        return None if milliseconds is None else milliseconds / 1000.0

    return correction.Lesson(
        instance=was.instance,
        ends=(was.source, was.destination),
        mode=was.mode,
        began_at=was.accepted_at,
        ended_at=was.ended_at,
        predicted=expected,
        mib=was.transferred_mib,
        copying_seconds=seconds(was.copying_ms),
        fixed_seconds=seconds(was.fixed_ms),
        downtime_ms=was.downtime_ms,
    )


def _sum_up(told: report.Report) -> None:
    """Say how far off they were, from the errors in the rows."""
    told.figures['guests that were throttled'] = sum(
        bool(row['throttle %']) for row in told.rows
    )
    for key, name in (
        ('error %', 'error %'),
        ('learned error %', 'error with what was learned %'),
        ('MiB error %', 'error of MiB %'),
    ):
        errors = [abs(float(row[key] or 0.0)) for row in told.rows]
        most = _tell(told, name, errors)
        if key == 'error %':
            told.reached = bool(most <= 100 * _LIMIT)


def _tell(told: report.Report, name: str, errors: list[float]) -> float:
    """Tell of some errors; return their 90th percentile."""
    half, most = (float(one) for one in np.percentile(errors, [50, 90]))
    told.figures[f'{name}, 50th percentile'] = half
    told.figures[f'{name}, 90th percentile'] = most
    return most
