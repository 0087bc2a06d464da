"""Migrations of others are seen, and answered with restraint."""

import json
import math
import unittest

from kvm_balancer.planner import strangers
from tests.fixtures import fleets


def build(home, silent=False):
    return fleets.build(
        [
            fleets.host('a', silent=silent),
            fleets.host('b'),
            fleets.host('c'),
        ],
        [fleets.instance('i', home), fleets.instance('j', 'c')],
    )


def restarted(made):
    """Return what an agent has that was started anew."""
    again = strangers.Strangers(strangers.Params(600.0, 60.0, 2))
    again.restore(json.loads(json.dumps(made.document())))
    for piece in made.seen.changed().values():
        again.seen.restore(piece)
    return again


class StrangersTest(unittest.TestCase):
    def setUp(self):
        self.made = strangers.Strangers(strangers.Params(600.0, 60.0, 2))
        self.made.look(build('a'), 0.0)

    def test_an_instance_and_both_hosts_are_left_alone_for_a_while(self):
        (seen,) = self.made.look(build('b'), 10.0)
        self.assertEqual('i', seen.instance)
        self.assertEqual(('a', 'b'), (seen.source, seen.destination))
        self.assertFalse(seen.undoes)
        fleet = build('b')
        for now, instances, hosts in (
            (11.0, [True, False], [True, True, False]),
            (71.0, [True, False], [False, False, False]),
            (611.0, [False, False], [False, False, False]),
        ):
            with self.subTest(now=now):
                mask = self.made.instances(fleet, now)
                self.assertEqual(instances, mask.tolist())
                self.assertEqual(hosts, self.made.hosts(fleet, now).tolist())

    def test_what_has_not_moved_is_no_news(self):
        self.assertEqual([], self.made.look(build('a'), 10.0))

    def test_our_own_migrations_are_ours_however_long_they_take(self):
        self.made.ours('i', 'a', 'b', math.inf)
        self.assertEqual([], self.made.look(build('b'), 99_999.0))

    def test_one_that_ended_a_moment_ago_is_ours(self):
        self.made.ours('i', 'a', 'b', 5.0)
        self.assertEqual([], self.made.look(build('b'), 10.0))

    def test_another_way_is_not_ours(self):
        self.made.ours('i', 'a', 'c', 5.0)
        self.assertEqual(1, len(self.made.look(build('b'), 10.0)))

    def test_who_was_saved_from_a_dead_host_was_not_migrated(self):
        self.assertEqual([], self.made.look(build('b', silent=True), 10.0))

    def test_arrivals_are_no_migrations(self):
        fleet = fleets.build(
            [fleets.host('a'), fleets.host('b')],
            [fleets.instance('i', 'a'), fleets.instance('new', 'b')],
        )
        self.assertEqual([], self.made.look(fleet, 10.0))

    def test_another_balancer_is_told_by_what_it_undoes(self):
        now = 0.0
        for number in range(2):
            self.assertEqual('', self.made.text(now))
            now = 1000.0 * number + 10.0
            self.made.ours('i', 'a', 'b', now)
            self.assertEqual([], self.made.look(build('b'), now))
            (seen,) = self.made.look(build('a'), now + 30.0)
            self.assertTrue(seen.undoes)
        self.assertIn('another balancer is at work', self.made.text(now))
        self.assertEqual('', self.made.text(now + 3 * 3600.0))

    def test_another_agent_is_told_by_its_plans(self):
        self.made.other_plan('not-ours', 100.0)
        self.assertIn('another agent is at work', self.made.text(200.0))
        self.assertEqual('', self.made.text(100.0 + 2 * 3600.0))

    def test_another_agent_is_told_while_it_reads_what_is_for_us(self):
        self.made.other_reader(100.0)
        self.assertIn('on this message bus', self.made.text(130.0))
        self.assertEqual('', self.made.text(300.0))

    def test_who_is_left_alone_is_counted(self):
        self.assertEqual(0, self.made.count(10.0))
        self.made.look(build('b'), 10.0)
        self.assertEqual(1, self.made.count(11.0))
        self.assertEqual(0, self.made.count(611.0))

    def test_who_is_told_by_what_it_does_is_told_across_a_restart(self):
        """One that undoes a move from before, and one told of before."""
        self.made.ours('i', 'a', 'b', 10.0)
        self.made.ours('j', 'c', 'b', math.inf)
        self.made.look(build('b'), 10.0)
        self.made.look(build('a'), 20.0)
        self.made.ours('i', 'a', 'b', 30.0)
        self.made.look(build('b'), 30.0)
        again = self.restarted()
        again.look(build('b'), 40.0)
        (seen,) = again.look(build('a'), 50.0)
        self.assertTrue(seen.undoes)
        self.assertIn('another balancer is at work: 2', again.text(60.0))
        self.made.other_plan('not-ours', 30.0)
        self.assertIn('another agent is at', self.restarted().text(60.0))

    def restarted(self):
        return restarted(self.made)

    def test_it_survives_a_restart(self):
        self.made.look(build('b'), 10.0)
        again = self.restarted()
        self.assertEqual(
            [True, False], again.instances(build('b'), 11.0).tolist()
        )

    def test_who_moves_back_faster_than_we_look_is_told_later(self):
        """It was never seen where we had moved it."""
        self.made.ours('i', 'a', 'b', 10.0, completed=True)
        self.assertEqual([], self.made.look(build('a'), 60.0))
        (seen,) = self.made.look(build('a'), 700.0)
        self.assertEqual(('b', 'a'), (seen.source, seen.destination))
        self.assertTrue(seen.undoes)
        self.assertEqual([], self.made.look(build('a'), 760.0))

    def test_one_that_is_where_we_moved_it_was_not_moved_back(self):
        self.made.ours('i', 'a', 'b', 10.0, completed=True)
        self.assertEqual([], self.made.look(build('b'), 60.0))
        self.assertEqual([], self.made.look(build('b'), 700.0))

    def test_a_host_that_fell_silent_shows_nothing(self):
        self.made.ours('i', 'a', 'b', 10.0, completed=True)
        self.assertEqual([], self.made.look(build('a', silent=True), 700.0))


