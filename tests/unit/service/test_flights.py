"""What is in the air, and what of it is unknown."""

import unittest

from kvm_balancer.migration import request
from kvm_balancer.service import flights


def _flight(name='one'):
    wanted = request.Request(
        migration_id=name,
        instance='an instance',
        source='here',
        destination='there',
        destination_uri='',
        accepted_at=0.0,
    )
    return flights.Flight(wanted, None, 0.0)


class DoubtTest(unittest.TestCase):
    def setUp(self):
        super().setUp()
        self.flights = flights.Flights()
        self.flight = _flight()
        self.flights.add(self.flight)

    def test_one_that_was_over_is_waited_for_anew_once_it_is_unknown(self):
        """Its record did not come; that of how it is known may."""
        self.flights.heard('one', 5.0, 'completed')
        self.assertEqual(5.0, self.flight.over_at)
        self.assertIs(self.flight, self.flights.doubt('one'))
        self.assertIsNone(self.flight.over_at)
        self.assertTrue(self.flight.unknown)
        self.flights.heard('one', 9.0, 'unknown')
        self.assertIsNone(self.flight.over_at)
        self.flights.heard('one', 11.0, 'completed')
        self.assertEqual(11.0, self.flight.over_at)

    def test_one_that_runs_on_is_unknown_only_when_it_is_once_more(self):
        self.flights.doubt('one')
        for state, unknown in (
            ('verifying', True),
            ('pre-copy', False),
            ('verifying', False),
            ('unknown', True),
        ):
            with self.subTest(state):
                self.flights.heard('one', 5.0, state)
                self.assertIs(unknown, self.flight.unknown)

    def test_what_was_not_told_to_be_unknown_is_over_when_its_state_is(self):
        self.flights.heard('one', 5.0, 'unknown')
        self.assertFalse(self.flight.unknown)
        self.assertEqual(5.0, self.flight.over_at)

    def test_it_is_doubted_once(self):
        self.assertIsNotNone(self.flights.doubt('one'))
        self.assertIsNone(self.flights.doubt('one'))
        self.assertIsNone(self.flights.doubt('another'))
