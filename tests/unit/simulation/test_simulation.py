"""A fleet in virtual time: who comes and goes, and what the agent does."""

import dataclasses
import itertools
import unittest
from unittest import mock

import numpy as np

from kvm_balancer.planner import budget
from kvm_balancer.planner import cooldown
from kvm_balancer.simulation import engine
from kvm_balancer.simulation import figures
from kvm_balancer.simulation import load
from kvm_balancer.simulation import scenario
from kvm_balancer.simulation import senses
from kvm_balancer.simulation import world
from tests.unit.simulation import fleets

QUIET = scenario.Scenario(hours=2.0, surprise=0.0)


def run(fleet, agent=None, load_of=fleets.steady, **changes):
    chosen = dataclasses.replace(QUIET, **changes)
    return engine.run(fleet, load_of, agent or fleets.agent(), chosen)


class SimulationTest(unittest.TestCase):
    def test_hot_hosts_are_relieved_and_stay_so(self):
        record = run(fleets.skewed())
        self.assertEqual(2, record.series.over[0])
        self.assertEqual(0, record.series.over[-1])
        self.assertLess(record.series.peak[-1], 0.8)
        found = figures.summed_up(record)
        self.assertGreater(found.moves, 0)
        self.assertEqual((0, 0), (found.failed, found.moved_twice))

    def test_memory_and_dirty_rates_are_those_of_the_load(self):
        """Migrations copy what is in use then, and again what is written."""

        class Growing(fleets.Steady):
            def memory(self, seconds):
                size = len(self.usage)
                grown = 500.0 if seconds < 1800.0 else 2000.0
                return load.Memory(np.full(size, grown), np.full(size, 2.0))

        fleet = fleets.skewed(hosts=4, hot=1)
        record = run(
            fleet,
            load_of=lambda instances: load.Stepped(
                Growing(instances.cpu_usage),
                np.flatnonzero(instances.host == 1),
                3.6,
                ((1800.0, np.inf),),
                instances.vcpus,
            ),
        )
        first = [one for one in record.migrations if one.ended < 1800.0]
        later = [one for one in record.migrations if one.began > 1800.0]
        self.assertTrue(first and later)
        for found, mib in ((first, 500.0), (later, 2000.0)):
            for one in found:
                for copied in (one.predicted.mib, one.taken.mib):
                    self.assertGreaterEqual(copied, mib)
                    self.assertLess(copied, 1.5 * mib)

    def test_a_sample_tells_of_the_time_before_it(self):
        """Of a load that has changed only now nothing is seen yet.

        Neither of who has come only now: nobody has read an arrival.
        """
        seen = []

        class Watching(fleets.Steady):
            def cpu_usage(self, seconds):
                return np.full(len(self.usage), 1.0 + seconds // 60.0)

        class Senses(senses.Senses):
            def fleet(self, now):
                found = super().fleet(now)
                read = found.instances.movable
                last = self._cpu.last[self._world.rows]
                seen.append((now, set(last[read].tolist()), int(read.sum())))
                return found

        with mock.patch.object(senses, 'Senses', Senses):
            run(
                fleets.even(),
                fleets.idle_agent(),
                load_of=lambda instances: Watching(instances.cpu_usage),
                hours=0.1,
                step_seconds=30.0,
                waves=(scenario.Wave(60.0, 3),),
            )
        everybody = seen[0][2]
        expected = [
            (0.0, {1.0}, everybody),
            (30.0, {1.0}, everybody),
            (60.0, {1.0}, everybody),
            (90.0, {2.0}, everybody + 3),
            (120.0, {2.0}, everybody + 3),
            (150.0, {3.0}, everybody + 3),
        ]
        self.assertEqual(expected, seen[:6])

    def test_nothing_is_done_where_nobody_does_anything(self):
        record = run(fleets.skewed(), fleets.idle_agent())
        self.assertEqual(0, len(record.migrations))
        self.assertEqual(2 * 2 * 3600, record.over_seconds.sum())

    def test_the_same_seed_gives_the_same_record(self):
        first, again = (
            run(
                fleets.skewed(),
                surprise=0.4,
                failing_migrations=0.3,
                arrivals_a_day=100.0,
                departures_a_day=100.0,
                failures_a_day=12.0,
                samples=scenario.Samples(0.2, 0.05, 10.0, 0.1),
            )
            for _ in range(2)
        )
        self.assertEqual(first.migrations, again.migrations)
        np.testing.assert_array_equal(first.series.peak, again.series.peak)
        self.assertGreater(first.arrived * first.departed, 0)

    def test_a_balanced_fleet_is_left_alone(self):
        record = run(fleets.even())
        self.assertEqual((), record.plans)

    def test_it_only_watches_at_first(self):
        record = run(fleets.skewed(), watch_hours=1.0)
        self.assertGreaterEqual(
            min(one.began for one in record.migrations), 3600.0
        )

    def test_gains_are_seen_as_promised_where_loads_stay(self):
        record = run(fleets.skewed())
        found = figures.summed_up(record)
        self.assertGreater(found.promised, 0.0)
        self.assertAlmostEqual(found.promised, found.seen, places=6)

    def test_migrations_take_as_long_as_predicted_where_nothing_varies(self):
        agent = dataclasses.replace(fleets.agent(), max_migrations=1)
        record = run(fleets.skewed(), agent)
        for one in record.migrations:
            self.assertAlmostEqual(
                one.predicted.seconds, one.taken.seconds, delta=1.0
            )

    def test_migrations_that_share_a_network_take_longer(self):
        record = run(fleets.skewed(hosts=3, hot=1, each=5))
        together = [
            one.taken.seconds / one.predicted.seconds
            for one in record.migrations
        ]
        self.assertGreater(max(together), 1.1)

    def test_those_that_come_and_go_between_two_looks_are_counted(self):
        record = run(fleets.skewed(), step_seconds=600.0)
        self.assertLess(
            max(one.ended - one.began for one in record.migrations), 600.0
        )
        began = {one.began for one in record.migrations}
        self.assertGreaterEqual(max(record.series.migrations), 1)
        self.assertLessEqual(
            {at // 600.0 for at in began},
            set(np.flatnonzero(record.series.migrations).tolist()),
        )

    def test_one_that_breaks_off_is_tried_again_after_it_has_cooled(self):
        agent = fleets.agent(cooldowns=cooldown.Params(1200.0, 60.0))
        record = run(fleets.skewed(hot=1), agent, failing_migrations=1.0)
        self.assertFalse(any(one.completed for one in record.migrations))
        last = {}
        for one in record.migrations:
            if one.instance in last:
                self.assertGreaterEqual(one.began - last[one.instance], 1200)
            last[one.instance] = one.ended

    def test_budgets_pace_it(self):
        agent = fleets.agent(budgets=budget.Params(moves=2))
        record = run(fleets.skewed(), agent, hours=1.0)
        self.assertEqual(2, len(record.migrations))


class WorldTest(unittest.TestCase):
    def test_instances_arrive_leave_and_are_refused(self):
        record = run(
            fleets.even(hosts=2, each=2),
            fleets.idle_agent(),
            waves=(scenario.Wave(600.0, 40),),
        )
        self.assertEqual(40, record.arrived + record.refused)
        self.assertGreater(record.refused, 0)

    def test_a_dead_host_is_emptied_and_comes_back_so(self):
        made = world.World(
            fleets.even(hosts=3, each=2),
            dataclasses.replace(
                QUIET, outages=(scenario.Outage(60.0, 'h1', 1200.0),)
            ),
        )
        before = made.host.tolist()
        made.happen(60.0)
        self.assertEqual([True, False, True], made.up.tolist())
        self.assertEqual(before, made.host.tolist())
        made.happen(360.0)
        self.assertNotIn(1, made.host.tolist())
        made.happen(1260.0)
        self.assertTrue(made.up.all())
        self.assertNotIn(1, made.host.tolist())

    def test_no_migration_outlives_a_host_of_it(self):
        record = run(
            fleets.skewed(hot=4),
            outages=tuple(
                scenario.Outage(300.0, f'h{row}', 600.0) for row in range(8)
            ),
        )
        for one in record.migrations:
            if one.completed:
                self.assertFalse(one.began < 300.0 < one.ended)

    def test_everyone_is_somewhere_once(self):
        made = world.World(
            fleets.even(),
            dataclasses.replace(
                QUIET,
                arrivals_a_day=500.0,
                departures_a_day=500.0,
                failures_a_day=30.0,
            ),
        )
        first = len(made.rows)
        for minute in range(120):
            made.happen(60.0 * minute)
            self.assertEqual(
                first + made.arrived - made.departed, len(made.rows)
            )


class RestraintTest(unittest.TestCase):
    """Others, waves and deaths are answered without a storm."""

    def test_what_others_move_is_left_alone(self):
        """The instance for hours, both hosts for a while."""
        record = run(
            fleets.skewed(),
            intrusions=(scenario.Intrusion(30.0, 'i0-0', 'h9'),),
        )
        touched = [
            one
            for one in record.migrations
            if one.instance == 'i0-0'
            or (
                {'h0', 'h9'} & {one.source, one.destination}
                and one.began < 30.0 + 1800.0
            )
        ]
        self.assertEqual([], touched)
        self.assertIn('i0-0 was moved from h0 to h9', record.notices[0])

    def test_a_failed_pair_waits_longer_each_time(self):
        agent = fleets.agent(cooldowns=cooldown.Params(60.0, 0.0))
        record = run(
            fleets.skewed(hosts=2, hot=1),
            agent,
            hours=12.0,
            failing_migrations=1.0,
        )
        begun = {}
        for one in record.migrations:
            begun.setdefault((one.instance, one.destination), []).append(
                one.began
            )
        waits = max(
            (np.diff(times).tolist() for times in begun.values()), key=len
        )
        self.assertGreaterEqual(len(waits), 2)
        for before, after in itertools.pairwise(waits):
            self.assertGreater(after, 1.8 * before)

    def test_a_wave_a_dead_host_and_an_empty_one_make_no_storm(self):
        """No hour has more moves than the budget."""
        agent = fleets.agent(budgets=budget.Params(moves=4))
        record = run(
            fleets.even(cpu=1.4),
            agent,
            hours=6.0,
            waves=(scenario.Wave(1800.0, 12),),
            outages=(scenario.Outage(3600.0, 'h0', 3600.0),),
        )
        began = np.array(sorted(one.began for one in record.migrations))
        self.assertGreater(len(began), 0)
        for start in began:
            inside = (began >= start) & (began < start + 3600.0)
            self.assertLessEqual(int(inside.sum()), 4)
