"""Nobody is sent off over a dead link, whatever policy decides."""

import unittest

from benchmarks.convergence import __main__ as bench
from kvm_balancer.migration import events
from kvm_balancer.migration.convergence import contract
from kvm_balancer.migration.convergence import link
from kvm_balancer.migration.convergence import trend
from kvm_balancer.migration.lifecycle import machine
from kvm_balancer.migration.lifecycle import pulse
from kvm_balancer.migration.lifecycle import states
from tests.unit.migration import lives
from tests.unit.migration import streams

#: How a dead stream is told of: as it is, or as QEMU does, which reckons
#: nothing while it waits to send.
_TOLD = (0.0, 100.0)

_LIMIT_SECONDS = 40.0


class _Copy:
    """A machine that is shown a copy, twice a second."""

    def __init__(self, name, **options):
        options.setdefault('post_copy', True)
        options.setdefault('auto_converge', False)
        wanted = lives.wanted(**options)
        self.machine = machine.Machine(wanted, bench.POLICIES[name]())
        self.stream = streams.Stream()
        self.wishes = list(self.machine.begin(100.0))
        for event in (
            events.Checked(at=100.0, cause='test', checks=()),
            events.Reserved(at=100.0, cause='test', checks=(lives.RESERVED,)),
        ):
            self.wishes.extend(self.machine.handle(event))

    def tell(self, kind, **fields):
        at = 100.0 + self.stream.at
        self.wishes.extend(
            self.machine.handle(kind(at=at, cause='test', **fields))
        )

    def flow(self, seconds, mib_s, told_mib_s=None, **figures):
        for _ in range(int(seconds * 2)):
            at = self.stream.at + 0.5
            seen = self.stream.look(at, mib_s, told_mib_s, **figures)
            self.tell(events.Progressed, statistics=seen)

    def end_pass(self, iteration=2, mib_s=100.0):
        seen = self.stream.look(
            self.stream.at + 0.5, mib_s, iteration=iteration
        )
        self.tell(events.PassEnded, statistics=seen)

    def tell_ends(self, source, destination):
        self.tell(
            events.EndsSeen,
            source=events.End(source),
            destination=events.End(destination),
        )

    def tick(self, seconds):
        """Let time go on, while the hypervisor says nothing."""
        self.stream.at += seconds
        self.tell(events.Ticked)

    @property
    def names(self):
        return [type(wish).__name__ for wish in self.wishes]

    @property
    def story(self):
        return ' '.join(line.text for line in self.machine.story)


