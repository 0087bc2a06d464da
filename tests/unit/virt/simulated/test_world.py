import unittest

from kvm_balancer import errors
from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from kvm_balancer.migration.convergence import adaptive
from kvm_balancer.migration.lifecycle import machine
from kvm_balancer.virt.simulated import failures
from tests.unit.virt.simulated import builders

_State = events.EndState
_START = (instructions.SetDowntime(300), instructions.Start())


class MigrationTest(unittest.TestCase):
    """One migration in virtual time."""

    def story(self, dirty=0.0, mib=1000.0, working=None, **options):
        self.world = builders.build_world()
        self.world.add_instance(
            builders.build_instance('g', mib, dirty, working), 'a'
        )
        return builders.Story(
            self.world, builders.build_request('g', **options)
        )

    def test_an_idle_guest_takes_its_memory_over_the_bandwidth(self):
        story = self.story()
        story.perform(*_START).go_on()
        self.assertAlmostEqual(10.0, self.world.now)
        self.assertEqual(
            [
                'Progressed',
                'PassEnded',
                'SourceStopped',
                'JobSettled',
                'CallReturned',
            ],
            story.kinds,
        )
        # the end of the pass is what the downtime is spent on
        self.assertAlmostEqual(
            300.0, story.last(events.JobSettled).downtime_ms
        )
        self.assertEqual((_State.ABSENT, _State.RUNNING), story.ends())

    def test_the_switch_comes_when_what_is_left_fits_the_downtime(self):
        story = self.story(dirty=30.0)
        story.perform(*_START).go_on()
        settled = story.last(events.JobSettled)
        self.assertLessEqual(settled.downtime_ms, 300.0)
        self.assertGreater(settled.downtime_ms, 0.0)
        last_pass = story.last(events.PassEnded).statistics
        self.assertLessEqual(last_pass.remaining_mib, 30.0)

    def test_a_guest_that_writes_too_fast_never_ends_by_itself(self):
        story = self.story(dirty=500.0)
        story.perform(*_START).go_on(1000.0)
        self.assertFalse(story.has(events.SourceStopped))
        self.assertEqual(
            (_State.RUNNING, _State.PAUSED_MIGRATION), story.ends()
        )

    def test_a_limit_raised_in_a_pass_is_used_at_once(self):
        story = self.story(dirty=500.0, working=60.0)
        story.perform(*_START).go_on(15.0)
        story.perform(instructions.SetDowntime(5000)).go_on()
        self.assertLess(self.world.now, 16.0)
        self.assertEqual('', story.last(events.CallReturned).error)

    def test_throttled_enough_it_converges(self):
        story = self.story(dirty=200.0, auto_converge=True)
        story.perform(*_START).go_on()
        self.assertEqual('', story.last(events.CallReturned).error)
        self.assertGreaterEqual(
            max(
                one.statistics.throttle_percent
                for one in story.told
                if isinstance(one, events.PassEnded)
            ),
            50,
        )

    def test_post_copy_runs_it_there_and_carries_the_rest_once(self):
        story = self.story(dirty=500.0, post_copy=True)
        story.perform(*_START).until(events.PassEnded)
        story.perform(instructions.StartPostCopy())
        story.until(events.PostCopyBegun)
        self.assertEqual((_State.POST_COPY, _State.POST_COPY), story.ends())
        self.assertEqual({'id-g': ['b']}, self.world.executions())
        story.go_on()
        self.assertEqual((_State.ABSENT, _State.RUNNING), story.ends())
        self.assertLessEqual(self.world.now, 20.0)

    def test_there_is_no_abort_once_post_copy_runs(self):
        story = self.story(dirty=500.0, post_copy=True)
        story.perform(*_START).until(events.PassEnded)
        story.perform(instructions.StartPostCopy(), instructions.Abort())
        self.assertEqual('Abort', story.last(events.Refused).instruction)
        story.go_on()
        self.assertEqual((_State.ABSENT, _State.RUNNING), story.ends())

    def test_post_copy_that_loses_its_link_leaves_both_ends_broken(self):
        story = self.story(dirty=500.0, post_copy=True)
        story.perform(*_START).until(events.PassEnded)
        story.perform(instructions.StartPostCopy())
        story.until(events.PostCopyBegun)
        self.world.set_reachable('b', False)
        self.world.set_reachable('b', True)
        story.go_on(self.world.now)
        self.assertTrue(story.has(events.PostCopyBroke))
        self.assertEqual(
            (_State.POST_COPY_FAILED, _State.POST_COPY_FAILED), story.ends()
        )

    def test_cancelled_it_goes_on_where_it_was(self):
        story = self.story(dirty=500.0)
        story.perform(*_START).go_on(5.0)
        story.perform(instructions.Abort()).go_on()
        self.assertTrue(story.last(events.CallReturned).error)
        self.assertEqual((_State.RUNNING, _State.ABSENT), story.ends())
        self.assertEqual({'id-g': ['a']}, self.world.executions())

    def test_an_instance_is_carried_by_one_job_at_a_time(self):
        story = self.story(dirty=500.0)
        story.perform(*_START)
        wanted = builders.build_request('g', destination='c')
        wanted = type(wanted)(
            **{
                name: getattr(wanted, name)
                for name in wanted.__slots__
                if name != 'migration_id'
            },
            migration_id='second',
        )
        second = builders.Story(self.world, wanted)
        second.perform(*_START).go_on(1.0)
        self.assertIn('another job', second.last(events.CallReturned).error)
        self.assertIn(_State.ABSENT, second.ends())

    def test_two_worlds_of_a_seed_tell_the_same(self):
        stories = []
        for _ in range(2):
            story = self.story(dirty=40.0)
            stories.append(story.perform(*_START).go_on().told)
        self.assertEqual(*stories)


