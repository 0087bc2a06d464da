import dataclasses
import unittest

from kvm_balancer import errors
from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import adaptive
from kvm_balancer.migration.convergence import contract
from kvm_balancer.migration.convergence import nova
from kvm_balancer.migration.convergence import vdsm
from kvm_balancer.migration.lifecycle import course
from kvm_balancer.migration.lifecycle import ending
from kvm_balancer.migration.lifecycle import machine
from kvm_balancer.migration.lifecycle import states
from kvm_balancer.model import outcome
from kvm_balancer.model import plan
from tests.unit.migration import lives

State = states.State
End = events.EndState
Kind = outcome.OutcomeKind
_PASSED = events.Verdict.PASSED


class TestPlainCases(unittest.TestCase):
    def test_a_migration_that_converges_is_completed(self):
        life = lives.Life()
        life.copying()
        life.passed(2, throttle_percent=20, transferred_mib=300.0)
        life.tell(events.SourceStopped)
        life.tell(
            events.JobSettled,
            statistics=lives.seen(0, transferred_mib=350.0),
            downtime_ms=42.0,
        )
        life.returned()
        life.ends(End.ABSENT, End.RUNNING)
        ended = life.machine.outcome
        self.assertEqual(
            (Kind.COMPLETED, plan.Mode.PRE_COPY, 42.0, 350.0, 2, 20),
            (
                ended.outcome,
                ended.mode,
                ended.downtime_ms,
                ended.transferred_mib,
                ended.iterations,
                ended.max_throttle_percent,
            ),
        )
        self.assertEqual(
            [
                'Check',
                'Reserve',
                'SetDowntime',
                'Start',
                'SetDowntime',
                'LookAtEnds',
                'Unmark',
                'Release',
                'Conclude',
            ],
            life.names,
        )
        self.assertEqual(1000.0 * (life.now - 100.0), ended.total_ms)
        self.assertEqual(
            [
                'pre-flight',
                'preparing',
                'pre-copy',
                'switchover',
                'finishing',
                'verifying',
                'completed',
            ],
            list(dict.fromkeys(line.state for line in ended.story)),
        )

    def test_what_has_paused_it_where_it_is_now_is_told(self):
        for trouble, told in (
            ('an I/O error', 'an I/O error has paused it'),
            ('', 'someone has paused it'),
        ):
            paused = events.End(End.PAUSED, trouble=trouble)
            for kind, source, destination in (
                (Kind.COMPLETED, events.End(End.ABSENT), paused),
                (Kind.FAILED, paused, events.End(End.ABSENT)),
            ):
                life = lives.Life()
                life.copying()
                life.returned()
                life.tell(
                    events.EndsSeen, source=source, destination=destination
                )
                life.tell(events.Unmarked)
                ended = life.machine.outcome
                with self.subTest(trouble, kind=kind):
                    self.assertEqual(kind, ended.outcome)
                    self.assertIn(told, ended.reason)

    def test_one_that_was_paused_meanwhile_is_said_to_run_all_the_same(self):
        for source, destination, told in (
            (End.ABSENT, End.RUNNING, 1),
            (End.RUNNING, End.ABSENT, 1),
            # it does not
            (End.ABSENT, End.PAUSED, 0),
            (End.SHUT_OFF, End.ABSENT, 0),
        ):
            life = lives.Life()
            life.copying()
            life.tell(events.Noted, text='paused', guest_paused=True)
            life.tell(events.Noted, text='something else')
            # Whoever takes it up after a crash says so as well.
            after = lives.Life()
            after.wishes.extend(
                after.machine.adopt(100.0, known=life.machine.known)
            )
            life.returned()
            for one in (life, after):
                one.ends_until('Conclude', source, destination)
                with self.subTest(source=source, destination=destination):
                    self.assertEqual(
                        told,
                        one.machine.outcome.reason.count(
                            'somebody paused the guest meanwhile'
                        ),
                    )

    def test_of_what_runs_on_the_source_nothing_is_said_to_have_paused_it(
        self,
    ):
        life = lives.Life()
        life.copying()
        life.returned('broken')
        life.ends_until('Conclude', End.RUNNING, End.ABSENT)
        self.assertNotIn('paused', life.machine.outcome.reason)

    def test_what_its_policy_makes_no_use_of_is_told(self):
        drain = request.Profile.DRAIN
        line = 'its policy decides without '
        for policy, options, expected in (
            (nova.Nova(), {}, ''),
            (vdsm.Vdsm(), {}, ''),
            (adaptive.Adaptive(), {'profile': drain, 'post_copy': True}, ''),
            (nova.Nova(), {'profile': drain}, f'{line}profile'),
            (
                nova.Nova(),
                {'post_copy': True},
                f'{line}auto_converge, post_copy',
            ),
            (
                vdsm.Vdsm(),
                {'max_throttle_percent': 50, 'post_copy_patience': 2.0},
                f'{line}auto_converge, post_copy_patience',
            ),
        ):
            with self.subTest(policy=policy, options=options):
                life = lives.Life(**options)
                life.machine = machine.Machine(lives.wanted(**options), policy)
                life.checked()
                told = [
                    one.text
                    for one in life.machine.story
                    if one.text.startswith(line)
                ]
                shown = [f'{expected} (its options)'] if expected else []
                self.assertEqual(shown, told)

    def test_a_means_that_cannot_be_had_is_gone_without(self):
        """Whichever end says so; neither the job nor the policy has it."""
        gone = events.Check('post-copy', events.Verdict.FORGONE, 'no uffd')
        open_ = events.Check('post-copy', events.Verdict.UNKNOWN, 'who knows')
        for here, there, allowed in (
            ((gone,), (), False),
            ((open_,), (gone,), False),
            ((open_,), (), True),
            ((gone,), (events.Check('post-copy', _PASSED),), False),
        ):
            with self.subTest(here=here, there=there):
                policy = lives.Told()
                life = lives.Life(post_copy=True)
                life.machine = machine.Machine(
                    lives.wanted(post_copy=True), policy
                )
                life.wishes.extend(life.machine.begin(life.now))
                life.tell(events.Checked, checks=here)
                life.reserved(lives.RESERVED, *there)
                (start,) = (
                    one
                    for one in life.wishes
                    if isinstance(one, instructions.Start)
                )
                self.assertEqual(allowed, start.options.post_copy)
                self.assertEqual(
                    allowed, life.machine.request.options.post_copy
                )
                told = [line.text for line in life.machine.story]
                self.assertEqual(
                    not allowed,
                    'check forgone: post-copy: no uffd (test)' in told,
                )

    def test_a_stop_longer_than_is_allowed_is_told(self):
        for downtime_ms, told in ((500.0, False), (736.0, True)):
            life = lives.Life(max_downtime_ms=500)
            life.copying()
            life.tell(
                events.JobSettled,
                statistics=lives.seen(0),
                downtime_ms=downtime_ms,
            )
            life.returned()
            life.ends(End.ABSENT, End.RUNNING)
            ended = life.machine.outcome
            self.assertEqual(Kind.COMPLETED, ended.outcome)
            self.assertEqual(told, '236 more than it is' in ended.reason)

    def test_what_libvirt_says_at_the_end_of_post_copy_is_no_news(self):
        for begun in (False, True):
            life = lives.Life(post_copy=True)
            life.copying()
            life.tell(events.SourceStopped)
            if begun:
                life.tell(events.PostCopyBegun)
            life.tell(events.Arrived)
            self.assertEqual(
                begun, 'let run on' not in str(life.machine.story)
            )

    def test_what_is_gone_without_is_not_expected_either(self):
        """Nor is it said that it was not allowed."""
        gone = events.Check('post-copy', events.Verdict.FORGONE, 'no uffd')
        hybrid, other = plan.Mode.POST_COPY, plan.Prediction(90.0, 5.0, 9.0)
        for predicted, found, expected in (
            (plan.Prediction(30.0, 1.0, 2.0, hybrid, True), gone, None),
            (
                plan.Prediction(
                    *(30.0, 1.0, 2.0, hybrid, True), without_post_copy=other
                ),
                gone,
                other,
            ),
            (other, gone, other),
        ):
            with self.subTest(predicted=predicted):
                life = lives.Life()
                life.machine = machine.Machine(
                    dataclasses.replace(
                        lives.wanted(post_copy=True), predicted=predicted
                    ),
                    life.policy,
                )
                life.checked(found)
                self.assertEqual(
                    expected and expected.seconds,
                    life.reports[-1].remaining_seconds,
                )
                self.assertIn('cannot be had', life.policy.no_post_copy)
                life.returned('no')
                life.ends(End.RUNNING, End.ABSENT)
                self.assertEqual(expected, life.machine.outcome.predicted)

    def story_of_checks(self, here=(), there=(), own=()):
        life = lives.Life()
        life.machine.begin(life.now)
        for event in (
            events.Checked(at=101.0, cause='pre-flight', checks=here),
            events.Reserved(
                at=102.0,
                cause='the executor of beta',
                checks=(lives.RESERVED, *there),
                here=own,
            ),
        ):
            life.machine.handle(event)
        return life.machine, [line.text for line in life.machine.story]

    def test_every_check_is_told_with_who_made_it(self):
        unknown, failed = events.Verdict.UNKNOWN, events.Verdict.FAILED
        found = {
            'here': (events.Check('locks', unknown, 'a'),),
            'there': (events.Check('tls', unknown, 'b'),),
            'own': (events.Check('bandwidth here', _PASSED, 'c'),),
        }
        _, told = self.story_of_checks(**found)
        for expected in (
            'check unknown: locks: a (pre-flight)',
            'check unknown: tls: b (the executor of beta)',
            'bandwidth here: c (the executor of alpha)',
        ):
            self.assertIn(expected, told)
        # also the one that it fails by
        full = events.Check('bandwidth here', failed, 'full')
        ended, told = self.story_of_checks(**{**found, 'own': (full,)})
        self.assertEqual(State.FAILED, ended.state)
        self.assertEqual(
            'bandwidth here: full (the executor of alpha)', told[-1]
        )
        # what one end left open and the other settled is the other's
        _, told = self.story_of_checks(
            here=found['here'],
            there=(events.Check('locks', unknown, 'd'),),
        )
        self.assertIn('check unknown: locks: d (the executor of beta)', told)

    def test_whoever_watches_hears_of_it_before_anything_is_copied(self):
        life = lives.Life()
        life.copying()
        self.assertEqual(
            ['pre-flight', 'preparing', 'pre-copy'],
            list(dict.fromkeys(one.state for one in life.reports)),
        )
        self.assertIn('no check failed', life.reports[1].text)
        life.returned()
        self.assertEqual('verifying', life.reports[-1].state)

    def test_post_copy_saves_one_that_does_not(self):
        life = lives.Life(
            contract.CarryOn(''),
            contract.StartPostCopy('dirties too fast'),
            post_copy=True,
        )
        life.copying()
        life.passed()
        self.assertEqual(State.PRE_COPY, life.machine.state)
        life.tell(events.SourceStopped)
        life.tell(events.PostCopyBegun)
        life.tell(events.PostCopyBegun)
        life.tell(events.CancelAsked)
        life.returned()
        life.ends(End.ABSENT, End.RUNNING)
        ended = life.machine.outcome
        self.assertEqual(
            (Kind.COMPLETED, plan.Mode.POST_COPY),
            (ended.outcome, ended.mode),
        )
        self.assertEqual(1, life.names.count('StartPostCopy'))
        self.assertNotIn('Abort', life.names)

    def test_what_a_pass_left_is_told_as_it_is_decided_on(self):
        """By the time the hypervisor answered some of it had been sent."""
        life = lives.Life()
        life.copying()
        life.tell(
            events.Progressed,
            statistics=lives.seen(elapsed_ms=1000.0, transferred_mib=150.0),
        )
        life.passed(
            elapsed_ms=2500.0, transferred_mib=225.0, remaining_mib=0.0
        )
        line = life.machine.story[-1].text
        self.assertIn('pass 1: 25.0 MiB left', line)

    def test_that_the_guest_runs_there_is_told_once(self):
        """Of post-copy a destination says so again at its end."""
        for kinds in (
            (events.PostCopyBegun, events.Arrived),
            (events.Arrived, events.Arrived),
        ):
            life = lives.Life(post_copy=True)
            life.copying()
            life.tell(events.SourceStopped)
            for kind in kinds:
                life.tell(kind)
            said = [one.text for one in life.machine.story]
            where = [one for one in said if 'on the destination' in one]
            self.assertEqual(1, len(where), where)

    def test_one_that_is_given_up_stays_and_says_why(self):
        life = lives.Life(contract.GiveUp('dirties too fast'))
        life.copying()
        self.assertEqual('Abort', life.names[-1])
        life.returned('operation aborted')
        life.ends(End.RUNNING, End.ABSENT)
        ended = life.machine.outcome
        self.assertEqual(Kind.FAILED, ended.outcome)
        self.assertIn('dirties too fast', ended.reason)
        self.assertIsNone(ended.downtime_ms)

    def test_one_that_is_cancelled_stays(self):
        life = lives.Life()
        life.copying()
        life.tell(events.CancelAsked)
        life.passed()
        self.assertEqual(1, life.names.count('Abort'))
        life.tell(events.SourceStopped)
        life.returned('cancelled by client')
        life.ends(End.RUNNING, End.ABSENT)
        self.assertEqual(Kind.CANCELLED, life.machine.outcome.outcome)

    def test_a_failed_check_ends_it_with_reason_and_remedy(self):
        life = lives.Life()
        life.checked(
            events.Check('cpu', events.Verdict.UNKNOWN, 'not asked'),
            events.Check(
                'memory', events.Verdict.FAILED, 'none free', 'free some'
            ),
        )
        ended = life.machine.outcome
        self.assertEqual(Kind.FAILED, ended.outcome)
        self.assertEqual('memory: none free - free some', ended.reason)
        self.assertNotIn('Start', life.names)
        self.assertIn('cpu: not asked', str(ended.story))

    def test_a_check_that_could_not_tell_does_not_hinder(self):
        life = lives.Life()
        life.checked(events.Check('tls', events.Verdict.UNKNOWN, 'no idea'))
        self.assertIn('Start', life.names)
        self.assertIn('tls: no idea', str(life.machine.story))

    def test_a_destination_that_is_unreachable_fails_it(self):
        life = lives.Life()
        life.checked()
        life.returned('unable to connect to beta')
        for _ in range(3):
            life.ends(End.RUNNING, End.UNREACHABLE)
        ended = life.machine.outcome
        self.assertEqual(Kind.FAILED, ended.outcome)
        self.assertIn('unable to connect to beta', ended.reason)

    def test_disks_are_copied_before_memory_is_judged(self):
        life = lives.Life()
        life.checked()
        disks = events.Statistics(disk_total_mib=9.0, disk_remaining_mib=8.0)
        life.tell(events.Progressed, statistics=disks)
        life.tell(events.Progressed, statistics=disks)
        self.assertEqual(State.COPYING_STORAGE, life.machine.state)
        self.assertEqual([], life.policy.judged)
        life.tell(events.Progressed, statistics=lives.seen(1))
        self.assertEqual(State.PRE_COPY, life.machine.state)
        self.assertEqual(1, len(life.policy.judged))

    def copy_disks(self, left_mib, seconds, life, mib_s=100.0):
        """Look at disks for a while, of which so much is left by then."""
        begun = life.now
        while life.now < begun + seconds and 'Abort' not in life.names:
            left = left_mib(life.now - begun)
            disks = events.Statistics(
                # what is written anew is to be copied once more
                disk_total_mib=left + mib_s * (life.now - begun),
                disk_remaining_mib=left,
            )
            life.tell(events.Progressed, after=10.0, statistics=disks)

    def test_disks_that_are_written_as_fast_as_copied_are_given_up(self):
        for options, patience in (
            ({}, 600.0),
            ({'profile': request.Profile.DRAIN}, 3600.0),
        ):
            life = lives.Life(copy_storage=True, **options)
            life.checked()
            self.copy_disks(lambda s: 1e6 - 100.0 * s, 5000.0, life)
            self.assertNotIn('Abort', life.names)
            begun = life.now
            self.copy_disks(lambda s: 5e5 + s % 70.0, 9000.0, life)
            self.assertEqual('Abort', life.names[-1])
            self.assertAlmostEqual(begun + patience, life.now, delta=70.0)
            life.returned('aborted')
            life.ends(End.RUNNING, End.ABSENT)
            self.assertIn('as fast as', life.machine.outcome.reason)

    def test_disks_of_which_nothing_goes_across_blame_no_guest(self):
        life = lives.Life(copy_storage=True)
        life.checked()
        self.copy_disks(lambda s: 1e4 - 100.0 * s, 70.0, life)
        self.copy_disks(lambda _: 3e3, 5000.0, life, mib_s=0.0)
        life.returned('aborted')
        life.ends(End.RUNNING, End.ABSENT)
        self.assertIn('a fault of the', life.machine.outcome.reason)

    def test_disks_that_are_copied_slowly_or_have_a_limit_are_not(self):
        for left_mib, options in (
            # one after the other
            (lambda s: 1e4 * min(s, 50.0) - 5.0 * s, {}),
            # 10 TiB over a gigabit a second, and over far less
            (lambda s: 1e7 - 100.0 * s, {}),
            (lambda s: 1e7 - 1.0 * s, {}),
            (lambda s: 500.0, {'storage_time_limit_seconds': 9e9}),
        ):
            life = lives.Life(copy_storage=True, **options)
            life.checked()
            self.copy_disks(left_mib, 9_000.0, life)
            self.assertNotIn('Abort', life.names)

    def test_a_policy_that_gives_up_on_the_disks_ends_it(self):
        """Also where the job tells nothing any more."""
        disks = events.Statistics(disk_total_mib=9.0, disk_remaining_mib=8.0)
        for kind, fields in (
            (events.Progressed, {'statistics': disks}),
            (events.Ticked, {}),
        ):
            life = lives.Life(copy_storage=True)
            life.wishes.extend(life.machine.begin(life.now))
            life.tell(
                events.Checked, checks=(), disks=('vda',), disk_mib=(9.0,)
            )
            life.reserved(lives.RESERVED)
            life.tell(events.Progressed, statistics=disks)
            life.policy.disks = contract.GiveUp('too long')
            life.tell(kind, **fields)
            self.assertEqual('Abort', life.names[-1])
            self.assertEqual((9.0,), life.policy.disk_mib)


