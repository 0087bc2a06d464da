"""An executor lends its eyes for as long as somebody asks."""

import time
import unittest

from kvm_balancer import errors
from kvm_balancer.messages import observation
from kvm_balancer.migration import events
from kvm_balancer.service import observing
from kvm_balancer.virt import driver


class _Observer(driver.Observer):
    def __init__(self, instance, sink):
        self.instance = instance
        self.sink = sink
        self.closed = False

    def close(self):
        self.closed = True


class _Hypervisor:
    """Has nothing but instances to be watched."""

    def __init__(self):
        self.observers = []

    def observe(self, instance, sink, clock=None):
        self.observers.append(_Observer(instance, sink))
        return self.observers[-1]


def progressed(at, remaining=1.0):
    return events.Progressed(
        at=at,
        cause='test',
        statistics=events.Statistics(remaining_mib=remaining),
    )


class ObservingTest(unittest.TestCase):
    def setUp(self):
        super().setUp()
        self.hypervisor = _Hypervisor()
        self.observing = observing.Observing(self.hypervisor, lambda: 100.0)
        self.addCleanup(self.observing.stop)

    def ask(self, watch='', after=0, migration='m1'):
        return self.observing.ask(
            observation.Ask('uuid', migration, watch, after)
        )

    def see(self, *told):
        for event in told:
            self.hypervisor.observers[-1].sink(event)

    def test_each_event_is_told_until_it_is_known_to_have_come(self):
        first = self.ask()
        self.assertEqual((), first.seen)
        self.see(events.SourceStopped(at=99.0, cause='test'))
        for _ in range(2):
            (seen,) = self.ask(first.watch, 0).seen
            self.assertEqual(1, seen.number)
            self.assertEqual(1.0, seen.age_seconds)
        self.see(events.PostCopyBegun(at=100.0, cause='test'))
        (seen,) = self.ask(first.watch, 1).seen
        self.assertEqual('PostCopyBegun', seen.kind)
        self.assertEqual((), self.ask(first.watch, 2).seen)
        self.assertEqual(1, len(self.hypervisor.observers))

    def test_who_asks_for_another_watch_is_told_all_of_this_one(self):
        self.ask()
        self.see(events.SourceStopped(at=99.0, cause='test'))
        self.assertEqual(1, len(self.ask('of an earlier run', 17).seen))

    def test_only_the_newest_figures_are_kept(self):
        watch = self.ask().watch
        self.see(
            progressed(97.0, 5.0),
            progressed(98.0, 4.0),
            events.SourceStopped(at=98.5, cause='test'),
            progressed(99.0, 3.0),
        )
        left = [
            one.statistics and one.statistics.remaining_mib
            for one in self.ask(watch).seen
        ]
        self.assertEqual([4.0, None, 3.0], left)

    def test_a_watch_lapses_that_nobody_asks_about(self):
        watch = self.ask().watch
        self.observing.lapse(time.monotonic())
        self.assertFalse(self.hypervisor.observers[0].closed)
        self.observing.lapse(time.monotonic() + observing.LEASE_SECONDS + 1)
        self.assertTrue(self.hypervisor.observers[0].closed)
        self.assertNotEqual(watch, self.ask(watch, 3).watch)

    def test_another_migration_is_another_watch(self):
        self.assertNotEqual(self.ask().watch, self.ask(migration='m2').watch)

    def test_there_is_an_end_to_what_is_watched(self):
        for number in range(observing.MOST_WATCHES):
            self.ask(migration=f'm{number}')
        with self.assertRaises(errors.HypervisorError):
            self.ask(migration='one more')
        self.ask(migration='m0')

    def test_at_the_end_all_are_closed(self):
        self.ask()
        self.observing.stop()
        self.assertTrue(self.hypervisor.observers[0].closed)
