"""Whoever waits in vain is told for what, how long, and what was said last."""

import itertools
import unittest

from kvm_balancer import errors
from kvm_balancer.lab import waiting


def no():
    return False


def _refused():
    raise errors.LabError('connection refused')


class WaitingTest(unittest.TestCase):
    def complaint(self, holds, **options):
        with self.assertRaises(errors.LabError) as caught:
            waiting.until(holds, 'the moon to rise', **options)
        return str(caught.exception)

    def test_it_looks_until_it_is_so(self):
        looks = itertools.chain([False, False], itertools.repeat(True))
        waiting.until(lambda: next(looks), 'the third look')
        self.assertTrue(next(looks))

    def test_what_is_there_is_seen_when_there_is_no_time(self):
        waiting.until(lambda: True, 'nothing', 0.0, runs=no)

    def test_an_error_is_a_no_as_long_as_there_is_time(self):
        looks = iter([_refused, _refused, lambda: True])
        waiting.until(lambda: next(looks)(), 'the third look')

    def test_what_it_waited_for_and_how_long_is_told(self):
        self.assertEqual(
            'waited 0 s in vain for the moon to rise',
            self.complaint(no, seconds=0.0),
        )

    def test_a_process_that_ended_is_not_waited_for(self):
        self.assertEqual(
            'waited 0 s in vain for the moon to rise, whose process has '
            'ended: out of memory',
            self.complaint(no, runs=no, said=lambda: 'out of memory'),
        )

    def test_what_the_process_said_goes_before_what_the_look_found(self):
        for said, expected in (
            ('', 'connection refused'),
            ('bad option', 'bad option'),
        ):
            with self.subTest(said):
                self.assertEqual(
                    f'waited 0 s in vain for the moon to rise: {expected}',
                    self.complaint(_refused, seconds=0.0, said=said.strip),
                )