class TestTheCallIsNoTruth(unittest.TestCase):
    def test_an_error_after_the_guest_arrived_is_a_success(self):
        life = lives.Life()
        life.copying()
        life.returned('connection reset')
        life.ends(End.ABSENT, End.RUNNING)
        ended = life.machine.outcome
        self.assertEqual(Kind.COMPLETED, ended.outcome)
        self.assertIn('although the call ended with', ended.reason)

    def test_a_success_without_the_guest_there_is_a_failure(self):
        life = lives.Life()
        life.copying()
        life.returned()
        life.ends(End.RUNNING, End.ABSENT)
        self.assertEqual(Kind.FAILED, life.machine.outcome.outcome)

    def test_ends_that_have_not_settled_are_looked_at_again(self):
        life = lives.Life()
        life.copying()
        life.returned('lost')
        looks = []
        while life.machine.outcome is None:
            looks += life.ends(End.RUNNING, End.UNREACHABLE, job_active=True)
            if life.names[-1] == 'Follow':
                life.returned('there is no job')
        delays = [
            look.delay_seconds
            for look in looks
            if isinstance(look, instructions.LookAtEnds)
        ]
        self.assertEqual([0.1, 0.2, 0.4], delays[:3])
        self.assertIn(5.0, delays)
        self.assertGreater(sum(delays), 45.0)
        ended = life.machine.outcome
        self.assertEqual(Kind.UNKNOWN, ended.outcome)
        self.assertIn('until that host is seen again', ended.reason)

    def test_ends_that_settle_late_end_it_as_they_say(self):
        life = lives.Life()
        life.copying()
        life.tell(events.SourceStopped)
        life.returned('lost')
        life.ends(End.PAUSED_MIGRATION, End.PAUSED_MIGRATION)
        life.ends(End.PAUSED_MIGRATION, End.RUNNING)
        life.ends(End.ABSENT, End.RUNNING)
        self.assertEqual(Kind.COMPLETED, life.machine.outcome.outcome)

    def test_a_silent_destination_is_unknown_once_it_may_have_the_guest(self):
        for lost, stopped in ((True, False), (False, True)):
            life = lives.Life()
            life.copying()
            if stopped:
                life.tell(events.SourceStopped)
            life.returned('lost', events_lost=lost)
            while life.machine.outcome is None:
                life.ends(End.RUNNING, End.UNREACHABLE)
            self.assertEqual(Kind.UNKNOWN, life.machine.outcome.outcome)

    def test_ends_that_never_agree_are_left_in_the_end(self):
        life = lives.Life()
        life.copying()
        life.returned()
        for _ in range(100):
            if life.machine.outcome:
                break
            life.ends(End.RUNNING, End.RUNNING)
            if not life.machine.outcome:
                life.ends(End.PAUSED, End.RUNNING)
        self.assertEqual(Kind.UNKNOWN, life.machine.outcome.outcome)

    def test_looks_that_are_refused_end_as_unknown(self):
        life = lives.Life()
        life.copying()
        life.returned()
        for _ in range(30):
            if life.machine.outcome is None:
                life.tell(events.Refused, instruction='LookAtEnds', text='no')
        self.assertEqual(Kind.UNKNOWN, life.machine.outcome.outcome)