class MachineTest(unittest.TestCase):
    def copies(self, **options):
        for name in bench.POLICIES:
            for told in _TOLD:
                with self.subTest(name=name, told=told):
                    yield told, _Copy(name, **options)

    def test_none_is_started_once_nothing_goes_across(self):
        """The link dies within the second pass, before the time limit."""
        for told, copy in self.copies(
            time_limit_seconds=_LIMIT_SECONDS, max_downtime_ms=9000
        ):
            copy.flow(10, 100.0)
            copy.end_pass()
            copy.flow(10, 100.0, iteration=2)
            self.assertNotIn('StartPostCopy', copy.names)
            copy.flow(_LIMIT_SECONDS, 0.0, told, iteration=2)
            self.assertNotIn('StartPostCopy', copy.names)

    def test_none_is_started_on_a_stale_tick(self):
        for _, copy in self.copies(
            time_limit_seconds=_LIMIT_SECONDS, max_downtime_ms=9000
        ):
            copy.flow(10, 100.0)
            copy.end_pass()
            for _ in range(40):
                copy.tick(1.0)
            self.assertNotIn('StartPostCopy', copy.names)

    def test_one_is_started_over_a_link_that_flows_at_the_limit(self):
        copy = _Copy('adaptive', time_limit_seconds=40.0, max_downtime_ms=9000)
        copy.flow(10, 100.0)
        copy.end_pass()
        copy.flow(32, 100.0, iteration=2)
        self.assertIn('StartPostCopy', copy.names)

    def test_it_waits_for_the_link_and_then_goes(self):
        """A policy that insists is put off, and taken up again."""
        life = lives.Life(
            *[contract.CarryOn('')] * 2,
            *[contract.StartPostCopy('now')] * 4,
            post_copy=True,
        )
        life.copying()
        life.passed(2)
        dead = lives.seen(2, elapsed_ms=9000.0)
        life.tell(events.Progressed, statistics=dead)
        life.tell(events.Ticked)
        self.assertNotIn('StartPostCopy', life.names)
        told = [line.text for line in life.machine.story]
        self.assertEqual(1, sum('put off' in text for text in told))
        flows = lives.seen(3, elapsed_ms=10000.0)
        life.tell(events.Progressed, statistics=flows)
        self.assertEqual(1, life.names.count('StartPostCopy'))

    def test_who_insists_over_a_link_that_stays_dead_is_given_up(self):
        life = lives.Life(
            contract.CarryOn(''),
            *[contract.StartPostCopy('now')] * 1000,
            post_copy=True,
        )
        life.copying()
        for second in range(400):
            seen = lives.seen(2, transferred_mib=100.0, elapsed_ms=second)
            life.tell(events.Progressed, statistics=seen)
        self.assertNotIn('StartPostCopy', life.names)
        self.assertIn('Abort', life.names)
        self.assertIs(states.State.PRE_COPY, life.machine.state)

    def test_a_call_that_fails_for_it_says_so(self):
        """libvirt may lose its patience first, and names a socket only."""
        for mib_s in (0.0, 100.0):
            with self.subTest(mib_s=mib_s):
                copy = _Copy('adaptive')
                copy.flow(10, 100.0)
                copy.flow(30, mib_s)
                copy.tell(events.CallReturned, error='closed')
                kept = (events.EndState.RUNNING, events.EndState.ABSENT)
                copy.tell_ends(*kept)
                copy.tell(events.Unmarked)
                self.assertEqual(
                    mib_s == 0.0, 'network' in copy.machine.outcome.reason
                )
                self.assertIn('closed', copy.machine.outcome.reason)

    def test_vdsm_means_it_until_it_is_done(self):
        copy = _Copy('vdsm')
        for iteration in range(2, 6):
            copy.flow(5, 100.0, iteration=iteration - 1)
            if iteration == 5:
                copy.flow(1, 0.0, iteration=iteration - 1)
                copy.end_pass(iteration, 0.0)
            else:
                copy.end_pass(iteration)
        self.assertNotIn('StartPostCopy', copy.names)
        copy.end_pass(6)
        self.assertIn('StartPostCopy', copy.names)


