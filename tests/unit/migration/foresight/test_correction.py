import dataclasses
import math
import unittest

import hypothesis
from hypothesis import strategies as st

from kvm_balancer.migration.foresight import correction
from kvm_balancer.model import plan

_DAY = 86_400.0
#: Two of its seconds are no copying.
RAW = plan.Prediction(22.0, 300.0, 1000.0, fixed_seconds=2.0)
ENDS = ('host-a', 'host-b')


def lesson(copying, predicted=RAW, at=0.0, instance='i', **changes):
    return correction.Lesson(
        **{
            'instance': instance,
            'ends': ENDS,
            'mode': plan.Mode.PRE_COPY,
            'began_at': at,
            'ended_at': at,
            'predicted': predicted,
            'mib': 1000.0,
            'copying_seconds': copying,
            'fixed_seconds': None,
            'downtime_ms': 300.0,
            **changes,
        }
    )


def corrected(book, instance='i', now=0.0, predicted=RAW):
    found = book.correct(instance, ENDS, predicted, now)
    return found.seconds - found.fixed_seconds


class CorrectionTest(unittest.TestCase):
    def setUp(self):
        self.book = correction.Corrections()

    def figures(self, predicted):
        return predicted.seconds, predicted.downtime_ms, predicted.mib

    def test_nothing_learned_changes_nothing(self):
        for _ in range(2):
            found = self.book.correct('i', ENDS, RAW, 0.0)
            self.assertEqual(self.figures(RAW), self.figures(found))
            self.book.learn(lesson(20.2))

    def test_what_was_predicted_before_is_kept_however_often_corrected(self):
        self.book.learn(lesson(40.0))
        once = self.book.correct('i', ENDS, RAW, 0.0)
        self.assertEqual(
            plan.Uncorrected(20.0, 300.0, 1000.0), once.uncorrected
        )
        self.assertEqual(once, self.book.correct('i', ENDS, once, 0.0))

    @hypothesis.given(
        ratio=st.floats(0.2, 5.0),
        flying=st.integers(1, 40),
        instances=st.integers(1, 4),
        shuffled=st.randoms(use_true_random=False),
    )
    def test_it_converges_without_overshooting_whatever_is_in_flight(
        self, ratio, flying, instances, shuffled
    ):
        """Predictions of one plan are all made before any of it is learned."""
        book = correction.Corrections()
        actual = 20.0 * ratio
        target = 20.0 * min(max(ratio, 1.0 / 3.0), 3.0)
        names = [f'{number % instances}' for number in range(flying)]
        last = {name: 20.0 for name in names}
        for _ in range(12):
            made = [
                (name, book.correct(name, ENDS, RAW, 0.0)) for name in names
            ]
            shuffled.shuffle(made)
            for name, predicted in made:
                book.learn(lesson(actual, predicted, instance=name))
                now = corrected(book, name)
                self.assertLessEqual(
                    abs(math.log(now / target)),
                    abs(math.log(last[name] / target)) + 1e-9,
                )
                self.assertGreaterEqual(
                    (now - target) * (last[name] - target), -1e-6
                )
                last[name] = now
        for now in last.values():
            self.assertAlmostEqual(1.0, now / target, delta=0.05)

    def test_predictions_made_by_hand_teach_like_those_of_plans(self):
        other = correction.Corrections()
        for at in range(5):
            self.book.learn(lesson(40.0, RAW, at))
            predicted = other.correct('i', ENDS, RAW, at)
            other.learn(lesson(40.0, predicted, at))
        self.assertAlmostEqual(corrected(self.book), corrected(other))

    def test_one_lesson_counts_in_part_and_less_for_the_others(self):
        self.book.learn(lesson(40.0))
        own, other = corrected(self.book), corrected(self.book, 'j')
        self.assertTrue(20.0 < other < 22.0 < own < 40.0, (other, own))

    def test_who_was_mistaken_by_far_hardly_concerns_the_others(self):
        for seconds in (0.1, 400.0):
            book = correction.Corrections()
            book.learn(lesson(seconds))
            self.assertAlmostEqual(20.0, corrected(book, 'j'), delta=0.4)

    def test_what_all_were_mistaken_by_the_fleet_learns(self):
        for number in range(40):
            self.book.learn(lesson(40.0, instance=f'{number}'))
        self.assertAlmostEqual(40.0, corrected(self.book, 'new'), delta=3.0)

    def test_an_instance_begins_with_what_the_fleet_has(self):
        for number in range(30):
            self.book.learn(lesson(40.0, instance=f'{number}'))
        self.book.learn(lesson(None, instance='new'))
        self.assertAlmostEqual(
            corrected(self.book, 'other'), corrected(self.book, 'new')
        )

    def test_a_lesson_of_one_mode_says_nothing_of_the_other(self):
        self.book.learn(lesson(40.0, mode=plan.Mode.POST_COPY))
        self.assertEqual(20.0, corrected(self.book))

    def test_another_mode_than_predicted_tells_of_the_dirty_rate(self):
        """A step for each, within bounds, faded by half in two weeks."""
        hybrid = {'mode': plan.Mode.POST_COPY}
        self.assertEqual({}, self.book.dirtying(0.0))
        self.book.learn(lesson(40.0, alone=False, **hybrid))
        self.assertEqual({}, self.book.dirtying(0.0))
        self.book.learn(lesson(40.0, **hybrid))
        self.assertAlmostEqual(1.4, self.book.dirtying(0.0)['i'])
        half = self.book.dirtying(correction.HALF_LIFE_SECONDS)['i']
        self.assertAlmostEqual(math.sqrt(1.4), half)
        for _ in range(20):
            self.book.learn(lesson(40.0, **hybrid))
        self.assertAlmostEqual(4.0, self.book.dirtying(0.0)['i'])
        calm = dataclasses.replace(RAW, mode=plan.Mode.POST_COPY)
        for _ in range(40):
            self.book.learn(lesson(40.0, calm))
        self.assertAlmostEqual(0.25, self.book.dirtying(0.0)['i'])

    def test_what_is_expected_without_post_copy_is_corrected_as_such(self):
        self.book.learn(lesson(20.0))
        both = dataclasses.replace(
            RAW, mode=plan.Mode.POST_COPY, without_post_copy=RAW
        )
        found = self.book.correct('i', ENDS, both, 0.0)
        self.assertEqual(
            self.book.correct('i', ENDS, RAW, 0.0), found.without_post_copy
        )

    def test_old_lessons_fade(self):
        self.book.learn(lesson(40.0))
        fresh, old = corrected(self.book), corrected(self.book, now=60 * _DAY)
        self.assertGreater(fresh - 20.0, 10 * (old - 20.0))

    def test_what_was_not_seen_teaches_nothing_of_it(self):
        self.book.learn(lesson(None, downtime_ms=None))
        found = self.book.correct('i', ENDS, RAW, 0.0)
        self.assertEqual(self.figures(RAW), self.figures(found))

    def test_the_time_without_copying_is_what_it_was_lately(self):
        """It is added, and the factor of the copy is left alone."""
        for at in range(3):
            self.book.learn(lesson(20.0, fixed_seconds=5.0, at=at))
        found = self.book.correct('i', ENDS, RAW, 0.0)
        self.assertAlmostEqual(25.0, found.seconds)
        self.assertEqual(5.0, found.fixed_seconds)

    def test_who_shared_a_host_teaches_nothing_of_itself_nor_of_others(self):
        """It took longer because half of the bandwidth was another's."""
        for at in range(3):
            self.book.learn(lesson(40.0, at=at, alone=False))
        found = self.book.correct('i', ENDS, RAW, 3.0)
        self.assertEqual(self.figures(RAW), self.figures(found))
        self.assertEqual(20.0, corrected(self.book, 'j'))
        # nor does one that met another which was told of before
        self.book.learn(lesson(40.0, at=9.0, began_at=1.5, instance='k'))
        self.assertEqual(20.0, corrected(self.book, 'k'))

    def test_who_kept_to_its_own_limit_says_nothing_of_the_link(self):
        limited = dataclasses.replace(RAW, limit_mib_s=50.0)
        for at in (10.0, 20.0):
            self.book.learn(lesson(20.0, limited, at))
        self.assertEqual([math.inf], self.book.bandwidths_mib_s([ENDS]))
        self.assertEqual({}, self.book.carried_mib_s())

    def test_no_more_is_expected_of_a_link_than_it_carried(self):
        for at in (10.0, 20.0):
            self.book.learn(lesson(20.0, at=at))
        self.assertEqual(
            [50.0, math.inf],
            self.book.bandwidths_mib_s([ENDS, ('host-b', 'host-c')]).tolist(),
        )

    @hypothesis.settings(max_examples=50, deadline=None)
    @hypothesis.given(
        st.lists(
            st.tuples(
                st.floats(0, 1e9) | st.none(),
                st.floats(0, 1e9) | st.just(float('inf')),
                st.floats(0, 1e9),
            ),
            max_size=30,
        )
    )
    def test_whatever_happened_it_stays_within_bounds(self, past):
        for at, (actual, predicted, mib) in enumerate(past):
            hoped = plan.Prediction(predicted, predicted, mib)
            self.book.learn(
                lesson(actual, hoped, at, mib=mib, downtime_ms=actual)
            )
        found = self.book.correct('i', ENDS, RAW, 100.0)
        for value, raw in (
            (found.seconds - found.fixed_seconds, 20.0),
            (found.downtime_ms, RAW.downtime_ms),
            (found.mib, RAW.mib),
        ):
            self.assertLessEqual(value / raw, 3.0 + 1e-9)
            self.assertGreaterEqual(value / raw, 1.0 / 3.0 - 1e-9)
