import itertools
import unittest

import hypothesis
from hypothesis import strategies as st

from kvm_balancer.migration import correction
from kvm_balancer.model import plan

_DAY = 86_400.0
RAW = plan.Prediction(20.0, 300.0, 1000.0)


def lesson(seconds, predicted=RAW, at=0.0, instance='i', **changes):
    return correction.Lesson(
        **{
            'instance': instance,
            'mode': plan.Mode.PRE_COPY,
            'ended_at': at,
            'predicted': predicted,
            'seconds': seconds,
            'downtime_ms': 300.0,
            'mib': 1000.0,
            **changes,
        }
    )


def corrected(book, instance='i', now=0.0, predicted=RAW):
    return book.correct(instance, predicted, now).seconds


class CorrectionTest(unittest.TestCase):
    def setUp(self):
        self.book = correction.Corrections()

    def test_nothing_learned_changes_nothing(self):
        self.assertEqual(RAW, self.book.correct('i', RAW, 0.0))
        self.book.learn(lesson(20.2))
        self.assertEqual(RAW, self.book.correct('i', RAW, 0.0))

    def test_predictions_in_plans_come_to_what_really_happens(self):
        for actual, planned in itertools.product((12.0, 30.0), (True, False)):
            book = correction.Corrections()
            for at in range(12):
                predicted = book.correct('i', RAW, at) if planned else RAW
                book.learn(lesson(actual, predicted, at, planned=planned))
            self.assertAlmostEqual(
                1.0, corrected(book) / actual, delta=0.06, msg=planned
            )

    def test_one_lesson_counts_in_part_and_less_for_the_others(self):
        self.book.learn(lesson(40.0))
        own, other = corrected(self.book), corrected(self.book, 'j')
        self.assertTrue(20.0 < other < 22.0 < own < 40.0, (other, own))

    def test_a_lesson_of_one_mode_says_nothing_of_the_other(self):
        self.book.learn(lesson(40.0, mode=plan.Mode.POST_COPY))
        self.assertEqual(20.0, corrected(self.book))

    def test_old_lessons_fade(self):
        self.book.learn(lesson(40.0))
        fresh, old = corrected(self.book), corrected(self.book, now=60 * _DAY)
        self.assertGreater(fresh - 20.0, 10 * (old - 20.0))

    def test_an_unknown_downtime_teaches_nothing_of_it(self):
        self.book.learn(lesson(40.0, downtime_ms=None))
        self.assertEqual(300.0, self.book.correct('i', RAW, 0.0).downtime_ms)

    @hypothesis.settings(max_examples=50)
    @hypothesis.given(
        st.lists(
            st.tuples(
                st.floats(0, 1e9),
                st.floats(0, 1e9) | st.just(float('inf')),
                st.floats(0, 1e9),
                st.booleans(),
            ),
            max_size=30,
        )
    )
    def test_whatever_happened_it_stays_within_bounds(self, past):
        for at, (actual, predicted, mib, planned) in enumerate(past):
            hoped = plan.Prediction(predicted, predicted, mib)
            self.book.learn(
                lesson(actual, hoped, at, mib=actual, planned=planned)
            )
        found = self.book.correct('i', RAW, 100.0)
        for value, raw in (
            (found.seconds, RAW.seconds),
            (found.downtime_ms, RAW.downtime_ms),
            (found.mib, RAW.mib),
        ):
            self.assertLessEqual(value / raw, 3.0 + 1e-9)
            self.assertGreaterEqual(value / raw, 1.0 / 3.0 - 1e-9)
