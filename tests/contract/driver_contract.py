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
from tests.contract import ground as grounds

_ABSENT = events.EndState.ABSENT
_NOBODY = '9b5a8e28-3d13-4c1f-8ac9-3d4c6d8d6f10'
_RUNNING = events.EndState.RUNNING

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
            # no rows where nobody asks for anything
            if field.name != 'asks'
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

    def test_a_start_towards_nobody_fails_and_leaves_the_instance(self):
        story = self.story(self.ground.calm(), self.ground.nowhere_uri())
        story.perform(instructions.Start())
        self.assertTrue(story.until(events.CallReturned).error)
        self.assertEqual((_RUNNING, events.EndState.UNREACHABLE), story.ends())

    def test_nothing_is_told_after_close(self):
        story = self.story(self.ground.calm())
        story.perform(instructions.LookAtEnds(delay_seconds=3600.0))
        story.carrier.close()
        story.carrier.perform(instructions.LookAtEnds())
        # The next story has to go through all the same motions first.
        self.assertEqual([], self.story(self.ground.calm()).failures())
        self.assertEqual([], story.told)