class AdaptiveTest(unittest.TestCase):
    """What the default makes of faults, and of what is none."""

    def dead(self, copy, told, seconds=70):
        copy.flow(seconds, 0.0, told, iteration=2)

    def test_a_link_that_dies_within_a_pass_is_given_up(self):
        for told in _TOLD:
            for passes in (0, 1):
                with self.subTest(told=told, passes=passes):
                    copy = _Copy('adaptive', max_downtime_ms=9000)
                    copy.flow(10, 100.0)
                    if passes:
                        copy.end_pass()
                    copy.flow(55, 0.0, told, iteration=1 + passes)
                    self.assertNotIn('Abort', copy.names)
                    copy.flow(10, 0.0, told, iteration=1 + passes)
                    self.assertIn('Abort', copy.names)
                    self.assertIn('network', copy.story)

    def test_a_link_that_dies_before_it_was_known_is_given_up(self):
        copy = _Copy('adaptive')
        copy.flow(1, 100.0)
        self.dead(copy, 0.0)
        self.assertIn('Abort', copy.names)
        self.assertIn('network', copy.story)

    def test_shares_hide_no_fault(self):
        """Given before, at the start of, and during a collapse."""
        table = (
            # seconds after the collapse, share
            (-2, 50),
            (-2, 0),
            (0, 50),
            (0, 0),
            (3, 50),
            (3, 200),
            (3, 0),
            (50, 20),
            (50, 0),
        )
        for told in _TOLD:
            for after, share in table:
                with self.subTest(told=told, after=after, share=share):
                    copy = _Copy('adaptive', max_downtime_ms=9000)
                    copy.flow(10, 100.0)
                    copy.end_pass()
                    if after < 0:
                        copy.tell(events.BandwidthShared, mib_s=share)
                        flows = min(share or 100.0, 100.0)
                        copy.flow(-after, flows, iteration=2)
                    else:
                        copy.flow(after, 0.0, told, iteration=2)
                        copy.tell(events.BandwidthShared, mib_s=share)
                    self.dead(copy, told)
                    self.assertNotIn('StartPostCopy', copy.names)
                    self.assertIn('Abort', copy.names)
                    self.assertIn('network', copy.story)

    def test_shares_are_no_fault(self):
        for share in (50, 20, 5, 1):
            with self.subTest(share=share):
                copy = _Copy('adaptive', max_downtime_ms=90000)
                copy.flow(10, 100.0)
                copy.tell(events.BandwidthShared, mib_s=share)
                copy.flow(100, float(share))
                copy.tell(events.BandwidthShared, mib_s=0)
                copy.flow(10, 100.0)
                self.assertNotIn('Abort', copy.names)
                self.assertNotIn('network', copy.story)

    def test_a_link_that_heals_is_gone_on_with(self):
        for told in _TOLD:
            for lasts in (5, 30, 55):
                with self.subTest(told=told, lasts=lasts):
                    copy = _Copy('adaptive')
                    copy.flow(10, 100.0)
                    copy.flow(lasts, 0.0, told)
                    copy.flow(2, 100.0)
                    self.assertNotIn('Abort', copy.names)
                    copy.end_pass()
                    self.assertNotIn('network', copy.story)
                    # a guest that took longer for it may yet converge
                    if lasts == 5:
                        self.assertIn('StartPostCopy', copy.names)

    def test_what_was_due_in_a_fault_is_done_when_the_link_is_sound(self):
        copy = _Copy('adaptive')
        copy.flow(10, 100.0)
        copy.flow(5, 10.0)
        copy.end_pass(mib_s=10.0)
        copy.flow(5, 10.0, iteration=2)
        self.assertNotIn('StartPostCopy', copy.names)
        copy.flow(2, 100.0, iteration=2)
        self.assertIn('StartPostCopy', copy.names)

    def test_pages_of_zeros_are_no_fault(self):
        copy = _Copy('adaptive')
        copy.flow(10, 100.0, remaining_mib=64000.0)
        left = 64000.0
        for _ in range(200):
            left -= 300.0
            seen = copy.stream.look(
                copy.stream.at + 0.5,
                0.5,
                total_mib=64000.0,
                remaining_mib=left,
            )
            copy.tell(events.Progressed, statistics=seen)
        self.assertNotIn('Abort', copy.names)
        self.assertNotIn('network', copy.story)

    def test_pages_of_zeros_mend_no_fault(self):
        copy = _Copy('adaptive')
        copy.flow(10, 100.0)
        copy.flow(5, 30.0)
        left = 900.0
        for _ in range(20):
            left -= 40.0
            seen = copy.stream.look(
                copy.stream.at + 0.5, 0.5, remaining_mib=left
            )
            copy.tell(events.Progressed, statistics=seen)
        copy.end_pass(mib_s=0.5)
        copy.flow(5, 30.0, iteration=2)
        self.assertNotIn('StartPostCopy', copy.names)

    def test_at_the_time_limit_a_dead_link_is_told(self):
        for told in _TOLD:
            copy = _Copy(
                'adaptive', time_limit_seconds=25.0, max_downtime_ms=9000
            )
            copy.flow(10, 100.0)
            copy.end_pass()
            copy.flow(20, 0.0, told, iteration=2)
            self.assertIn('Abort', copy.names)
            self.assertIn('network', copy.story)


