"""The contract of a driver, as tests.

A driver joins by a test case that derives from :class:`DriverContract` and
sets ``ground`` in ``setUp``.
"""

import dataclasses
import typing

from kvm_balancer import errors
from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from kvm_balancer.migration import request
from kvm_balancer.migration.lifecycle import verdicts
from kvm_balancer.virt import marks
from tests.contract import ground as grounds

_ABSENT = events.EndState.ABSENT
_NOBODY = '9b5a8e28-3d13-4c1f-8ac9-3d4c6d8d6f10'
_RUNNING = events.EndState.RUNNING
_BROKEN = events.EndState.POST_COPY_FAILED

if typing.TYPE_CHECKING:
    import unittest

    _Base = unittest.TestCase
else:
    # Not a test case by itself: it has no ground to stand on.
    _Base = object


class DriverContract(_Base):
    """What holds for every driver."""

    ground: grounds.Ground

    def story(self, *args: typing.Any, **options: typing.Any):
        story = grounds.Story(
            self.ground.source, self.ground.wanted(*args, **options)
        )
        self.addCleanup(story.carrier.close)
        return story

    # read

    def test_first_reading_has_no_rates_and_says_so(self):
        self.ground.calm()
        reading = self.ground.unread().read()
        self.assertEqual(0.0, reading.interval_seconds)
        self.assertEqual({0.0}, set(reading.instances.cpu_usage))

    def test_reading_has_columns_of_equal_length(self):
        self.ground.calm()
        reading = self.ground.source.read()
        lengths = {
            len(getattr(reading.instances, field.name))
            for field in dataclasses.fields(reading.instances)
            # no rows where there is nothing to tell of anybody
            if field.name not in ('asks', 'withheld')
        }
        self.assertEqual({len(reading.instances.id)}, lengths)

    def test_second_reading_counts_instances_and_overhead_as_host_load(self):
        instance = self.ground.busy()
        self.ground.source.read()
        reading = self.ground.source.read()
        row = reading.instances.id.index(instance)
        self.assertGreater(reading.interval_seconds, 0.0)
        self.assertEqual('running', reading.instances.state[row])
        self.assertEqual('balancer', reading.instances.owner[row])
        # There are no rows where there is nothing to tell of any.
        self.assertFalse(any(reading.instances.withheld[row : row + 1]))
        self.assertGreater(reading.instances.memory_mib[row], 0.0)
        self.assertGreaterEqual(reading.instances.cpu_usage[row], 0.0)
        self.assertGreaterEqual(reading.usage.cpu_overhead, 0.0)
        self.assertAlmostEqual(
            reading.usage.cpu_usage,
            reading.usage.cpu_overhead + sum(reading.instances.cpu_usage),
        )
        self.assertAlmostEqual(
            reading.usage.memory_allocated_mib,
            sum(reading.instances.memory_mib),
        )

    def test_an_instance_is_measured_or_said_not_to_be(self):
        instance = self.ground.busy()
        self.assertIsNone(self.ground.source.dirtied_mib(instance))
        if self.ground.source.begin_measuring(instance, 1):
            self.assertIsNone(self.ground.source.dirtied_mib(instance))
            self.assertGreater(self.ground.measured(instance), 0.0)

    def test_nobody_measures_what_is_not_there(self):
        for ask in (
            lambda: self.ground.source.begin_measuring(_NOBODY, 1),
            lambda: self.ground.source.dirtied_mib(_NOBODY),
        ):
            self.assertRaises(errors.NotFound, ask)

    def test_reading_says_what_belongs_to_nova(self):
        instance = self.ground.of_nova()
        reading = self.ground.source.read()
        row = reading.instances.id.index(instance)
        self.assertEqual('nova', reading.instances.owner[row])

    # view

    def test_view_finds_an_instance_by_uuid_and_by_name(self):
        instance = self.ground.calm()
        by_uuid = self.ground.source.view(instance)
        by_name = self.ground.source.view(by_uuid.name)
        self.assertEqual(by_uuid, by_name)
        self.assertEqual(_RUNNING, by_uuid.end.state)
        self.assertFalse(by_uuid.end.job_active)

    def test_view_of_what_is_not_there_is_not_found(self):
        for name in ('nobody', '00000000-0000-4000-8000-00000000dead'):
            with self.assertRaises(errors.NotFound):
                self.ground.source.view(name)

    # memory for others

    def test_space_has_every_instance_once_and_what_it_was_given(self):
        instance = self.ground.calm()
        space = self.ground.source.read_capacity()
        (here,) = [one for one in space.occupants if one.id == instance]
        self.assertEqual(
            self.ground.source.view(instance).memory_mib, here.memory_mib
        )
        self.assertFalse(here.arriving)
        self.assertGreater(space.total_mib, 0.0)
        self.assertLessEqual(space.free_mib or 0.0, space.total_mib)

    def test_space_counts_what_arrives_from_its_first_pass_on(self):
        instance = self.ground.busy()
        story = self.story(instance)
        story.perform(instructions.SetDowntime(50), instructions.Start())
        story.until(events.PassEnded)
        space = self.ground.destination.read_capacity()
        (coming,) = [one for one in space.occupants if one.id == instance]
        self.assertTrue(coming.arriving)
        self.assertGreater(coming.memory_mib, 0.0)
        (leaving,) = [
            one
            for one in self.ground.source.read_capacity().occupants
            if one.id == instance
        ]
        self.assertFalse(leaving.arriving)
        story.perform(instructions.Abort())
        story.until(events.CallReturned)

    def test_it_answers_for_the_means_that_are_asked_for_only(self):
        self.assertEqual((), self.ground.source.welcome(request.Options()))

    def test_traffic_that_cannot_be_told_is_no_failure(self):
        for incoming in (False, True):
            told = self.ground.source.traffic('192.0.2.1', incoming)
            self.assertEqual(told.mib_s is None, bool(told.trouble))

    def test_what_an_interface_carries_is_told_or_not_known(self):
        for incoming in (False, True):
            told = self.ground.source.interface_mib_s('192.0.2.1', incoming)
            self.assertTrue(told is None or told > 0)

    # pre-flight

    def test_preflight_passes_where_nothing_stands_in_the_way(self):
        story = self.story(self.ground.calm())
        self.assertEqual([], story.failures())

    def test_preflight_refuses_what_is_not_there(self):
        story = self.story('00000000-0000-4000-8000-00000000dead')
        self.assertEqual(['source'], [one.name for one in story.failures()])

    def test_preflight_refuses_what_belongs_to_nova(self):
        story = self.story(self.ground.of_nova())
        (failure,) = story.failures()
        self.assertEqual('owner', failure.name)
        self.assertIn('Nova', failure.reason)

    def test_preflight_refuses_a_destination_that_does_not_answer(self):
        story = self.story(self.ground.calm(), self.ground.nowhere_uri())
        (failure,) = story.failures()
        self.assertEqual('destination', failure.name)
        self.assertTrue(failure.remedy)

    # migrations

    def test_a_calm_instance_converges_and_runs_on_the_destination(self):
        instance = self.ground.calm()
        story = self.story(instance)
        self.assertEqual([], story.failures())
        story.perform(instructions.SetDowntime(300), instructions.Start())
        returned = story.until(events.CallReturned)
        self.assertEqual('', returned.error)
        self.assertTrue(story.has(events.SourceStopped))
        (settled,) = [
            one for one in story.told if isinstance(one, events.JobSettled)
        ]
        self.assertGreater(settled.statistics.transferred_mib, 0.0)
        self.assertIsNotNone(settled.downtime_ms)
        self.assertEqual((_ABSENT, _RUNNING), story.ends())
        self.assertEqual(
            _RUNNING, self.ground.destination.view(instance).end.state
        )

    def test_a_busy_instance_does_not_converge_and_can_be_cancelled(self):
        instance = self.ground.busy()
        story = self.story(instance)
        story.perform(instructions.SetDowntime(50), instructions.Start())
        boundary = story.until(events.PassEnded)
        self.assertGreater(boundary.statistics.remaining_mib, 0.0)
        self.assertGreaterEqual(boundary.statistics.iteration, 2)
        self.assertEqual(
            events.EndState.RUNNING,
            self.ground.source.view(instance).end.state,
        )
        story.perform(instructions.Abort())
        self.assertTrue(story.until(events.CallReturned).error)
        self.assertEqual((_RUNNING, _ABSENT), story.ends())
        self.assertFalse(story.has(events.JobSettled))

    def test_an_abort_right_behind_the_start_is_not_lost(self):
        story = self.story(self.ground.busy())
        story.perform(instructions.Start(), instructions.Abort())
        self.assertTrue(story.until(events.CallReturned).error)
        self.assertEqual((_RUNNING, _ABSENT), story.ends())

    def test_post_copy_brings_over_what_does_not_converge(self):
        story = self.story(self.ground.busy(), post_copy=True)
        story.perform(instructions.SetDowntime(50), instructions.Start())
        story.until(events.PassEnded)
        story.perform(instructions.StartPostCopy())
        story.until(events.PostCopyBegun)
        self.assertEqual('', story.until(events.CallReturned).error)
        self.assertEqual((_ABSENT, _RUNNING), story.ends())

    def test_post_copy_is_refused_where_it_was_not_allowed(self):
        story = self.story(self.ground.busy())
        story.perform(instructions.SetDowntime(50), instructions.Start())
        story.until(events.PassEnded)
        story.perform(instructions.StartPostCopy())
        refused = story.until(events.Refused)
        self.assertEqual('StartPostCopy', refused.instruction)
        story.perform(instructions.Abort())
        story.until(events.CallReturned)

    def test_limits_can_be_changed_while_the_copy_runs(self):
        story = self.story(self.ground.busy(), bandwidth_mib_s=1)
        story.perform(instructions.SetDowntime(1), instructions.Start())
        story.until(
            events.Progressed, lambda one: one.statistics.total_mib > 0
        )
        # Without these it would take minutes, and never end.
        story.perform(
            instructions.SetBandwidth(0), instructions.SetDowntime(30_000)
        )
        self.assertEqual('', story.until(events.CallReturned).error)
        self.assertFalse(story.has(events.Refused))
        self.assertEqual((_ABSENT, _RUNNING), story.ends())

    def test_the_bandwidth_can_be_changed_in_post_copy(self):
        story = self.story(
            self.ground.busy(), post_copy=True, bandwidth_mib_s=1
        )
        story.perform(
            instructions.SetDowntime(50),
            instructions.SetBandwidth(self.ground.bandwidth_mib_s),
            instructions.Start(),
        )
        story.until(events.PassEnded)
        story.perform(
            instructions.SetBandwidth(1), instructions.StartPostCopy()
        )
        story.until(events.PostCopyBegun)
        # At 1 MiB/s the rest would take long.
        story.perform(instructions.SetBandwidth(0))
        self.assertEqual('', story.until(events.CallReturned).error)
        self.assertFalse(story.has(events.Refused))
        self.assertEqual((_ABSENT, _RUNNING), story.ends())

    # marks

    def marks(self, driver):
        return {one.instance: one.mark.migration_id for one in driver.marked()}

    def test_an_instance_is_marked_while_it_migrates_and_where_it_arrives(
        self,
    ):
        instance = self.ground.busy()
        self.assertNotIn(instance, self.marks(self.ground.source))
        # A calm one would be gone before it is looked at.
        story = self.story(instance, bandwidth_mib_s=1)
        ours = story.wanted.migration_id
        story.perform(instructions.SetDowntime(1), instructions.Start())
        story.until(
            events.Progressed, lambda one: one.statistics.total_mib > 0
        )
        self.assertEqual(ours, self.marks(self.ground.source)[instance])
        story.perform(
            instructions.SetBandwidth(0), instructions.SetDowntime(30_000)
        )
        story.until(events.CallReturned)
        (found,) = [
            one
            for one in self.ground.destination.marked()
            if one.instance == instance
        ]
        # What it was before is a driver's own affair.
        self.assertEqual(
            marks.of(story.wanted),
            dataclasses.replace(found.mark, limits=None, cards=()),
        )
        story.perform(instructions.Unmark())
        story.until(events.Unmarked)
        self.assertNotIn(instance, self.marks(self.ground.destination))

    def test_the_mark_of_another_migration_stays(self):
        instance = self.ground.busy()
        first = self.story(instance)
        first.perform(instructions.SetDowntime(50), instructions.Start())
        first.until(events.PassEnded)
        first.perform(instructions.Abort())
        first.until(events.CallReturned)
        other = self.story(instance)
        other.perform(instructions.Unmark())
        other.until(events.Unmarked)
        self.assertIn(instance, self.marks(self.ground.source))

    # taking up again

    def again(self, story):
        """Let its carrier go, as a crash does; return another one's story."""
        story.carrier.close()
        new = grounds.Story(self.ground.source, story.wanted)
        self.addCleanup(new.carrier.close)
        return new

    def test_a_job_that_was_let_go_is_followed_and_steered_to_its_end(self):
        first = self.story(self.ground.busy(), bandwidth_mib_s=1)
        first.perform(instructions.SetDowntime(1), instructions.Start())
        first.until(
            events.Progressed, lambda one: one.statistics.total_mib > 0
        )
        story = self.again(first)
        story.perform(instructions.Follow())
        story.until(events.Progressed)
        # Without these it would take minutes, and never end.
        story.perform(
            instructions.SetBandwidth(0), instructions.SetDowntime(30_000)
        )
        story.until(events.CallReturned)
        self.assertFalse(story.has(events.Refused))
        self.assertEqual((_ABSENT, _RUNNING), story.ends())

    def test_a_job_that_is_followed_is_ended_on_demand(self):
        first = self.story(self.ground.busy())
        first.perform(instructions.SetDowntime(1), instructions.Start())
        first.until(events.PassEnded)
        story = self.again(first)
        story.perform(instructions.Follow())
        story.until(events.Progressed)
        story.perform(instructions.Abort())
        story.until(events.CallReturned)
        self.assertEqual((_RUNNING, _ABSENT), story.ends())

    def test_a_job_that_is_not_there_is_not_followed(self):
        story = self.story(self.ground.calm())
        story.perform(instructions.Follow())
        story.until(events.CallReturned)
        self.assertEqual((_RUNNING, _ABSENT), story.ends())

    # migrations of others

    def observed(self, instance):
        """Watch what others do to an instance."""
        seen = grounds.Sights(self.ground.source, instance)
        self.addCleanup(seen.observer.close)
        return seen

    def test_passes_stop_and_end_of_a_migration_of_others_are_seen(self):
        instance = self.ground.busy()
        seen = self.observed(instance)
        story = self.story(instance)
        story.perform(instructions.SetDowntime(50), instructions.Start())
        boundary = seen.until(events.PassEnded)
        self.assertGreater(boundary.statistics.remaining_mib, 0.0)
        self.assertGreaterEqual(boundary.statistics.iteration, 2)
        story.perform(instructions.SetDowntime(30_000))
        seen.until(events.CallReturned)
        self.assertTrue(seen.has(events.SourceStopped))
        settled = seen.one(events.JobSettled)
        self.assertIsNotNone(settled.downtime_ms)
        self.assertEqual((_ABSENT, _RUNNING), story.ends())

    def test_post_copy_of_others_is_seen(self):
        instance = self.ground.busy()
        story = self.story(instance, post_copy=True)
        story.perform(instructions.SetDowntime(50), instructions.Start())
        story.until(events.PassEnded)
        # Who comes late sees it as well.
        seen = self.observed(instance)
        seen.until(events.Progressed)
        story.perform(instructions.StartPostCopy())
        seen.until(events.PostCopyBegun)
        seen.until(events.CallReturned)
        self.assertEqual((_ABSENT, _RUNNING), story.ends())

    def test_who_looks_away_is_told_no_more(self):
        instance = self.ground.busy()
        seen = self.observed(instance)
        story = self.story(instance)
        story.perform(instructions.SetDowntime(50), instructions.Start())
        seen.until(events.PassEnded)
        seen.observer.close()
        before = seen.count()
        story.perform(instructions.Abort())
        story.until(events.CallReturned)
        self.assertEqual(before, seen.count())

    # post-copy that broke

    def post_copy(self):
        """Have an instance run on the destination without its memory."""
        story = self.story(
            self.ground.busy(), post_copy=True, bandwidth_mib_s=4
        )
        story.perform(
            instructions.SetDowntime(1),
            instructions.SetBandwidth(self.ground.bandwidth_mib_s),
            instructions.Start(),
        )
        story.until(events.PassEnded)
        story.perform(
            instructions.SetBandwidth(1), instructions.StartPostCopy()
        )
        story.until(events.PostCopyBegun)
        story.until_ends(events.EndState.POST_COPY, events.EndState.POST_COPY)
        return story

    def recover(self, story):
        """Try until it succeeds: hypervisors may need a moment before."""

        def is_news(one):
            if isinstance(one, events.Refused):
                return one.instruction == instructions.Recover.__name__
            return isinstance(one, events.PostCopyBegun | events.CallReturned)

        error = 'not tried yet'
        while error:
            story.perform(instructions.Recover())
            told = story.until(events.Event, is_news)
            if isinstance(told, events.Refused):
                # QEMU may have paused nothing, and go on to the end.
                story.perform(instructions.SetBandwidth(0))
                if story.ends() == (_ABSENT, _RUNNING):
                    return
            if isinstance(told, events.PostCopyBegun):
                story.perform(instructions.SetBandwidth(0))
                told = story.until(events.CallReturned)
            if isinstance(told, events.CallReturned):
                error = told.error

    def test_post_copy_that_is_given_up_is_recovered(self):
        story = self.post_copy()
        story.perform(instructions.PausePostCopy())
        story.until(events.PostCopyBroke)
        self.assertTrue(story.until(events.CallReturned).error)
        story.until_ends(_BROKEN, _BROKEN)
        self.recover(story)
        self.assertEqual((_ABSENT, _RUNNING), story.ends())

    def test_post_copy_is_recovered_by_another_carrier_as_well(self):
        first = self.post_copy()
        first.perform(instructions.PausePostCopy())
        first.until_ends(_BROKEN, _BROKEN)
        story = self.again(first)
        self.recover(story)
        self.assertEqual((_ABSENT, _RUNNING), story.ends())

    def test_there_is_nothing_to_recover_where_nothing_broke(self):
        story = self.story(self.ground.calm())
        story.perform(instructions.Recover())
        self.assertEqual('Recover', story.until(events.Refused).instruction)

    # copies that were left behind

    def left(self, at_source, at_destination):
        """Leave copies of an instance, as a crash may; return its story."""
        story = self.story(self.ground.calm())
        self.ground.leave(story.wanted, at_source, at_destination)
        self.assertEqual((at_source, at_destination), story.ends())
        return story

    def mend(self, story, action, *ends):
        story.perform(instructions.Mend(action, *ends))

    def test_a_copy_that_was_left_is_mended(self):
        stopped = events.EndState.PAUSED_MIGRATION
        actions = verdicts.Action
        for before, action, after in (
            ((stopped, _RUNNING), actions.DESTROY_SOURCE, (_ABSENT, _RUNNING)),
            (
                (_RUNNING, stopped),
                actions.DESTROY_DESTINATION,
                (_RUNNING, _ABSENT),
            ),
            ((stopped, _ABSENT), actions.RESUME_SOURCE, (_RUNNING, _ABSENT)),
            (
                (_ABSENT, stopped),
                actions.RESUME_DESTINATION,
                (_ABSENT, _RUNNING),
            ),
            (
                (_RUNNING, _RUNNING),
                actions.SUSPEND_BOTH,
                (events.EndState.PAUSED, events.EndState.PAUSED),
            ),
        ):
            with self.subTest(action=action):
                story = self.left(*before)
                self.mend(story, action, *before)
                self.assertTrue(story.until(events.Mended).text)
                self.assertEqual(after, story.ends())

    def test_nothing_is_mended_where_the_ends_have_changed(self):
        stopped = events.EndState.PAUSED_MIGRATION
        story = self.left(_RUNNING, stopped)
        self.mend(story, verdicts.Action.DESTROY_SOURCE, stopped, _RUNNING)
        self.assertEqual('Mend', story.until(events.Refused).instruction)
        self.assertEqual((_RUNNING, stopped), story.ends())

    def test_nothing_is_mended_that_a_job_holds_by_now(self):
        """A copy that comes in looks like one that was left unstarted."""
        stopped = events.EndState.PAUSED_MIGRATION
        story = self.story(self.ground.busy())
        story.perform(instructions.SetDowntime(50), instructions.Start())
        story.until(events.PassEnded)
        self.mend(
            story, verdicts.Action.DESTROY_DESTINATION, _RUNNING, stopped
        )
        refused = story.until(events.Refused)
        self.assertEqual('Mend', refused.instruction)
        self.assertIn('a job has begun meanwhile', refused.text)
        self.assertEqual((_RUNNING, stopped), story.ends())
        story.perform(instructions.Abort())
        story.until(events.CallReturned)

    def test_nothing_is_mended_that_another_migration_left(self):
        stopped = events.EndState.PAUSED_MIGRATION
        theirs = self.left(_RUNNING, stopped)
        story = self.story(theirs.wanted.instance)
        self.mend(
            story, verdicts.Action.DESTROY_DESTINATION, _RUNNING, stopped
        )
        self.assertIn('mark', story.until(events.Refused).text)
        self.assertEqual((_RUNNING, stopped), story.ends())

    def test_a_start_towards_nobody_fails_and_leaves_the_instance(self):
        story = self.story(self.ground.calm(), self.ground.nowhere_uri())
        story.perform(instructions.Start())
        self.assertTrue(story.until(events.CallReturned).error)
        self.assertEqual((_RUNNING, events.EndState.UNREACHABLE), story.ends())

    def test_nothing_waits_for_a_look_that_is_put_off(self):
        story = self.story(self.ground.calm())
        story.perform(
            instructions.LookAtEnds(delay_seconds=3600.0),
            instructions.Unmark(),
        )
        story.until(events.Unmarked)
        self.assertEqual((_RUNNING, _ABSENT), story.ends())

    def test_nothing_is_told_after_close(self):
        story = self.story(self.ground.calm())
        story.perform(instructions.LookAtEnds(delay_seconds=3600.0))
        story.carrier.close()
        story.carrier.perform(instructions.LookAtEnds())
        # The next story has to go through all the same motions first.
        self.assertEqual([], self.story(self.ground.calm()).failures())
        self.assertEqual([], story.told)