class TestCancel(unittest.TestCase):
    def test_before_the_start_nothing_is_started(self):
        life = lives.Life()
        life.machine.begin(100.0)
        life.tell(events.CancelAsked)
        self.assertEqual(Kind.CANCELLED, life.machine.outcome.outcome)
        self.assertEqual((), life.tell(events.Checked, checks=()))
        self.assertNotIn('Start', life.names)

    def test_before_the_job_is_seen_it_is_said_again(self):
        life = lives.Life()
        life.checked()
        life.tell(events.CancelAsked)
        life.tell(events.Refused, instruction='Abort', text='no job')
        life.tell(events.Progressed, statistics=lives.seen())
        life.tell(events.Progressed, statistics=lives.seen())
        self.assertEqual(2, life.names.count('Abort'))

    def test_one_that_goes_on_after_its_executor_was_gone_is_cancelled(self):
        life = lives.Life()
        life.machine.adopt(100.0)
        life.tell(events.CancelAsked)
        life.ends(End.RUNNING, End.PAUSED_MIGRATION, job_active=True)
        self.assertNotIn('Abort', life.names)
        life.tell(events.Progressed, statistics=lives.seen(3))
        self.assertEqual(1, life.names.count('Abort'))
        life.returned('cancelled by client')
        while life.machine.outcome is None:
            life.ends(End.RUNNING, End.ABSENT)
        ended = life.machine.outcome
        self.assertEqual(Kind.CANCELLED, ended.outcome)
        self.assertIn('cancelled: test', ended.reason)

    def test_one_that_switches_without_its_executor_is_not_aborted(self):
        for source in (End.PAUSED_MIGRATION, End.POST_COPY):
            life = lives.Life()
            life.machine.adopt(100.0)
            life.ends(source, End.PAUSED_MIGRATION, job_active=True)
            life.tell(events.CancelAsked)
            life.tell(events.Progressed, statistics=lives.seen(3))
            self.assertNotIn('Abort', life.names)

    def test_one_that_came_too_late_is_told(self):
        life = lives.Life()
        life.copying()
        life.tell(events.CancelAsked)
        life.returned()
        life.ends(End.ABSENT, End.RUNNING)
        ended = life.machine.outcome
        self.assertEqual(Kind.COMPLETED, ended.outcome)
        self.assertIn('too late for: cancelled', ended.reason)

    def test_an_abort_without_an_answer_is_not_waited_for(self):
        life = lives.Life()
        life.copying()
        life.tell(events.CancelAsked)
        life.tell(events.Ticked, after=30.0)
        self.assertEqual(State.PRE_COPY, life.machine.state)
        life.tell(events.Ticked, after=30.0)
        self.assertEqual(State.VERIFYING, life.machine.state)


