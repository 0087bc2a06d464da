import unittest

import hypothesis
from hypothesis import strategies

from kvm_balancer.virt import meters


def _rates(*rounds):
    """Feed (time, {owner: value}) and return the rates of the last."""
    meter = meters.Meters()
    found = {}
    for now, values in rounds:
        meter.begin(now)
        found = {
            owner: meter.rate(owner, 'x', value)
            for owner, value in values.items()
        }
    return found


class MetersTest(unittest.TestCase):
    def test_rates_by_what_was_told_before(self):
        cases = (
            ('the first round knows nothing', [(5, {'a': 9})], 0.0),
            ('growth by time', [(0, {'a': 1}), (2, {'a': 5})], 2.0),
            (
                'who is new began in between',
                [(0, {}), (2, {'a': 5})],
                2.5,
            ),
            (
                'a counter that is only now told says nothing',
                [(0, {'a': None}), (2, {'a': 5})],
                0.0,
            ),
            ('backwards says nothing', [(0, {'a': 9}), (2, {'a': 5})], 0.0),
            (
                'untold keeps its rate',
                [(0, {'a': 0}), (2, {'a': 4}), (4, {'a': None})],
                2.0,
            ),
            (
                'and is made up for',
                [(0, {'a': 0}), (2, {'a': None}), (4, {'a': 4})],
                1.0,
            ),
            (
                'who was gone began anew',
                [(0, {'a': 90}), (2, {}), (4, {'a': 4})],
                2.0,
            ),
            ('time stood still', [(2, {'a': 0}), (2, {'a': 5})], 0.0),
        )
        for what, rounds, expected in cases:
            with self.subTest(what):
                self.assertEqual(expected, _rates(*rounds)['a'])

    def test_interval_is_the_time_between_two_rounds(self):
        meter = meters.Meters()
        meter.begin(0.0)
        self.assertEqual(0.0, meter.interval_seconds)
        meter.begin(2.5)
        self.assertEqual(2.5, meter.interval_seconds)

    @hypothesis.given(
        strategies.lists(
            strategies.dictionaries(
                strategies.sampled_from('abc'),
                strategies.none() | strategies.floats(0, 1e15),
            )
        )
    )
    def test_no_rate_is_negative_nor_over_what_was_counted(self, rounds):
        meter = meters.Meters()
        for now, values in enumerate(rounds):
            meter.begin(float(now))
            for owner, value in values.items():
                rate = meter.rate(owner, 'x', value)
                self.assertGreaterEqual(rate, 0.0)
                if value is not None:
                    self.assertLessEqual(rate, value)
