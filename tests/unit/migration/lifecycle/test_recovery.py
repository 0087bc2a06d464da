"""What is left of a migration is taken up again, mended, or told of."""

import unittest
from unittest import mock

from kvm_balancer import errors
from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from kvm_balancer.migration.convergence import adaptive
from kvm_balancer.migration.convergence import contract
from kvm_balancer.migration.convergence import nova
from kvm_balancer.migration.convergence import vdsm
from kvm_balancer.migration.lifecycle import course
from kvm_balancer.migration.lifecycle import deciding
from kvm_balancer.migration.lifecycle import machine
from kvm_balancer.migration.lifecycle import recovering
from kvm_balancer.migration.lifecycle import sighting
from kvm_balancer.migration.lifecycle import states
from kvm_balancer.migration.lifecycle import telling
from kvm_balancer.migration.lifecycle import verdicts
from kvm_balancer.model import outcome
from kvm_balancer.model import plan
from tests.unit.migration import lives

Action = verdicts.Action
End = events.EndState
Kind = outcome.OutcomeKind
State = states.State


def all_across():
    """Have all of the memory there when the call comes to nothing."""
    life = lives.Life()
    life.copying()
    life.tell(events.SourceStopped)
    life.tell(events.JobSettled, statistics=lives.seen())
    life.returned('the connection broke')
    return life


def adopted(*decisions, owned=True, told_unknown=False, known=None, **options):
    life = lives.Life(*decisions, **options)
    life.wishes.extend(life.machine.adopt(100.0, owned, told_unknown, known))
    return life


def told(life):
    """Return the outcomes that were told, in their order."""
    return [
        wish.outcome.outcome
        for wish in life.wishes
        if isinstance(wish, instructions.Conclude)
    ]


class FollowTest(unittest.TestCase):
    def test_an_adopted_pre_copy_is_steered_as_if_it_was_never_let_go(self):
        life = adopted(
            contract.RaiseDowntime('more', 400),
            contract.StartPostCopy('now'),
            post_copy=True,
        )
        life.ends(End.RUNNING, End.PAUSED_MIGRATION, job_active=True)
        self.assertIn('Follow', life.names)
        self.assertEqual(State.PREPARING, life.machine.state)
        life.tell(events.BandwidthShared, mib_s=7)
        life.tell(events.Progressed, statistics=lives.seen(5))
        self.assertEqual(State.PRE_COPY, life.machine.state)
        self.assertIn(instructions.SetDowntime(300), life.wishes)
        self.assertIn(instructions.SetDowntime(400), life.wishes)
        self.assertIn(instructions.SetBandwidth(7), life.wishes)
        life.tell(
            events.Progressed,
            statistics=lives.seen(6, elapsed_ms=5000.0),
        )
        self.assertIn('StartPostCopy', life.names)
        life.tell(events.PostCopyBegun)
        life.tell(events.JobSettled, statistics=lives.seen(6))
        life.returned()
        life.ends(End.ABSENT, End.RUNNING)
        self.assertEqual([Kind.COMPLETED], told(life))
        self.assertNotIn('Start', life.names)

    def test_its_time_limit_goes_on(self):
        life = adopted(contract.GiveUp('it takes too long'))
        life.ends(End.RUNNING, End.PAUSED_MIGRATION, job_active=True)
        life.tell(events.Progressed, statistics=lives.seen(5))
        self.assertEqual('Abort', life.names[-1])

    def follow(self, policy, back_at, ticks=False, **options):
        """Take a busy guest of 4 GB over 100 MB/s up, and see what comes.

        :returns: seconds since it was accepted, and what was done then
        """
        wanted = lives.wanted(auto_converge=False, **options)
        life = machine.Machine(wanted, policy)
        life.adopt(back_at)
        waits = events.End(End.PAUSED_MIGRATION, True)
        at = back_at + 0.1
        life.handle(
            events.EndsSeen(
                at=at,
                cause='look',
                source=events.End(End.RUNNING, True),
                destination=waits,
            )
        )
        if ticks:
            life.handle(events.Ticked(at=at, cause='clock'))
        while at < 2000.0:
            at += 0.5
            sent = 100.0 * (at - 102.0)
            passes, done = divmod(sent, 4000.0)
            kind = events.PassEnded if done < 50.0 else events.Progressed
            seen = events.Statistics(
                elapsed_ms=(at - 102.0) * 1000.0,
                total_mib=4000.0,
                transferred_mib=sent,
                remaining_mib=4000.0 - done,
                bandwidth_mib_s=100.0,
                dirty_rate_mib_s=200.0,
                iteration=1 + int(passes),
            )
            for wish in life.handle(
                kind(at=at, cause='test', statistics=seen)
            ):
                if isinstance(
                    wish, (instructions.Abort, instructions.StartPostCopy)
                ):
                    return at - 100.0, type(wish).__name__
        return None

    def test_its_time_counts_from_when_it_was_accepted(self):
        for policy in (adaptive.Adaptive, vdsm.Vdsm, nova.Nova):
            at, done = self.follow(policy(), 180.0, time_limit_seconds=100.0)
            self.assertEqual('Abort', done)
            self.assertAlmostEqual(100.0, at, delta=2.0)

    def test_where_disks_were_copied_it_counts_from_when_it_is_followed(self):
        """How long they took nobody knows, and they have their own limit."""
        for policy in (adaptive.Adaptive, vdsm.Vdsm, nova.Nova):
            at, done = self.follow(
                policy(), 180.0, time_limit_seconds=100.0, copy_storage=True
            )
            self.assertEqual('Abort', done)
            self.assertAlmostEqual(180.0, at, delta=2.0)

    def test_time_that_is_over_ends_it_by_the_means_that_are_allowed(self):
        for ticks in (False, True):
            at, done = self.follow(
                adaptive.Adaptive(),
                400.0,
                ticks,
                time_limit_seconds=100.0,
                post_copy=True,
                post_copy_patience=1000.0,
            )
            self.assertEqual('StartPostCopy', done)
            self.assertAlmostEqual(300.0, at, delta=5.0)

    def test_the_limit_of_its_disks_goes_on(self):
        life = adopted(copy_storage=True, storage_time_limit_seconds=100.0)
        life.now = 150.0
        life.ends(End.RUNNING, End.PAUSED_MIGRATION, job_active=True)
        disks = events.Statistics(disk_total_mib=9.0, disk_remaining_mib=8.0)
        life.tell(events.Progressed, statistics=disks)
        life.tell(events.Progressed, after=40.0, statistics=disks)
        self.assertNotIn('Abort', life.names)
        life.tell(events.Progressed, after=10.0, statistics=disks)
        self.assertIn('Abort', life.names)

    def test_a_switch_or_post_copy_is_followed_where_it_stands(self):
        for source, there, state in (
            (End.PAUSED_MIGRATION, End.PAUSED_MIGRATION, State.SWITCHOVER),
            (End.POST_COPY, End.POST_COPY, State.POST_COPY),
            # its libvirt has lost that of the source, and no memory
            (End.POST_COPY, End.POST_COPY_FAILED, State.POST_COPY),
        ):
            life = adopted()
            life.ends(source, there, job_active=True)
            self.assertEqual(state, life.machine.state)
            self.assertEqual('Follow', life.names[-1])

    def test_a_call_that_lost_sight_of_its_job_is_followed_at_once(self):
        life = lives.Life()
        life.copying()
        life.returned('connection lost', events_lost=True)
        life.ends(End.UNREACHABLE, End.PAUSED_MIGRATION)
        life.ends(End.RUNNING, End.PAUSED_MIGRATION, job_active=True)
        self.assertEqual('Follow', life.names[-1])
        self.assertEqual(1, life.names.count('Start'))

    def test_a_job_that_only_settles_is_not_followed(self):
        life = lives.Life()
        life.copying()
        life.returned()
        life.ends(End.RUNNING, End.PAUSED_MIGRATION, job_active=True)
        life.ends(End.ABSENT, End.RUNNING)
        self.assertNotIn('Follow', life.names)
        self.assertEqual([Kind.COMPLETED], told(life))

    def test_a_job_that_is_not_seen_is_followed_once(self):
        life = adopted()
        while life.machine.state is not State.UNKNOWN:
            life.ends(End.RUNNING, End.PAUSED_MIGRATION, job_active=True)
            if life.machine.state is State.PREPARING:
                life.returned('there is no job')
        self.assertEqual(1, life.names.count('Follow'))

    def test_a_job_that_does_not_hear_an_abort_ends_as_unknown(self):
        life = adopted(contract.GiveUp('enough'))
        for _ in range(100):
            if life.machine.outcome:
                break
            if life.machine.state is State.VERIFYING:
                life.ends(End.RUNNING, End.PAUSED_MIGRATION, job_active=True)
            else:
                life.tell(
                    events.Progressed, after=30.0, statistics=lives.seen(5)
                )
                life.tell(events.Ticked, after=30.0)
        self.assertEqual([Kind.UNKNOWN], told(life))


