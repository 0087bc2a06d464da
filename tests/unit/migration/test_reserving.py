"""Memory is reserved before the start, and shares of bandwidth are kept to."""

import unittest

from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from kvm_balancer.migration.lifecycle import starting
from kvm_balancer.migration.lifecycle import states
from kvm_balancer.model import outcome
from tests.unit.migration import lives

State = states.State
End = events.EndState
Verdict = events.Verdict

RESERVED = lives.RESERVED
OPEN = events.Check('post-copy', Verdict.UNKNOWN, 'not told', 'look there')


class TestRoom(unittest.TestCase):
    def asked(self, *checks):
        """Return a life that has just asked for a lease."""
        life = lives.Life(post_copy=True)
        life.wishes.extend(life.machine.begin(life.now))
        life.tell(events.Checked, checks=checks)
        return life

    def test_nothing_is_started_before_room_is_promised(self):
        life = self.asked()
        self.assertEqual(['Check', 'Reserve'], life.names)
        self.assertEqual(State.PRE_FLIGHT, life.machine.state)
        life.reserved(RESERVED)
        self.assertEqual(State.PREPARING, life.machine.state)
        self.assertIn('512 MiB are reserved', str(life.machine.story))

    def test_no_room_is_asked_for_when_a_check_failed(self):
        life = self.asked(events.Check('cpu', Verdict.FAILED, 'too old'))
        self.assertEqual(['Check', 'Conclude'], life.names)

    def test_a_refusal_ends_it_with_the_reason_and_nothing_touched(self):
        life = self.asked()
        life.reserved(
            events.Check('reservation', Verdict.FAILED, 'm2 has it', 'wait')
        )
        ended = life.machine.outcome
        self.assertEqual(outcome.OutcomeKind.FAILED, ended.outcome)
        self.assertEqual('reservation: m2 has it - wait', ended.reason)
        self.assertEqual(
            ['Check', 'Reserve', 'Release', 'Conclude'], life.names
        )

    def test_an_answer_that_says_nothing_of_room_starts_nothing(self):
        for checks in ((), (events.Check('tls', Verdict.PASSED),)):
            with self.subTest(checks=checks):
                life = self.asked()
                life.reserved(*checks)
                self.assertEqual(State.FAILED, life.machine.state)
                self.assertIn('did not say', life.machine.outcome.reason)
                self.assertEqual(
                    ['Check', 'Reserve', 'Release', 'Conclude'], life.names
                )

    def test_where_there_is_nobody_to_ask_it_starts(self):
        life = self.asked()
        life.reserved(
            events.Check('reservation', Verdict.UNKNOWN, 'nobody to ask')
        )
        self.assertIn('Start', life.names)

    def test_room_that_nobody_answers_for_is_not_waited_for(self):
        life = self.asked()
        life.tell(events.Ticked, after=starting.RESERVATION_SECONDS - 1.0)
        self.assertEqual(State.PRE_FLIGHT, life.machine.state)
        life.tell(events.Ticked)
        self.assertIn('the reservation', life.machine.outcome.reason)
        self.assertEqual(
            ['Check', 'Reserve', 'Release', 'Conclude'], life.names
        )

    def test_checks_that_nobody_answers_are_not_waited_for(self):
        life = lives.Life()
        life.wishes.extend(life.machine.begin(life.now))
        life.tell(events.Ticked, after=starting.CHECK_SECONDS - 1.0)
        self.assertEqual(State.PRE_FLIGHT, life.machine.state)
        life.tell(events.Ticked)
        self.assertIn('the checks did not', life.machine.outcome.reason)
        self.assertEqual(['Check', 'Conclude'], life.names)

    def test_the_destination_settles_what_pre_flight_left_open(self):
        """What pre-flight could tell stands."""
        sure = events.Check('post-copy', Verdict.PASSED, 'it is paused')
        passed = events.Check('post-copy', Verdict.PASSED)
        failed = events.Check('post-copy', Verdict.FAILED, 'no userfaultfd')
        for before, told, starts, said in (
            (OPEN, None, True, True),
            (OPEN, passed, True, False),
            (OPEN, failed, False, False),
            (sure, failed, True, False),
        ):
            with self.subTest(before=before, told=told):
                life = self.asked(before)
                life.reserved(RESERVED, *([told] if told else []))
                self.assertEqual(starts, 'Start' in life.names)
                self.assertEqual(said, 'not told' in str(life.machine.story))

    def test_the_word_of_one_end_settles_nothing_of_the_other(self):
        """What TLS the source has, no destination knows."""
        here = events.Check('tls here', Verdict.UNKNOWN, 'not seen', 'look')
        there = events.Check('tls', Verdict.UNKNOWN, 'not told', 'look')
        life = self.asked(here, there)
        life.reserved(RESERVED, events.Check('tls', Verdict.PASSED))
        self.assertIn('Start', life.names)
        story = str(life.machine.story)
        self.assertIn('check unknown: tls here: not seen', story)
        self.assertNotIn('not told', story)

    def test_it_is_given_back_whatever_the_end(self):
        def cancelled(life):
            life.tell(events.CancelAsked)

        def late(life):
            life.tell(events.Ticked, after=1e6)

        def broken(life):
            life.tell(events.Refused, instruction='Reserve', text='broken')

        for end in (cancelled, late, broken):
            with self.subTest(end.__name__):
                life = lives.Life(time_limit_seconds=60.0)
                life.wishes.extend(life.machine.begin(life.now))
                life.tell(events.Checked, checks=())
                end(life)
                self.assertTrue(life.machine.state.ended)
                self.assertEqual(['Release', 'Conclude'], life.names[-2:])
                self.assertNotIn('Start', life.names)
                # the answer comes when nobody waits for it any more
                life.reserved(RESERVED)
                self.assertNotIn('Start', life.names)

    def test_an_adopted_one_gives_back_what_an_earlier_run_may_have(self):
        life = lives.Life()
        life.wishes.extend(life.machine.adopt(life.now))
        while not life.machine.state.ended:
            life.ends(End.RUNNING, End.ABSENT)
        self.assertEqual(['Release', 'Conclude'], life.names[-2:])

    def test_one_that_is_nowhere_needs_no_room_any_more(self):
        """It is looked for all the same; what may be there keeps its room."""
        for source, destination, released in (
            (End.ABSENT, End.ABSENT, True),
            (End.ABSENT, End.POST_COPY_FAILED, False),
            (End.UNREACHABLE, End.ABSENT, False),
        ):
            with self.subTest(source=source, destination=destination):
                life = lives.Life()
                life.wishes.extend(life.machine.adopt(life.now))
                while life.machine.state is not State.UNKNOWN:
                    life.ends(source, destination)
                self.assertEqual(released, 'Release' in life.names)
                self.assertIn('LookAtEnds', life.names)
                life.ends(source, destination)
                self.assertLessEqual(life.names.count('Release'), 1)

    def test_room_that_nobody_asked_for_starts_nothing(self):
        life = lives.Life()
        life.wishes.extend(life.machine.begin(life.now))
        life.reserved(RESERVED)
        self.assertEqual(['Check'], life.names)