class RestartTest(unittest.TestCase):
    """What others move while nobody looks is seen by who comes next."""

    def setUp(self):
        before = strangers.Strangers()
        before.look(build('a'), 1000.0)
        self.again = restarted(before)
        #: hours later
        self.now = 50_000.0

    def look(self, fleet):
        return [
            (one.instance, one.source, one.destination)
            for one in self.again.look(fleet, self.now)
        ]

    def test_it_is_told(self):
        self.assertEqual([('i', 'a', 'b')], self.look(build('b')))
        self.assertEqual([], self.look(build('b')))

    def test_a_migration_of_ours_under_way_then_is_ours(self):
        """Also if it is told much later that it had ended long ago."""
        self.again.ours('i', 'a', 'b', math.inf)
        self.assertEqual([], self.look(build('b')))

    def test_a_migration_of_ours_that_ended_meanwhile_is_ours(self):
        self.again.ours('i', 'a', 'b', 2000.0, completed=True)
        self.again.forget(self.now)
        self.assertEqual([], self.look(build('b')))

    def test_where_ours_was_taken_on_to_is_not(self):
        self.again.ours('i', 'a', 'b', 2000.0, completed=True)
        self.assertEqual([('i', 'a', 'c')], self.look(build('c')))

    def test_where_ours_was_taken_back_from_is_not(self):
        self.again.ours('i', 'a', 'b', 2000.0, completed=True)
        self.assertEqual([('i', 'b', 'a')], self.look(build('a')))

    def test_one_of_ours_from_before_it_was_seen_explains_nothing(self):
        """It went to b, was seen back on a, and is on b now."""
        before = strangers.Strangers()
        before.ours('i', 'a', 'b', 1000.0, completed=True)
        for now, home in ((1060.0, 'b'), (3000.0, 'a'), (3060.0, 'a')):
            before.look(build(home), now)
        self.again = restarted(before)
        self.assertEqual([('i', 'a', 'b')], self.look(build('b')))

    def test_who_is_gone_or_new_was_not_moved(self):
        fleet = fleets.build(
            [fleets.host('a'), fleets.host('b')],
            [fleets.instance('new', 'b')],
        )
        self.assertEqual([], self.look(fleet))

    def test_hosts_are_awaited_that_come_back_one_by_one(self):
        without = fleets.build([fleets.host('b')], [fleets.instance('i', 'b')])
        for _ in range(2):
            self.assertEqual([], self.look(without))
            self.now += 30.0
        self.assertEqual([('i', 'a', 'b')], self.look(build('b')))

    def test_who_was_saved_from_a_host_that_is_gone_was_not_moved(self):
        without = fleets.build([fleets.host('b')], [fleets.instance('i', 'b')])
        self.assertEqual([], self.look(without))
        self.now += 3600.0
        self.assertEqual([], self.look(without))
        self.now += 30.0
        self.assertEqual([], self.look(build('b')))