class MendTest(unittest.TestCase):
    def mend(self, source, destination, life=None, **fields):
        life = life or adopted()
        life.ends_until('Mend', source, destination, **fields)
        (wish,) = [
            one for one in life.wishes if isinstance(one, instructions.Mend)
        ]
        self.assertEqual(
            (source, destination), (wish.source, wish.destination)
        )
        self.assertEqual([], told(life))
        return life, wish.action

    def test_a_copy_that_was_left_is_mended_and_the_outcome_is_what_is(self):
        table = (
            (
                (End.PAUSED_MIGRATION, End.RUNNING),
                Action.DESTROY_SOURCE,
                (End.ABSENT, End.RUNNING),
                Kind.COMPLETED,
            ),
            (
                (End.SHUT_OFF, End.PAUSED),
                Action.DESTROY_SOURCE,
                (End.ABSENT, End.PAUSED),
                Kind.COMPLETED,
            ),
            (
                (End.RUNNING, End.PAUSED_MIGRATION),
                Action.DESTROY_DESTINATION,
                (End.RUNNING, End.ABSENT),
                Kind.FAILED,
            ),
            (
                (End.SHUT_OFF, End.RUNNING),
                Action.DESTROY_SOURCE,
                (End.ABSENT, End.RUNNING),
                Kind.COMPLETED,
            ),
        )
        for before, action, after, kind in table:
            with self.subTest(before=before):
                life, done = self.mend(*before)
                self.assertEqual(action, done)
                life.tell(events.Mended, text='it was done')
                life.ends(*after)
                self.assertEqual([kind], told(life))
                self.assertIn('it was done', life.machine.outcome.reason)

    def test_a_definition_that_the_destination_never_started_is_removed(self):
        life = lives.Life()
        life.copying()
        life.returned('the destination was lost')
        refused = lives.Life()
        refused.copying()
        refused.tell(events.SourceStopped)
        refused.returned('no space left on device', after=5.0)
        for one, unstarted in ((life, False), (refused, True)):
            one, action = self.mend(
                End.RUNNING, End.SHUT_OFF, one, unstarted=unstarted
            )
            self.assertEqual(Action.DESTROY_DESTINATION, action)
            one.tell(events.Mended, text='it was removed')
            one.ends(End.RUNNING, End.ABSENT)
            self.assertEqual([Kind.FAILED], told(one))

    def test_a_definition_that_comes_there_tells_that_it_was_started(self):
        """However soon it is seen, and whether it was seen to wait."""
        soon, back = lives.Life(), adopted()
        soon.copying()
        soon.tell(events.SourceStopped)
        soon.returned('lost', after=0.1)
        for _ in range(3):
            back.ends(End.PAUSED_MIGRATION, End.PAUSED_MIGRATION, after=0.1)
        for life in (soon, back):
            for _ in range(60):
                life.ends(End.PAUSED_MIGRATION, End.SHUT_OFF, after=0.1)
            for _ in range(60):
                life.ends(End.RUNNING, End.SHUT_OFF, after=0.1)
            for _ in range(60):
                life.ends(End.SHUT_OFF, End.SHUT_OFF, after=0.1)
            self.assertNotIn('Mend', life.names)
            self.assertEqual([Kind.UNKNOWN] * 3, told(life))

    def test_a_copy_that_none_listens_to_is_looked_at_more_closely(self):
        late = sighting.WATCHED_SECONDS + 1.0
        self.assertLess(late, sighting.AWAITED_SECONDS)
        heard, back = lives.Life(), adopted()
        heard.copying()
        heard.tell(events.SourceStopped)
        heard.returned('lost', after=0.1)
        for life, action in ((heard, [Action.RESUME_SOURCE]), (back, [])):
            life.ends(End.UNREACHABLE, End.PAUSED_MIGRATION)
            for _ in range(60):
                if 'Mend' in life.names:
                    break
                life.ends(End.PAUSED_MIGRATION, End.ABSENT, after=late)
            self.assertEqual(
                action,
                [
                    one.action
                    for one in life.wishes
                    if isinstance(one, instructions.Mend)
                ],
            )

    def test_a_definition_that_it_may_have_started_is_left_to_a_person(self):
        """libvirt lets the source run again when the destination is lost."""
        lost = lives.Life()
        lost.copying()
        lost.tell(events.SourceStopped)
        lost.returned('lost', after=5.0)
        lost.ends(End.RUNNING, End.UNREACHABLE)
        for life in (lost, adopted()):
            for _ in range(60):
                life.ends(End.RUNNING, End.SHUT_OFF)
            self.assertNotIn('Mend', life.names)
            self.assertEqual([Kind.UNKNOWN], told(life))
            self.assertIn('may have run on both', life.machine.outcome.reason)

    def test_what_is_mended_is_held_by_no_job_that_was_not_seen(self):
        for had_job in (False, True):
            life = adopted()
            life.ends_until(
                'Mend', End.SHUT_OFF, End.RUNNING, job_active=had_job
            )
            (wish,) = (
                one
                for one in life.wishes
                if isinstance(one, instructions.Mend)
            )
            ends = [
                [events.End(state), events.End(state, job_active=True)]
                for state in (End.SHUT_OFF, End.RUNNING)
            ]
            self.assertEqual(
                ['', 'destination', '' if had_job else 'source'],
                [
                    wish.job_since(ends[0][0], ends[1][0]),
                    wish.job_since(ends[0][0], ends[1][1]),
                    wish.job_since(ends[0][1], ends[1][0]),
                ],
            )

    def test_two_copies_that_run_are_suspended_whatever_job_begins(self):
        life = adopted()
        (wish, *_) = life.ends_until('Mend', End.RUNNING, End.RUNNING)
        busy = events.End(End.RUNNING, job_active=True)
        self.assertEqual('', wish.job_since(busy, busy))

    def test_a_stopped_source_goes_on_where_the_destination_was_seen(self):
        life = lives.Life()
        life.copying()
        life.tell(events.SourceStopped)
        life.returned('the source was lost', events_lost=True)
        life, action = self.mend(End.PAUSED_MIGRATION, End.ABSENT, life)
        self.assertEqual(Action.RESUME_SOURCE, action)
        life.tell(events.Mended, text='it was resumed')
        life.ends(End.RUNNING, End.ABSENT)
        self.assertEqual([Kind.FAILED], told(life))

    def test_a_copy_that_was_removed_did_not_run_since_the_stop_was_told(self):
        """The word of the stop may come late, while that copy is removed."""
        life = all_across()
        life, action = self.mend(
            End.PAUSED_MIGRATION, End.PAUSED_MIGRATION, life
        )
        self.assertEqual(Action.DESTROY_DESTINATION, action)
        life.tell(events.SourceStopped)
        life.tell(events.Mended, after=5.0, text='it was removed')
        life.wishes.clear()
        _, action = self.mend(End.PAUSED_MIGRATION, End.ABSENT, life)
        self.assertEqual(Action.RESUME_SOURCE, action)

    def test_a_stopped_source_stays_so_where_it_was_not(self):
        cut = lives.Life()
        cut.copying()
        cut.tell(events.SourceStopped)
        cut.returned('lost')
        cut.ends(End.PAUSED_MIGRATION, End.UNREACHABLE)
        for life in (cut, adopted()):
            for there in (End.ABSENT, End.SHUT_OFF):
                for _ in range(60):
                    life.ends(End.PAUSED_MIGRATION, there)
            self.assertNotIn('Mend', life.names)
            self.assertEqual([Kind.UNKNOWN], told(life))
            self.assertIn('out of sight', life.machine.outcome.reason)

    def test_a_stopped_source_stays_so_where_it_was_looked_at_late(self):
        """Between the stop and the look it may have run there, and ended."""
        stopped, silent, awaited = lives.Life(), lives.Life(), lives.Life()
        for life in (stopped, silent, awaited):
            life.copying()
        stopped.tell(events.SourceStopped)
        stopped.returned('keepalive', after=30.0, events_lost=True)
        # nobody told of its stop
        silent.returned('keepalive', after=30.0, events_lost=True)
        # it was seen to wait, and then not looked at for long
        awaited.tell(events.SourceStopped)
        awaited.returned('lost', after=0.1, events_lost=True)
        awaited.ends(End.UNREACHABLE, End.PAUSED_MIGRATION, after=0.1)
        awaited.ends(End.PAUSED_MIGRATION, End.ABSENT, after=30.0)
        for life in (stopped, silent, awaited):
            for there in (End.ABSENT, End.SHUT_OFF) * 30:
                life.ends(End.PAUSED_MIGRATION, there)
            for _ in range(60):
                life.ends(End.PAUSED_MIGRATION, End.ABSENT)
            self.assertNotIn('Mend', life.names)
            self.assertEqual([Kind.UNKNOWN], told(life))
            self.assertIn('out of sight', life.machine.outcome.reason)

    def test_a_stopped_source_stays_so_where_the_other_fell_silent(self):
        """Whatever was seen there right after the stop."""
        for first in (End.PAUSED_MIGRATION, End.ABSENT, End.SHUT_OFF):
            life = lives.Life()
            life.copying()
            life.tell(events.SourceStopped)
            life.returned('lost', after=0.1)
            life.ends(End.PAUSED_MIGRATION, first, after=0.1)
            for _ in range(5):
                life.ends(End.PAUSED_MIGRATION, End.UNREACHABLE, after=1.0)
            for _ in range(60):
                life.ends(End.PAUSED_MIGRATION, End.ABSENT)
            with self.subTest(first):
                self.assertNotIn('Mend', life.names)
                self.assertEqual([Kind.UNKNOWN], told(life))
                self.assertIn('out of sight', life.machine.outcome.reason)

    def test_what_was_seen_before_the_stop_says_nothing_of_after_it(self):
        life = adopted()
        life.ends(End.RUNNING, End.PAUSED_MIGRATION, job_active=True)
        life.tell(events.Progressed, statistics=lives.seen())
        life.tell(events.SourceStopped)
        life.returned('lost', after=0.1)
        late = sighting.WATCHED_SECONDS + 1.0
        self.assertLess(late + 2.1, sighting.AWAITED_SECONDS)
        for _ in range(60):
            life.ends(End.PAUSED_MIGRATION, End.ABSENT, after=late)
        self.assertNotIn('Mend', life.names)
        self.assertEqual([Kind.UNKNOWN], told(life))
        self.assertIn('out of sight', life.machine.outcome.reason)

    def test_a_stopped_source_goes_on_where_the_other_waits_however_late(self):
        life = lives.Life()
        life.copying()
        life.tell(events.SourceStopped)
        life.returned('keepalive', after=30.0, events_lost=True)
        life.ends(End.UNREACHABLE, End.PAUSED_MIGRATION)
        life, action = self.mend(End.PAUSED_MIGRATION, End.ABSENT, life)
        self.assertEqual(Action.RESUME_SOURCE, action)

    def test_a_source_stays_stopped_where_the_guest_was_heard_to_run(self):
        life = lives.Life()
        life.copying()
        life.tell(events.SourceStopped)
        life.tell(events.Arrived, after=0.1)
        life.returned('lost', after=0.1, events_lost=True)
        for _ in range(60):
            life.ends(End.PAUSED_MIGRATION, End.ABSENT, after=0.1)
        self.assertTrue(life.machine.known.ran_there)
        self.assertNotIn('Mend', life.names)
        self.assertIn('never resume', life.machine.outcome.reason)

    def test_a_copy_that_ran_there_and_is_to_go_on_is_left_alone(self):
        """A person moved it on, and that migration broke."""
        life = lives.Life()
        life.copying()
        life.tell(events.SourceStopped)
        life.returned('lost', events_lost=True)
        life.ends(End.UNREACHABLE, End.RUNNING)
        for here in (End.PAUSED_MIGRATION, End.RUNNING):
            for _ in range(60):
                life.ends(here, End.PAUSED_MIGRATION)
        for _ in range(60):
            life.ends(End.PAUSED_MIGRATION, End.ABSENT)
        self.assertNotIn('Mend', life.names)
        self.assertEqual([Kind.UNKNOWN] * 3, told(life))

    def test_one_that_waits_for_the_next_host_may_have_run_out_of_sight(self):
        """It was seen to run once: that it waits again clears nothing."""
        waits = events.End(End.PAUSED_MIGRATION)
        for ran_there in (False, True):
            life = course.Course(lives.wanted(), lives.Told())
            life.after.unwatched, life.after.ran_there = True, ran_there
            sighting.take(
                life,
                events.EndsSeen(
                    at=1.0, cause='test', source=waits, destination=waits
                ),
            )
            self.assertIs(ran_there, life.after.unwatched)

    def test_a_run_on_both_ends_that_is_over_when_it_is_seen_is_told(self):
        for sights in (
            ((End.RUNNING, End.RUNNING),) * 2,
            ((End.RUNNING, End.UNREACHABLE),) * 60,
        ):
            life = lives.Life()
            life.copying()
            life.tell(events.SourceStopped)
            life.tell(events.Arrived, after=0.1)
            life.returned('client socket is closed', after=30.0)
            for ends in sights:
                life.ends(*ends)
            before = told(life)
            for _ in range(60):
                life.ends(End.RUNNING, End.ABSENT)
            self.assertEqual([*before, Kind.UNKNOWN], told(life))
            self.assertIn('check its disks', life.machine.outcome.reason)
            self.assertNotIn('Unmark', life.names)
            # a person can end that
            life.tell(events.SettledByHand, completed=False)
            self.assertEqual(Kind.FAILED, told(life)[-1])

    def went_on(self, known=None):
        """Let it run there, and the source go on without word of it."""
        if known is not None:
            return adopted(known=known)
        life = lives.Life()
        life.copying()
        life.tell(events.SourceStopped)
        life.tell(events.Arrived)
        life.returned('client socket is closed')
        for _ in range(3):
            life.ends(End.RUNNING, End.UNREACHABLE)
        self.assertTrue(life.machine.known.ran_back)
        return life

    def test_what_a_person_shuts_off_after_it_ran_on_both_is_left(self):
        known = self.went_on().machine.known
        for ends, kind, words in (
            ((End.SHUT_OFF, End.SHUT_OFF), Kind.UNKNOWN, 'is not known'),
            ((End.ABSENT, End.SHUT_OFF), Kind.UNKNOWN, 'is not known'),
            ((End.SHUT_OFF, End.ABSENT), Kind.FAILED, 'it ran on both ends'),
            ((End.ABSENT, End.ABSENT), Kind.UNKNOWN, 'neither end'),
            ((End.SHUT_OFF, End.PAUSED_MIGRATION), Kind.UNKNOWN, 'older'),
        ):
            for earlier in (None, known):
                life = self.went_on(earlier)
                while kind not in told(life) or (
                    words not in life.machine.outcome.reason
                ):
                    life.ends(*ends)
                    self.assertLess(len(life.wishes), 200)
                with self.subTest(ends=ends, earlier=earlier):
                    self.assertNotIn('Mend', life.names)
                    self.assertNotIn(
                        'on the destination are the latest',
                        life.machine.outcome.reason,
                    )

    def test_two_that_were_suspended_and_shut_off_are_left(self):
        life = lives.Life()
        life.copying()
        life.tell(events.SourceStopped)
        life.returned('client socket is closed')
        life.ends_until('Mend', End.RUNNING, End.RUNNING)
        life.tell(events.Mended, text='both were suspended')
        for ends in (End.PAUSED, End.SHUT_OFF):
            for _ in range(60):
                life.ends(ends, ends)
        self.assertEqual(1, life.names.count('Mend'))
        self.assertEqual({Kind.UNKNOWN}, set(told(life)))
        self.assertIn('ran last is not known', life.machine.outcome.reason)

    def test_a_copy_that_a_person_lets_run_after_that_is_believed(self):
        """And that it ran on both is told with it."""
        life = self.went_on()
        life.ends_until('Mend', End.SHUT_OFF, End.RUNNING)
        life.tell(events.Mended, text='the definition was removed')
        life.ends(End.ABSENT, End.RUNNING)
        self.assertEqual(Kind.COMPLETED, told(life)[-1])
        self.assertIn('it ran on both ends', life.machine.outcome.reason)

    def test_a_source_that_goes_on_outdates_what_waits_there(self):
        life = all_across()
        life.ends(End.RUNNING, End.UNREACHABLE)
        for _ in range(60):
            life.ends(End.SHUT_OFF, End.PAUSED_MIGRATION)
        self.assertNotIn('Mend', life.names)
        self.assertIn('may be older', life.machine.outcome.reason)

    def test_a_source_whose_job_still_stands_did_not_go_on(self):
        life = all_across()
        life.ends(End.RUNNING, End.UNREACHABLE, job_active=True)
        self.assertFalse(life.machine.known.ran_back)

    def test_what_removed_the_copy_knows_that_it_did_not_run(self):
        life = lives.Life()
        life.copying()
        life.tell(events.SourceStopped)
        life.returned('lost', events_lost=True)
        life, _ = self.mend(End.PAUSED_MIGRATION, End.PAUSED_MIGRATION, life)
        life.tell(events.Mended, after=30.0, text='removed')
        life.ends_until('Mend', End.PAUSED_MIGRATION, End.ABSENT)
        self.assertEqual(Action.RESUME_SOURCE, life.wishes[-2].action)

    def test_what_an_earlier_run_saw_is_not_forgotten(self):
        life = lives.Life()
        life.copying()
        life.tell(events.SourceStopped)
        life.returned('lost', events_lost=True)
        life.ends(End.UNREACHABLE, End.RUNNING)
        self.assertTrue(life.machine.known.ran_there)
        for there in (End.ABSENT, End.SHUT_OFF):
            after = adopted(known=life.machine.known)
            after.ends(End.PAUSED_MIGRATION, End.PAUSED_MIGRATION)
            for _ in range(60):
                after.ends(End.PAUSED_MIGRATION, there)
            self.assertNotIn('Mend', after.names)
            self.assertIn('never resume', after.machine.outcome.reason)

    def test_a_guest_stopped_on_both_ends_goes_back(self):
        life, action = self.mend(End.PAUSED_MIGRATION, End.PAUSED_MIGRATION)
        self.assertEqual(Action.DESTROY_DESTINATION, action)
        life.tell(events.Mended, text='removed')
        # As late as looks are apart by then: nothing was there to run since.
        late = telling.LONGEST_DELAY_SECONDS
        self.assertGreater(late, sighting.WATCHED_SECONDS)
        life.ends_until('Mend', End.PAUSED_MIGRATION, End.ABSENT, after=late)
        self.assertEqual(Action.RESUME_SOURCE, life.wishes[-2].action)

    def test_looks_that_take_their_time_are_not_waited_for_without_end(self):
        """A source whose QEMU hangs says nothing for half a minute."""
        life = lives.Life()
        life.copying()
        life.tell(events.SourceStopped)
        life.returned('lost')
        for number, after in enumerate((0.0, 1.0, 35.0, 39.5), 1):
            life.ends(End.PAUSED_MIGRATION, End.UNREACHABLE, after=after)
            self.assertEqual(
                [Kind.UNKNOWN] if number > 3 else [], told(life), number
            )

    def test_one_with_disks_that_never_left_is_over_as_soon(self):
        life = lives.Life(copy_storage=True)
        life.wishes.extend(life.machine.begin(life.now))
        life.tell(events.Checked, checks=(), disks=('vda',), disk_mib=(9.0,))
        life.reserved(lives.RESERVED)
        life.tell(events.Progressed, statistics=lives.seen())
        life.returned('lost')
        for number in range(1, 4):
            life.ends(End.RUNNING, End.UNREACHABLE, after=40.0)
            self.assertEqual([Kind.FAILED] if number > 2 else [], told(life))

    def test_what_is_done_something_for_is_seen_often_however_slowly(self):
        life = adopted()
        life.ends(End.PAUSED_MIGRATION, End.RUNNING, after=100.0)
        for _ in range(4):
            life.ends(End.PAUSED_MIGRATION, End.RUNNING, after=100.0)
        self.assertNotIn('Mend', life.names)

    def test_there_is_one_look_at_a_time(self):
        """Each asks for the next: two of them would go on for ever."""
        blind = End.PAUSED_MIGRATION, End.UNREACHABLE
        life = lives.Life()
        life.copying()
        life.tell(events.SourceStopped)
        life.returned('lost')
        stumbled = events.Ticked(at=life.now, cause='test')
        for _ in range(3):
            life.wishes.extend(life.machine.doubt(life.now, stumbled))
        self.assertEqual(1, life.names.count('LookAtEnds'))
        for _ in range(30):
            life.ends(*blind)
        self.assertEqual(31, life.names.count('LookAtEnds'))
        # An answer that was stumbled over is one, and so is none at all.
        life.machine.handle(
            events.EndsSeen(
                at=life.now,
                cause='test',
                source=events.End(End.UNREACHABLE),
                destination=events.End(End.UNREACHABLE),
            )
        )
        refused = instructions.LookAtEnds.__name__
        life.tell(events.Refused, instruction=refused, text='a defect')
        self.assertEqual(32, life.names.count('LookAtEnds'))

    def test_a_look_that_nobody_waits_for_any_more_is_one_all_the_same(self):
        """Else none would ever follow."""
        life = lives.Life()
        life.copying()
        life.machine._life.after.look(0.0)
        with self.assertRaises(errors.MigrationError):
            life.ends(End.RUNNING, End.ABSENT)
        wishes = life.machine._life.after.look(0.0)
        self.assertEqual(1, len(wishes))

    def test_a_look_that_a_defect_has_lost_is_asked_for_anew(self):
        life = lives.Life()
        life.copying()
        life.tell(events.SourceStopped)
        returned = events.CallReturned(
            at=life.now, cause='test', error='client socket is closed'
        )
        with (
            mock.patch.object(
                course.Course, 'report', autospec=True, side_effect=ValueError
            ),
            self.assertRaises(ValueError),
        ):
            life.machine.handle(returned)
        wishes = life.machine.doubt(life.now, returned)
        self.assertIn('LookAtEnds', [type(one).__name__ for one in wishes])

    def test_a_late_word_of_a_mend_asks_for_no_second_look(self):
        life, _ = self.mend(End.PAUSED_MIGRATION, End.RUNNING)
        before = life.names.count('LookAtEnds')
        life.tell(events.Ticked, after=course.CALL_SECONDS)
        life.tell(events.Mended, text='removed after all')
        self.assertEqual(before + 1, life.names.count('LookAtEnds'))

    def test_all_memory_that_is_across_is_let_run_there(self):
        life = all_across()
        life, action = self.mend(End.ABSENT, End.PAUSED_MIGRATION, life)
        self.assertEqual(Action.RESUME_DESTINATION, action)

    def test_a_source_that_says_so_is_believed_that_all_is_across(self):
        life = adopted()
        life.tell(
            events.EndsSeen,
            source=events.End(End.SHUT_OFF, migrated=True),
            destination=events.End(End.UNREACHABLE),
        )
        life, action = self.mend(End.ABSENT, End.PAUSED_MIGRATION, life)
        self.assertEqual(Action.RESUME_DESTINATION, action)

    def test_a_stopped_source_stays_so_after_a_defect(self):
        """What the destination had meanwhile, nobody took in."""
        life = lives.Life()
        life.copying()
        life.tell(events.Stumbled, text='it stumbled')
        for _ in range(60):
            life.ends(End.PAUSED_MIGRATION, End.ABSENT)
        self.assertNotIn('Mend', life.names)

    def test_a_guest_that_ran_there_is_not_resumed_here(self):
        life = adopted()
        life.ends(End.PAUSED_MIGRATION, End.RUNNING)
        while life.machine.outcome is None:
            life.ends(End.PAUSED_MIGRATION, End.ABSENT)
        self.assertNotIn('Mend', life.names)
        self.assertIn('never resume the source', life.machine.outcome.reason)

    def test_of_two_that_are_off_the_source_has_to_say_that_it_let_go(self):
        """Out of sight, it may have run on as well, and ended last."""
        for migrated, kind in ((False, Kind.UNKNOWN), (True, Kind.COMPLETED)):
            life = adopted()
            life.ends(End.UNREACHABLE, End.RUNNING)
            while kind not in told(life):
                self.assertLess(len(life.wishes), 200)
                life.tell(
                    events.EndsSeen,
                    source=events.End(End.SHUT_OFF, migrated=migrated),
                    destination=events.End(End.SHUT_OFF),
                )
                if 'Mend' in life.names and life.machine.outcome is None:
                    life.tell(events.Mended, text='removed')
                    life.ends(End.ABSENT, End.SHUT_OFF)
            with self.subTest(migrated=migrated):
                self.assertIs(migrated, 'Mend' in life.names)

    def test_what_is_refused_is_tried_thrice_and_told(self):
        life = adopted()
        for _ in range(3):
            life.ends_until('Mend', End.PAUSED_MIGRATION, End.RUNNING)
            life.tell(events.Refused, instruction='Mend', text='not marked')
        while life.machine.outcome is None:
            life.ends(End.PAUSED_MIGRATION, End.RUNNING)
        self.assertEqual(3, life.names.count('Mend'))
        self.assertIn('not marked', life.machine.outcome.reason)
        self.assertIn('never resume the source', life.machine.outcome.reason)

    def test_what_is_settled_is_settled_without_the_mend(self):
        life = adopted()
        life.ends_until('Mend', End.SHUT_OFF, End.RUNNING)
        life.tell(events.Refused, instruction='Mend', text='not marked')
        life.ends(End.SHUT_OFF, End.RUNNING)
        self.assertEqual([Kind.COMPLETED], told(life))
        self.assertIn('never start it there', life.machine.outcome.reason)

    def test_a_driver_that_does_not_answer_is_not_waited_for(self):
        life, _ = self.mend(End.PAUSED_MIGRATION, End.RUNNING)
        self.assertEqual((), life.tell(events.Ticked))
        self.assertIn(
            instructions.LookAtEnds,
            [type(one) for one in life.tell(events.Ticked, after=60.0)],
        )

    def test_a_look_that_does_not_come_back_is_told_once(self):
        """It is taken in when it comes."""
        life = adopted()
        life.tell(events.Ticked, after=deciding.LOOK_SECONDS - 1.0)
        self.assertEqual([], told(life))
        for _ in range(3):
            life.tell(events.Ticked, after=deciding.LOOK_SECONDS)
        self.assertEqual([Kind.UNKNOWN], told(life))
        self.assertIn('QEMU hangs', life.machine.outcome.reason)
        self.assertEqual(1, life.names.count('LookAtEnds'))
        while life.machine.state is State.UNKNOWN:
            life.ends(End.RUNNING, End.ABSENT)
        self.assertEqual([Kind.UNKNOWN, Kind.FAILED], told(life))

    def test_looks_that_come_back_are_no_silence(self):
        life = adopted()
        for _ in range(deciding.SLOW_LOOKS - 1):
            life.tell(events.Ticked, after=deciding.LOOK_SECONDS - 1.0)
            life.ends(End.UNREACHABLE, End.ABSENT)
        self.assertEqual([], told(life))

    def test_two_that_run_are_suspended_and_a_person_is_called(self):
        life, action = self.mend(End.RUNNING, End.RUNNING)
        self.assertEqual(Action.SUSPEND_BOTH, action)
        life.tell(events.Mended, text='both were suspended')
        self.assertEqual([Kind.UNKNOWN], told(life))
        self.assertIn('ran on both ends', life.machine.outcome.reason)
        for completed in (True, False):
            self.assertEqual('', life.machine.objection(completed))
        for _ in range(20):
            life.ends(End.PAUSED, End.PAUSED)
        life.ends(End.ABSENT, End.RUNNING)
        self.assertEqual([Kind.UNKNOWN, Kind.COMPLETED], told(life))

    def test_what_is_in_no_journal_is_told_and_left_alone(self):
        for ends in (
            (End.PAUSED_MIGRATION, End.RUNNING),
            (End.POST_COPY_FAILED, End.POST_COPY_FAILED),
            (End.RUNNING, End.RUNNING),
        ):
            life = adopted(owned=False)
            life.ends(*ends)
            self.assertEqual([Kind.UNKNOWN], told(life))
            self.assertIn('in no journal', life.machine.outcome.reason)
            for _ in range(50):
                life.ends(*ends, job_active=True)
            life.tell(events.CancelAsked)
            self.assertEqual({'LookAtEnds', 'Conclude'}, set(life.names), ends)
            life.ends(End.ABSENT, End.RUNNING)
            self.assertEqual(Kind.COMPLETED, told(life)[-1])

    def test_images_are_removed_of_what_is_in_the_journal_alone(self):
        for owned in (True, False):
            life = adopted(owned=owned)
            life.ends_until('Unmark', End.RUNNING, End.ABSENT)
            (wish,) = (
                one
                for one in life.wishes
                if isinstance(one, instructions.Unmark)
            )
            self.assertIs(owned, wish.clean)