class TestShare(unittest.TestCase):
    def limits(self, life):
        return [
            wish.mib_s
            for wish in life.wishes
            if isinstance(wish, instructions.SetBandwidth)
        ]

    def test_one_alone_is_given_no_limit(self):
        life = lives.Life()
        life.copying()
        self.assertEqual([], self.limits(life))

    def test_a_share_known_before_the_start_holds_from_the_start(self):
        """It is set again once the job is seen, as it may have been lost."""
        life = lives.Life()
        life.wishes.extend(life.machine.begin(life.now))
        life.tell(events.Checked, checks=())
        life.tell(events.BandwidthShared, mib_s=50, streams=2)
        life.reserved(RESERVED)
        self.assertLess(
            life.names.index('SetBandwidth'), life.names.index('Start')
        )
        life.tell(events.Progressed, statistics=lives.seen())
        self.assertEqual([50, 50], self.limits(life))
        self.assertEqual([50], life.policy.limited)

    def test_shares_are_kept_to_within_the_request_s_own_limit(self):
        life = lives.Life(bandwidth_mib_s=60)
        life.copying()
        for share in (50, 50, 70, 80, 0, 40):
            life.tell(events.BandwidthShared, mib_s=share)
        self.assertEqual([50, 60, 40], self.limits(life))
        self.assertEqual([50, 60, 40], life.policy.limited)
        self.assertIn('limited to 40 MiB/s (test)', str(life.machine.story))

    def test_shares_count_in_post_copy_and_not_at_the_switch(self):
        """What was shared during the switch counts from its end on."""
        life = lives.Life(post_copy=True)
        life.copying()
        life.tell(events.SourceStopped)
        life.tell(events.BandwidthShared, mib_s=50)
        self.assertEqual([], self.limits(life))
        life.tell(events.PostCopyBegun)
        life.tell(events.BandwidthShared, mib_s=40)
        life.tell(events.BandwidthShared, mib_s=0)
        self.assertEqual([50, 40, 0], self.limits(life))