class TestLimits(unittest.TestCase):
    def test_no_policy_passes_the_downtime_that_is_allowed(self):
        life = lives.Life(
            contract.RaiseDowntime('more', 5000), max_downtime_ms=400
        )
        new = life.copying()
        self.assertIn(instructions.SetDowntime(400), new)

    def test_no_policy_starts_post_copy_where_it_is_not_allowed(self):
        life = lives.Life(contract.StartPostCopy('why not'))
        life.copying(iteration=3)
        self.assertNotIn('StartPostCopy', life.names)
        self.assertIn('Abort', life.names)

    def test_no_policy_starts_post_copy_before_one_full_pass(self):
        life = lives.Life(contract.StartPostCopy('now'), post_copy=True)
        life.copying(iteration=1)
        self.assertNotIn('StartPostCopy', life.names)

    def test_post_copy_that_was_refused_leaves_the_way_back(self):
        life = lives.Life(
            contract.CarryOn(''),
            contract.StartPostCopy('now'),
            contract.GiveUp('no way'),
            post_copy=True,
        )
        life.copying()
        life.passed()
        life.tell(events.Refused, instruction='StartPostCopy', text='no')
        self.assertEqual(['no'], life.policy.refused)
        life.passed(3)
        self.assertEqual('Abort', life.names[-1])

    def test_post_copy_without_an_answer_is_asked_for_again(self):
        life = lives.Life(
            contract.CarryOn(''), contract.StartPostCopy(''), post_copy=True
        )
        life.copying()
        life.passed()
        life.tell(events.Ticked, after=60.0)
        self.assertEqual(1, life.names.count('StartPostCopy'))
        life.tell(events.Progressed, statistics=lives.seen(3))
        self.assertEqual(2, life.names.count('StartPostCopy'))
        life.tell(events.Refused, instruction='StartPostCopy', text='is on')
        life.tell(events.CancelAsked)
        self.assertNotIn('Abort', life.names)

    def asked_twice(self, *decisions):
        """Have post-copy asked for again, as the first answer was lost."""
        life = lives.Life(
            contract.CarryOn(''),
            contract.StartPostCopy(''),
            *decisions,
            post_copy=True,
        )
        life.copying()
        life.passed()
        life.tell(events.Progressed, after=60.0, statistics=lives.seen(3))
        self.assertEqual(2, life.names.count('StartPostCopy'))
        return life

    def test_post_copy_that_never_began_goes_back_to_the_policy(self):
        life = self.asked_twice(contract.GiveUp('no way'))
        life.tell(events.Refused, instruction='StartPostCopy', text='no')
        self.assertEqual('LookAtEnds', life.names[-1])
        self.assertEqual([], life.policy.refused)
        self.look_until_followed(life, End.RUNNING)
        self.assertEqual(['no'], life.policy.refused)
        life.tell(events.Progressed, statistics=lives.seen(4))
        self.assertEqual('Abort', life.names[-1])

    def test_post_copy_that_began_after_all_is_never_ended(self):
        life = self.asked_twice(contract.GiveUp('no way'))
        life.tell(events.Refused, instruction='StartPostCopy', text='is on')
        self.look_until_followed(life, End.POST_COPY, End.POST_COPY)
        self.assertEqual(State.POST_COPY, life.machine.state)
        life.tell(events.CancelAsked)
        life.tell(events.Progressed, statistics=lives.seen(4))
        self.assertEqual([], life.policy.refused)
        self.assertNotIn('Abort', life.names)

    def test_post_copy_that_may_still_begin_leaves_no_way_back(self):
        life = self.asked_twice(contract.GiveUp('no way'))
        life.tell(events.Ticked, after=119.0)
        self.assertEqual(State.PRE_COPY, life.machine.state)
        life.tell(events.Ticked)
        self.assertEqual('LookAtEnds', life.names[-1])
        self.look_until_followed(life, End.RUNNING)
        life.tell(events.Progressed, statistics=lives.seen(4))
        life.tell(events.CancelAsked)
        self.assertNotIn('Abort', life.names)
        life.tell(events.Progressed, after=60.0, statistics=lives.seen(5))
        self.assertEqual('StartPostCopy', life.names[-1])

    def look_until_followed(self, life, source, there=End.PAUSED_MIGRATION):
        life.ends_until('Follow', source, there, job_active=True)

    def test_a_switch_to_post_copy_that_hangs_is_looked_into(self):
        life = self.asked_twice()
        life.tell(events.SourceStopped)
        life.tell(events.Ticked, after=60.0)
        self.assertEqual(State.SWITCHOVER, life.machine.state)
        life.tell(events.Ticked)
        self.assertEqual('LookAtEnds', life.names[-1])
        paused = End.PAUSED_MIGRATION
        while life.machine.outcome is None:
            life.tell(events.Progressed, statistics=lives.seen(3))
            life.ends(paused, paused, job_active=True)
        self.assertEqual(Kind.UNKNOWN, life.machine.outcome.outcome)
        self.assertIn('did not end within 60.5 s', life.machine.outcome.reason)
        self.look_until_followed(life, End.POST_COPY, End.POST_COPY)
        self.assertNotIn('Abort', life.names)

    def test_a_switch_that_hangs_is_broken_off(self):
        for kind in (events.Ticked, events.Progressed):
            life = lives.Life()
            life.copying()
            life.tell(events.SourceStopped)
            fields = (
                {'statistics': lives.seen()}
                if kind is events.Progressed
                else {}
            )
            life.tell(kind, after=59.0, **fields)
            self.assertNotIn('Abort', life.names)
            life.tell(kind, after=2.0, **fields)
            self.assertIn('Abort', life.names)

    def test_the_time_limit_ends_what_was_not_started(self):
        life = lives.Life(time_limit_seconds=30.0)
        life.wishes.extend(life.machine.begin(life.now))
        life.tell(events.Ticked, after=29.0)
        self.assertIsNone(life.machine.outcome)
        life.tell(events.Ticked)
        self.assertEqual(Kind.FAILED, life.machine.outcome.outcome)
        self.assertIn('before it was started', life.machine.outcome.reason)

    def test_no_post_copy_before_a_full_pass_whatever_the_policy(self):
        life = lives.Life(
            *(contract.StartPostCopy('now') for _ in range(5)), post_copy=True
        )
        life.checked()
        for second in range(1, 6):
            self.assertNotIn('StartPostCopy', life.names)
            life.tell(
                events.Progressed,
                statistics=lives.seen(
                    1 if second < 5 else 2,
                    transferred_mib=100.0 * second,
                    elapsed_ms=1000.0 * second,
                ),
            )
        self.assertIn('StartPostCopy', life.names)

    def test_no_job_is_aborted_whose_guest_may_run_at_the_destination(self):
        """Whatever rows of the table come to ask for it."""
        life = course.Course(lives.wanted(), lives.Told())
        life.stop = course.Stop(State.CANCELLED, 'cancelled', 100.0)
        life.take_post_copy(101.0)
        self.assertEqual((), ending.abort_if_due(life, 102.0))
        self.assertTrue(life.stop.due)

    def test_what_is_foreseen_keeps_to_another_share_at_once(self):
        life = lives.Life()
        life.checked()
        for second in range(1, 4):
            life.tell(
                events.Progressed,
                statistics=lives.seen(
                    1,
                    transferred_mib=50.0 * second,
                    elapsed_ms=1000.0 * second,
                    remaining_mib=500.0,
                ),
            )
        life.passed(
            2,
            transferred_mib=200.0,
            elapsed_ms=4000.0,
            remaining_mib=4.0,
            bandwidth_mib_s=50.0,
        )
        before = life.reports[-1].expected_downtime_ms
        life.tell(events.BandwidthShared, mib_s=10, after=0.0)
        life.tell(
            events.Progressed,
            after=0.0,
            statistics=lives.seen(
                2,
                transferred_mib=200.0,
                elapsed_ms=4000.0,
                remaining_mib=4.0,
                bandwidth_mib_s=50.0,
            ),
        )
        self.assertGreater(
            life.reports[-1].expected_downtime_ms, before + 50.0
        )

    def test_a_switch_may_take_as_long_as_the_guest_may_stand_still(self):
        life = lives.Life(max_downtime_ms=120_000)
        life.copying()
        life.tell(events.SourceStopped)
        life.tell(events.Progressed, after=119.0, statistics=lives.seen())
        life.tell(events.Ticked, after=60.0)
        self.assertNotIn('Abort', life.names)
        life.tell(events.Ticked, after=2.0)
        self.assertIn('Abort', life.names)

    def test_broken_post_copy_is_never_ended(self):
        life = lives.Life(post_copy=True)
        life.copying()
        life.tell(events.PostCopyBegun)
        life.tell(events.PostCopyBroke)
        life.returned('stream lost')
        while life.machine.outcome is None:
            life.ends(End.POST_COPY_FAILED, End.POST_COPY_FAILED)
            if life.names[-1] == 'Recover':
                life.returned('no route')
        ended = life.machine.outcome
        self.assertEqual(Kind.UNKNOWN, ended.outcome)
        self.assertIn('resume post-copy', ended.reason)
        self.assertNotIn('Abort', life.names)

    def test_time_that_is_up_before_the_job_is_seen_ends_it(self):
        life = lives.Life(time_limit_seconds=10.0)
        life.checked()
        life.tell(events.Ticked, after=5.0)
        self.assertNotIn('Abort', life.names)
        life.tell(events.Ticked, after=5.0)
        self.assertEqual('Abort', life.names[-1])


