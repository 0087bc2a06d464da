"""vCPUs that a scheduler has placed and no compute has told of yet."""

import unittest

import hypothesis
from hypothesis import strategies

from kvm_balancer.nova_scheduler import placements
from tests.fixtures import nova_scheduler


class Told:
    """What computes have told Nova's database, and one scheduler."""

    def __init__(self, **vcpus):
        self.now = 0.0
        self.vcpus = vcpus
        self.placements = placements.Placements(lambda: self.now)

    def ask(self):
        """Begin a request; return states of hosts, and what is counted."""
        states = [
            nova_scheduler.host(name, vcpus)
            for name, vcpus in self.vcpus.items()
        ]
        return states, self.placements.vcpus(states)

    def counted(self):
        return self.ask()[1]

    def place(self, row, vcpus=2):
        """Have a request placed on one host."""
        states, _ = self.ask()
        states[row].vcpus_used += vcpus


class PlacementsTest(unittest.TestCase):
    def setUp(self):
        self.told = Told(a=4, b=10)

    def test_nothing_placed_is_what_computes_have_told(self):
        for _ in range(3):
            self.assertEqual([4, 10], self.told.counted())

    def test_what_was_placed_counts_before_its_compute_tells_of_it(self):
        self.told.place(0)
        self.assertEqual([6, 10], self.told.counted())
        self.told.place(0)
        self.told.place(1, 4)
        self.assertEqual([8, 14], self.told.counted())

    def test_what_its_compute_has_told_of_is_not_counted_twice(self):
        for told, counted in ((6, 8), (8, 8), (9, 9)):
            with self.subTest(told):
                self.setUp()
                self.told.place(0)
                self.told.place(0)
                self.told.vcpus['a'] = told
                self.assertEqual(counted, self.told.counted()[0])

    def test_more_is_added_to_what_was_told_meanwhile(self):
        self.told.place(0)
        self.told.vcpus['a'] = 7
        self.told.place(0)
        self.assertEqual(9, self.told.counted()[0])

    def test_requests_that_are_decided_at_once_add_up(self):
        first, _ = self.told.ask()
        second, _ = self.told.ask()
        second[0].vcpus_used += 2
        first[0].vcpus_used += 2
        self.assertEqual([8, 10], self.told.counted())

    def test_servers_of_one_request_add_up(self):
        """Nova weighs the same states again, the first counted in."""
        states, _ = self.told.ask()
        for counted in (6, 8, 10):
            states[0].vcpus_used += 2
            self.assertEqual([counted, 10], self.told.placements.vcpus(states))
        self.assertEqual([10, 10], self.told.counted())

    def test_it_is_let_go_when_its_compute_has_had_its_time(self):
        """A build may have failed, or the server be gone again."""
        self.told.place(0)
        self.told.now = 20.0
        self.told.place(0)
        for now, counted in ((29.0, 8), (30.0, 6), (49.0, 6), (50.0, 4)):
            with self.subTest(now):
                self.told.now = now
                self.assertEqual([counted, 10], self.told.counted())

    def test_states_are_let_go_when_they_have_told_what_they_can(self):
        """They are large, and no request has to come for it."""
        self.told.place(0)
        self.told.ask()
        self.told.placements.settle()
        self.assertEqual(1, len(self.told.placements._asked))
        self.told.now = 30.0
        self.told.placements.settle()
        self.assertEqual([], self.told.placements._asked)
        for _ in range(100):
            self.told.ask()
        self.assertGreater(10, len(self.told.placements._asked))

    @hypothesis.given(
        strategies.lists(
            strategies.tuples(
                strategies.integers(0, 1),
                strategies.integers(1, 8),
                strategies.booleans(),
            ),
            max_size=12,
        )
    )
    def test_at_any_time_as_many_are_counted_as_there_are(self, servers):
        """Whichever computes have told of their servers, and when."""
        self.setUp()
        truth = [4, 10]
        for row, vcpus, tells in servers:
            self.told.place(row, vcpus)
            truth[row] += vcpus
            self.assertEqual(truth, self.told.counted())
            if tells:
                self.told.vcpus['ab'[row]] = truth[row]
                self.assertEqual(truth, self.told.counted())