class RecoverTest(unittest.TestCase):
    def broken(self):
        life = lives.Life(post_copy=True)
        life.copying()
        life.tell(events.PostCopyBegun)
        life.tell(events.PostCopyBroke)
        life.returned('stream lost')
        return life

    def test_it_is_recovered_by_itself(self):
        life = self.broken()
        life.ends_until('Recover', End.POST_COPY_FAILED, End.POST_COPY_FAILED)
        self.assertEqual(State.RECOVERING, life.machine.state)
        life.tell(events.PostCopyBegun)
        self.assertEqual(State.POST_COPY, life.machine.state)
        life.tell(events.JobSettled, statistics=lives.seen())
        life.returned()
        life.ends(End.ABSENT, End.RUNNING)
        ended = life.machine.outcome
        self.assertEqual(
            (Kind.COMPLETED, plan.Mode.POST_COPY), (ended.outcome, ended.mode)
        )

    def test_also_by_another_run(self):
        life = adopted()
        life.ends_until(
            'Recover',
            End.POST_COPY_FAILED,
            End.POST_COPY_FAILED,
            job_active=True,
        )
        life.tell(events.PostCopyBegun)
        life.returned()
        life.ends(End.ABSENT, End.RUNNING)
        self.assertEqual([Kind.COMPLETED], told(life))
        self.assertEqual(plan.Mode.POST_COPY, life.machine.outcome.mode)

    def test_one_that_fails_is_tried_again_after_longer_pauses(self):
        life = self.broken()
        pauses = []
        for _ in range(12):
            life.ends_until(
                'Recover', End.POST_COPY_FAILED, End.POST_COPY_FAILED
            )
            for wish in life.returned('no route to host'):
                if isinstance(wish, instructions.LookAtEnds):
                    pauses.append(wish.delay_seconds)
        self.assertEqual([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0], pauses[:7])
        self.assertEqual(60.0, max(pauses))
        self.assertEqual([Kind.UNKNOWN], told(life))
        life.ends_until('Recover', End.POST_COPY_FAILED, End.POST_COPY_FAILED)
        life.tell(events.PostCopyBegun)
        life.returned()
        life.ends(End.ABSENT, End.RUNNING)
        self.assertEqual([Kind.UNKNOWN, Kind.COMPLETED], told(life))

    def test_a_new_stream_that_breaks_at_once_is_a_failed_attempt(self):
        for carried, pause in ((False, 2.0), (True, 0.0)):
            life = self.broken()
            for _ in range(2):
                life.ends_until(
                    'Recover', End.POST_COPY_FAILED, End.POST_COPY_FAILED
                )
                life.tell(events.PostCopyBegun)
                for second in range(8) if carried else ():
                    life.tell(
                        events.Progressed,
                        statistics=lives.seen(
                            2,
                            elapsed_ms=1000.0 * second,
                            transferred_mib=500.0 + second,
                        ),
                    )
                new = life.returned('broken again')
            (look,) = (
                one for one in new if isinstance(one, instructions.LookAtEnds)
            )
            self.assertEqual(pause, look.delay_seconds)

    def test_a_stream_that_is_dead_unnoticed_is_given_up_for_another(self):
        life = lives.Life(post_copy=True)
        life.copying()
        life.tell(events.PostCopyBegun)
        elapsed = 1000.0
        for _ in range(2 * int(recovering.QUIET_SECONDS)):
            elapsed += 1000.0
            life.tell(
                events.Progressed,
                statistics=lives.seen(2, elapsed_ms=elapsed),
            )
        self.assertEqual(1, life.names.count('PausePostCopy'))
        life.tell(events.PostCopyBroke)
        life.returned('paused on request')
        life.ends_until('Recover', End.POST_COPY_FAILED, End.POST_COPY_FAILED)

    def test_a_stream_of_which_nothing_is_told_is_given_up_later(self):
        life = lives.Life(post_copy=True)
        life.copying()
        life.tell(events.PostCopyBegun)
        life.tell(events.Ticked, after=recovering.UNSEEN_SECONDS - 1.0)
        self.assertNotIn('PausePostCopy', life.names)
        life.tell(events.Ticked, after=1.0)
        self.assertEqual('PausePostCopy', life.names[-1])

    def test_a_new_stream_that_hangs_is_looked_at(self):
        life = self.broken()
        life.ends_until('Recover', End.POST_COPY_FAILED, End.POST_COPY_FAILED)
        life.tell(events.Ticked)
        self.assertEqual(State.RECOVERING, life.machine.state)
        life.tell(events.Ticked, after=120.0)
        self.assertEqual(State.VERIFYING, life.machine.state)