class TestImpossible(unittest.TestCase):
    def test_it_raises_with_the_story(self):
        life = lives.Life()
        life.copying()
        with self.assertRaises(errors.MigrationError) as caught:
            life.ends(End.RUNNING, End.RUNNING)
        text = str(caught.exception)
        for part in ('m1', 'EndsSeen', "'pre-copy'", 'memory is copied'):
            self.assertIn(part, text)
        self.assertEqual(life.machine.story, caught.exception.story)

    def test_nothing_begins_twice(self):
        life = lives.Life()
        life.checked()
        with self.assertRaises(errors.MigrationError):
            life.machine.begin(101.0)
        with self.assertRaises(errors.MigrationError):
            life.tell(events.Checked, checks=())

    def test_a_long_copy_has_a_story_that_can_be_read(self):
        life = lives.Life()
        life.copying()
        for iteration in range(2, 1000):
            life.passed(iteration)
        self.assertLess(len(life.machine.story), 120)


class TestPublicSurface(unittest.TestCase):
    def test_a_machine_shows_what_it_was_asked(self):
        policy = lives.Told()
        life = machine.Machine(lives.wanted(), policy)
        self.assertEqual('m1', life.request.migration_id)
        self.assertEqual(State.REQUESTED, life.state)
        self.assertEqual(((), None), (life.story, life.outcome))
        self.assertEqual(events.Statistics(), life.statistics)