class FaultTest(unittest.TestCase):
    """What goes wrong, and what is left of it."""

    def run_with(self, failure):
        world = builders.build_world()
        world.add_instance(builders.build_instance('g'), 'a')
        world.dice.plan('id-g', failure)
        story = builders.Story(world, builders.build_request('g'))
        story.perform(*_START).go_on()
        return story

    def test_each_failure_leaves_the_instance_exactly_once(self):
        here = (_State.RUNNING, _State.ABSENT)
        there = (_State.ABSENT, _State.RUNNING)
        table = (
            (failures.Kind.UNREACHABLE, here),
            (failures.Kind.LINK_CUT, here),
            (failures.Kind.LATE_ERROR, there),
        )
        for kind, ends in table:
            with self.subTest(kind=kind):
                story = self.run_with(failures.Failure(kind))
                returned = story.last(events.CallReturned)
                self.assertTrue(returned.error)
                self.assertFalse(story.has(events.JobSettled))
                self.assertEqual(ends, story.ends())
                ran = story.world.executions()['id-g']
                self.assertEqual(1, len(ran))

    def test_a_link_is_cut_where_it_was_said(self):
        story = self.run_with(
            failures.Failure(failures.Kind.LINK_CUT, share=0.3)
        )
        self.assertAlmostEqual(3.0, story.world.now)

    def test_the_same_seed_fails_the_same_attempts(self):
        def drawn(seed, rate):
            dice = failures.Dice(seed, rate)
            return [dice.draw(f'{row}') for row in range(50)]

        self.assertEqual(drawn(1, 0.5), drawn(1, 0.5))
        self.assertNotEqual(drawn(1, 0.5), drawn(2, 0.5))
        self.assertEqual([None] * 50, drawn(1, 0.0))
        self.assertNotIn(None, drawn(1, 1.0))

    def test_a_full_destination_takes_nothing(self):
        world = builders.build_world(memory_mib=1500.0)
        for name in 'gh':
            world.add_instance(builders.build_instance(name), 'a')
        first = builders.Story(world, builders.build_request('g'))
        first.perform(*_START)
        second = builders.Story(world, builders.build_request('h'))
        second.perform(instructions.Check()).go_on(world.now)
        failed = [
            one.name
            for one in second.last(events.Checked).checks
            if one.verdict is events.Verdict.FAILED
        ]
        self.assertEqual(['memory'], failed)
        second.perform(*_START).go_on()
        self.assertIn('memory', second.last(events.CallReturned).error)
        self.assertEqual((_State.RUNNING, _State.ABSENT), second.ends())
        self.assertEqual((_State.ABSENT, _State.RUNNING), first.go_on().ends())

    def test_a_host_cut_off_is_unreachable_and_not_absent(self):
        world = builders.build_world()
        world.add_instance(builders.build_instance('g'), 'a')
        story = builders.Story(world, builders.build_request('g'))
        world.set_reachable('b', False)
        self.assertEqual((_State.RUNNING, _State.UNREACHABLE), story.ends())
        with self.assertRaises(errors.HypervisorUnreachable):
            world.host('b').find('id-g')