class PulseTest(unittest.TestCase):
    def test_what_is_shown_again_says_nothing(self):
        stream, seen = streams.Stream(), pulse.Pulse()
        look = stream.look(1.0, 100.0)
        seen.take(look, 1.0)
        again = stream.look(2.0, 100.0)
        self.assertTrue(seen.take(again, 2.0))
        for at in (3.0, 9.0):
            self.assertFalse(seen.take(again, at))
        self.assertEqual(0.0, seen.quiet_seconds)
        self.assertTrue(seen.beats)

    def test_two_looks_at_once_are_one(self):
        """The end of a pass falls between two looks."""
        stream, seen = streams.Stream(), pulse.Pulse()
        for at in (1.0, 1.5, 1.501):
            seen.take(stream.look(at, 0.0 if at > 1.5 else 10.0), at)
        self.assertTrue(seen.beats)
        self.assertAlmostEqual(10.0, seen.sustained_mib_s)

    def test_stale_looks_are_no_samples(self):
        found = trend.Trend()
        stream = streams.Stream()
        for at in (1.0, 2.0, 3.0, 4.0):
            found.measure(stream.look(at, 100.0), at, False)
        last = stream.look(5.0, 10.0)
        self.assertTrue(found.measure(last, 5.0, False))
        before = found.bandwidth_mib_s
        for at in (6.0, 7.0, 8.0):
            self.assertFalse(found.measure(last, at, False))
        self.assertEqual(before, found.bandwidth_mib_s)


class LinkTest(unittest.TestCase):
    def carrying(self, mib_s, seconds=10):
        found = link.Link()
        for at in range(seconds):
            found.sample(mib_s, float(at))
        return found

    def test_the_peak_stands_while_the_link_is_down(self):
        found = self.carrying(100.0)
        for at in range(10, 1000):
            found.sample(20.0, float(at))
            self.assertEqual(10.0, found.collapsed_since)

    def test_a_fault_that_is_put_up_with_is_one_until_it_heals(self):
        found = self.carrying(100.0)
        for at in range(10, 20):
            found.sample(30.0, float(at))
        lost = found.lost_seconds
        found.put_up_with()
        for at in range(20, 1000):
            found.sample(30.0, float(at))
        self.assertEqual(10.0, found.collapsed_since)
        self.assertEqual(lost, found.lost_seconds)
        for at in range(1000, 1010):
            found.sample(90.0, float(at))
        self.assertIsNone(found.collapsed_since)
        found.sample(20.0, 1010.0)
        found.sample(20.0, 1011.0)
        self.assertGreater(found.lost_seconds, lost)

    def test_a_limit_that_came_and_went_leaves_the_peak(self):
        for mib_s, sound in ((70.0, True), (30.0, False)):
            with self.subTest(mib_s=mib_s):
                found = self.carrying(100.0)
                found.limit(40)
                for at in range(10, 15):
                    found.sample(30.0, float(at))
                self.assertIsNone(found.collapsed_since)
                found.limit(0)
                self.assertIsNone(found.collapsed_since)
                for at in range(15, 20):
                    found.sample(mib_s, float(at))
                self.assertEqual(sound, found.collapsed_since is None)

    def test_a_lower_limit_brings_the_peak_down_and_a_higher_keeps_it(self):
        for limit, mib_s, sound in (
            (50, 30.0, True),
            (50, 20.0, False),
            (200, 60.0, True),
            (200, 40.0, False),
            (0, 40.0, False),
        ):
            with self.subTest(limit=limit, mib_s=mib_s):
                found = self.carrying(100.0)
                found.limit(limit)
                for at in range(10, 20):
                    found.sample(mib_s, float(at))
                self.assertEqual(sound, found.collapsed_since is None)

    def test_one_good_sample_mends_nothing(self):
        found = self.carrying(100.0)
        for at, mib_s in enumerate([0.0] * 5 + [100.0], 10):
            found.sample(mib_s, float(at))
        self.assertEqual(10.0, found.collapsed_since)

    def test_what_heals_is_at_its_own_bandwidth(self):
        found = self.carrying(100.0)
        for at, mib_s in enumerate([0.0] * 5 + [90.0] * 2, 10):
            found.sample(mib_s, float(at))
        self.assertIsNone(found.collapsed_since)
        self.assertEqual(90.0, found.bandwidth_mib_s)
