"""Why an instance may not be moved, by what its hosts report."""

import dataclasses
import unittest

from kvm_balancer.model import observation
from kvm_balancer.model import owners
from kvm_balancer.service import explaining
from kvm_balancer.service import watch
from tests.unit.messages import readings


class CustodyTest(unittest.TestCase):
    def setUp(self):
        super().setUp()
        self.now = 1000.0
        self.watch = watch.FleetWatch(
            observation.Params(), clock=lambda: self.now
        )
        self.why = explaining.Custody(self.watch)

    def hear(self, host='a', withheld=(), sequence=1, **fields):
        """Let a host report an instance, ten seconds later."""
        self.now += 10.0
        one = readings.reading(
            host, ('i',), sequence=sequence, taken_at=self.now, **fields
        )
        instances = dataclasses.replace(one.instances, withheld=withheld)
        self.watch.take_readings(
            [dataclasses.replace(one, instances=instances)]
        )

    def test_what_makes_it_nobodys_is_told_apart(self):
        for sequence, (withheld, words) in enumerate(
            (
                ((), 'its host or its metadata says so'),
                ((owners.Withheld.HOST,), '[executor] manage of a is none'),
                ((owners.Withheld.METADATA,), 'says that it is not to be'),
                ((owners.Withheld.UNMARKED,), 'does not say so'),
                ((owners.Withheld.NAME,), 'manage_names of a'),
                # an executor of before
                ((), 'its host or its metadata says so'),
            ),
            start=1,
        ):
            self.hear(withheld=withheld, sequence=sequence, owner='none')
            with self.subTest(withheld):
                self.assertIn(words, self.why('i'))

    def test_what_is_ours_and_is_not_moved_now_says_why(self):
        self.hear(interval_seconds=0.0)
        self.assertIn('not known yet', self.why('i'))
        self.hear(sequence=2)
        self.assertEqual('', self.why('i'))
        self.hear(sequence=3, state='paused')
        self.assertIn('it is paused', self.why('i'))
        self.hear(sequence=4)
        self.hear('b')
        self.assertIn('two hosts report it', self.why('i'))
        self.now += 10_000.0
        self.assertIn('has gone silent', self.why('i'))

    def test_of_what_nobody_has_heard_nothing_is_told(self):
        self.assertEqual('', self.why('elsewhere'))