class SharingTest(unittest.TestCase):
    """Streams share what the hosts can carry."""

    def seconds(self, *ways, bandwidth=100.0, **params):
        world = builders.build_world(bandwidth=bandwidth, **params)
        stories = []
        for number, (source, destination) in enumerate(ways):
            name = f'g{number}'
            world.add_instance(builders.build_instance(name), source)
            stories.append(
                builders.Story(
                    world,
                    builders.build_request(name, source, destination),
                )
            )
        for story in stories:
            story.perform(*_START)
        while world.next_at < float('inf'):
            for told in world.advance(world.next_at):
                for story in stories:
                    story._take([told])
        return [round(one.last(events.CallReturned).at, 6) for one in stories]

    def test_streams_share_each_direction_of_each_host(self):
        table = (
            ('one', [('a', 'b')], [10.0]),
            ('same hosts', [('a', 'b'), ('a', 'b')], [20.0, 20.0]),
            ('same source', [('a', 'b'), ('a', 'c')], [20.0, 20.0]),
            ('same destination', [('a', 'c'), ('b', 'c')], [20.0, 20.0]),
            ('there and back', [('a', 'b'), ('b', 'a')], [10.0, 10.0]),
            ('apart', [('a', 'b'), ('b', 'c')], [10.0, 10.0]),
        )
        for name, ways, seconds in table:
            with self.subTest(name):
                self.assertEqual(seconds, self.seconds(*ways))

    def test_a_world_of_tenfold_speed_takes_a_tenth(self):
        self.assertEqual([1.0], self.seconds(('a', 'b'), speed=10.0))


class MachineTest(unittest.TestCase):
    """The real machine drives a world to a verified end, in no time."""

    def drive(self, dirty, working=None, failure=None, **options):
        world = builders.build_world()
        world.add_instance(
            builders.build_instance('g', 1000.0, dirty, working), 'a'
        )
        if failure is not None:
            world.dice.plan('id-g', failure)
        wanted = builders.build_request('g', **options)
        life = machine.Machine(wanted, adaptive.Adaptive())

        def carry_out(wishes):
            for wish in wishes:
                if not isinstance(
                    wish, instructions.ReportProgress | instructions.Conclude
                ):
                    world.perform('a', wanted, builders.ALL, wish)

        carry_out(life.begin(0.0))
        while not life.state.ended:
            for told in world.advance(max(world.next_at, world.now)):
                carry_out(life.handle(told.event))
        return life.outcome, world

    def test_every_case_ends_and_keeps_the_instance_once(self):
        cut = failures.Failure(failures.Kind.LINK_CUT)
        late = failures.Failure(failures.Kind.LATE_ERROR)
        table = (
            ('idle', {'dirty': 0.0}, 'completed', 'pre-copy', 'b'),
            ('converges', {'dirty': 40.0}, 'completed', 'pre-copy', 'b'),
            ('given up', {'dirty': 500.0}, 'failed', 'pre-copy', 'a'),
            (
                'throttled',
                {'dirty': 150.0, 'auto_converge': True},
                'completed',
                'pre-copy',
                'b',
            ),
            (
                'post-copy',
                {'dirty': 500.0, 'post_copy': True},
                'completed',
                'post-copy',
                'b',
            ),
            (
                'cut',
                {'dirty': 0.0, 'failure': cut},
                'failed',
                'pre-copy',
                'a',
            ),
            (
                'late error',
                {'dirty': 0.0, 'failure': late},
                'completed',
                'pre-copy',
                'b',
            ),
        )
        for name, case, end, mode, where in table:
            with self.subTest(name):
                outcome, world = self.drive(**case)
                self.assertEqual(end, outcome.outcome, outcome.reason)
                self.assertEqual(mode, outcome.mode)
                self.assertEqual({'id-g': [where]}, world.executions())