class UnknownTest(unittest.TestCase):
    def test_it_is_told_once_and_looked_at_more_and_more_seldom(self):
        life = lives.Life()
        life.copying()
        life.tell(events.SourceStopped)
        life.returned('lost')
        while life.machine.outcome is None:
            life.ends(End.PAUSED_MIGRATION, End.UNREACHABLE)
        self.assertNotIn('Release', life.names)
        delays = []
        for _ in range(20):
            (look,) = life.ends(End.PAUSED_MIGRATION, End.UNREACHABLE)
            delays.append(look.delay_seconds)
        self.assertEqual(sorted(delays), delays)
        self.assertEqual(60.0, delays[-1])
        life.ends_until('Mend', End.PAUSED_MIGRATION, End.RUNNING)
        life.tell(events.Mended, text='removed')
        life.ends(End.ABSENT, End.RUNNING)
        self.assertEqual([Kind.UNKNOWN, Kind.COMPLETED], told(life))
        self.assertEqual(1, life.names.count('Release'))

    def lost_from_sight(self):
        """Return one that runs on the source, and perhaps elsewhere."""
        life = lives.Life()
        life.copying()
        life.tell(events.SourceStopped)
        life.returned('lost')
        for _ in range(60):
            life.ends(End.RUNNING, End.UNREACHABLE)
        self.assertEqual([Kind.UNKNOWN], told(life))
        return life

    def test_a_second_copy_is_suspended_at_once_and_that_is_told(self):
        life = self.lost_from_sight()
        delays = []
        while 'Mend' not in life.names:
            for wish in life.ends(End.RUNNING, End.RUNNING):
                if isinstance(wish, instructions.LookAtEnds):
                    delays.append(wish.delay_seconds)
        self.assertLess(sum(delays), 1.0)
        life.tell(events.Mended, text='both copies were suspended')
        self.assertEqual([Kind.UNKNOWN] * 2, told(life))
        self.assertIn('ran on both ends', life.machine.outcome.reason)
        for _ in range(60):
            life.ends(End.PAUSED, End.PAUSED)
        self.assertEqual(2, len(told(life)))

    def test_each_time_that_two_run_is_told(self):
        life = self.lost_from_sight()
        for time in (2, 3):
            for _ in range(60):
                life.ends(End.PAUSED, End.PAUSED)
            life.ends_until('Mend', End.RUNNING, End.RUNNING)
            life.tell(events.Mended, text='both copies were suspended')
            self.assertEqual(time + 1, len(told(life)))

    def test_where_a_second_copy_may_appear_it_is_looked_for_often(self):
        life = self.lost_from_sight()
        for _ in range(30):
            (look,) = life.ends(End.RUNNING, End.UNREACHABLE)
        self.assertEqual(5.0, look.delay_seconds)

    def test_two_that_cannot_be_suspended_are_told_of_as_well(self):
        life = self.lost_from_sight()
        for _ in range(60):
            life.ends(End.RUNNING, End.RUNNING)
            if life.names[-1] == 'Mend':
                life.tell(events.Refused, instruction='Mend', text='not ours')
        self.assertEqual([Kind.UNKNOWN] * 2, told(life))
        self.assertIn('not ours', life.machine.outcome.reason)
        self.assertIn('suspend both', life.machine.outcome.reason)
        tried = life.names.count('Mend')
        life.ends(End.RUNNING, End.RUNNING)
        self.assertEqual(tried + 1, life.names.count('Mend'))

    def test_another_finding_is_told_with_its_own_advice(self):
        life = lives.Life(post_copy=True)
        life.copying()
        life.tell(events.PostCopyBegun)
        life.returned('lost')
        for _ in range(60):
            life.ends(End.POST_COPY_FAILED, End.UNREACHABLE)
        self.assertIn('cannot be asked', life.machine.outcome.reason)
        for _ in range(60):
            life.ends(End.POST_COPY_FAILED, End.ABSENT)
        self.assertEqual([Kind.UNKNOWN] * 2, told(life))
        self.assertIn('no copy is whole', life.machine.outcome.reason)
        self.assertIn('anew from its disks', life.machine.outcome.reason)

    def test_another_run_tells_another_finding_and_only_that(self):
        before = self.lost_from_sight()
        life = adopted(told_unknown=True, known=before.machine.known)
        for _ in range(60):
            life.ends(End.RUNNING, End.UNREACHABLE)
        self.assertEqual([], told(life))
        for _ in range(60):
            life.ends(End.ABSENT, End.ABSENT)
        self.assertEqual([Kind.UNKNOWN], told(life))

    def test_ends_that_change_their_minds_without_end_are_told_of_once(self):
        life = self.lost_from_sight()
        for number in range(300):
            there = (End.UNREACHABLE, End.PAUSED)[number % 2]
            life.ends(End.RUNNING, there)
        self.assertEqual([Kind.UNKNOWN], told(life))

    def test_a_person_settles_what_nobody_can_look_at(self):
        for completed, kind in ((True, Kind.COMPLETED), (False, Kind.FAILED)):
            life = lives.Life()
            life.copying()
            life.tell(events.SourceStopped)
            life.returned('lost')
            for _ in range(60):
                life.ends(End.PAUSED_MIGRATION, End.UNREACHABLE)
            life.tell(events.SettledByHand, completed=completed)
            self.assertEqual([Kind.UNKNOWN, kind], told(life))
            self.assertIn('settled by hand: test', life.machine.outcome.reason)
            self.assertEqual(1, life.names.count('Release'))
            self.assertNotIn('Mend', life.names)

    def test_marks_that_come_off_late_hold_up_nobody(self):
        life = lives.Life()
        life.unmarks = False
        life.copying()
        life.returned('lost')
        for _ in range(60):
            life.ends(End.PAUSED_MIGRATION, End.UNREACHABLE)
        life.tell(events.SettledByHand, completed=False)
        life.tell(events.Ticked, after=deciding.UNMARK_SECONDS - 1.0)
        self.assertEqual([Kind.UNKNOWN], told(life))
        life.tell(events.Ticked)
        self.assertEqual([Kind.UNKNOWN, Kind.FAILED], told(life))
        self.assertIn(
            'no word within 15 s that the marks are off: they may come off '
            'later, and hinder nothing where they stay',
            [one.text.rpartition(' (')[0] for one in life.machine.story],
        )

    def test_what_is_seen_is_believed_before_a_person(self):
        for ends, completed in (
            ((End.RUNNING, End.UNREACHABLE), True),
            ((End.UNREACHABLE, End.RUNNING), False),
        ):
            life = lives.Life()
            life.copying()
            life.tell(events.SourceStopped)
            life.returned('lost')
            for _ in range(60):
                life.ends(*ends)
            self.assertIn('it runs on the', life.machine.objection(completed))
            self.assertEqual('', life.machine.objection(not completed))
            life.tell(events.SettledByHand, completed=completed)
            self.assertEqual([Kind.UNKNOWN], told(life))
            self.assertIn('in vain', life.machine.story[-1].text)

    def test_a_person_is_too_late_once_more_is_known(self):
        life = lives.Life()
        life.copying()
        self.assertIn('pre-copy', life.machine.objection(True))
        life.tell(events.SettledByHand, completed=True)
        self.assertEqual(State.PRE_COPY, life.machine.state)

    def test_one_that_is_unknown_is_cancelled_if_its_job_runs_on(self):
        life = lives.Life()
        life.copying()
        life.returned('lost', events_lost=True)
        for _ in range(60):
            life.ends(End.UNREACHABLE, End.PAUSED_MIGRATION)
        life.tell(events.CancelAsked)
        life.ends(End.RUNNING, End.PAUSED_MIGRATION, job_active=True)
        life.tell(events.Progressed, statistics=lives.seen(5))
        self.assertIn('Abort', life.names)
        life.returned('aborted')
        life.ends(End.RUNNING, End.ABSENT)
        self.assertEqual([Kind.UNKNOWN, Kind.CANCELLED], told(life))

    def test_another_run_does_not_tell_it_again(self):
        life = adopted(told_unknown=True)
        for _ in range(50):
            life.ends(End.UNREACHABLE, End.UNREACHABLE)
        self.assertEqual([], told(life))
        self.assertEqual(State.UNKNOWN, life.machine.state)
        life.ends(End.ABSENT, End.RUNNING)
        self.assertEqual([Kind.COMPLETED], told(life))

    def test_a_mark_that_stays_does_not_hold_up_the_outcome(self):
        for said in (
            (events.Refused, {'instruction': 'Unmark', 'text': 'no answer'}),
            (events.Ticked, {'after': 15.0}),
        ):
            life = lives.Life()
            life.unmarks = False
            life.copying()
            life.returned()
            life.ends(End.ABSENT, End.RUNNING)
            self.assertEqual([], told(life))
            kind, fields = said
            life.tell(kind, **fields)
            self.assertEqual([Kind.COMPLETED], told(life))

    def test_an_instance_that_ended_before_it_was_stopped_never_left(self):
        for stopped in (False, True):
            life = lives.Life()
            life.copying()
            if stopped:
                life.tell(events.SourceStopped)
            life.returned('it ended')
            for _ in range(2):
                life.ends(End.SHUT_OFF, End.ABSENT)
            (wish,) = (
                one
                for one in life.wishes
                if isinstance(one, instructions.Unmark)
            )
            self.assertTrue(wish.clean)
            self.assertEqual(not stopped, wish.never_left)

    def test_what_is_left_of_post_copy_leads_to_no_older_disk(self):
        """Whatever a person has done of what was advised."""
        for first in (
            (End.SHUT_OFF, End.POST_COPY_FAILED),
            (End.POST_COPY_FAILED, End.ABSENT),
        ):
            life = lives.Life(post_copy=True)
            life.copying()
            life.tell(events.PostCopyBegun)
            life.returned('lost', events_lost=True)
            life.ends_until('Conclude', *first)
            life.ends_until('Conclude', End.SHUT_OFF, End.ABSENT)
            outcomes = [
                one.outcome
                for one in life.wishes
                if isinstance(one, instructions.Conclude)
            ]
            self.assertEqual([Kind.UNKNOWN, Kind.FAILED], told(life))
            for one in outcomes:
                self.assertIn('on the destination are the latest', one.reason)
                self.assertNotIn('where it is wanted', one.reason)
            (wish,) = (
                one
                for one in life.wishes
                if isinstance(one, instructions.Unmark)
            )
            self.assertTrue(wish.clean and wish.ran_there)

    def test_a_look_says_what_its_images_may_be(self):
        def looks(life):
            return [
                one.ran_there
                for one in life.wishes
                if isinstance(one, instructions.LookAtEnds)
            ]

        life = lives.Life()
        life.copying()
        life.tell(events.SourceStopped)
        life.returned('lost')
        life.ends(End.UNREACHABLE, End.ABSENT)
        life.ends(End.UNREACHABLE, End.RUNNING)
        life.ends(End.UNREACHABLE, End.UNREACHABLE)
        self.assertEqual([False, False, True, True], looks(life))
        after = adopted(known=life.machine.known)
        self.assertEqual([True], looks(after))

    def test_a_story_without_end_has_an_end(self):
        life = adopted()
        for number in range(2000):
            there = (End.UNREACHABLE, End.PAUSED)[number % 2]
            life.ends(End.PAUSED_MIGRATION, there)
        self.assertLess(len(life.machine.story), 600)
