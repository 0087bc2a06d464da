import itertools
import unittest

from kvm_balancer.migration import events
from kvm_balancer.migration.lifecycle import arbiter
from kvm_balancer.migration.lifecycle import verdicts
from kvm_balancer.model import outcome

S = events.EndState
A = verdicts.Action
Kind = outcome.OutcomeKind
PAIRS = list(itertools.product(S, S))


def judge(source, destination, job=False, migrated=False, **known):
    return arbiter.judge(
        events.End(source, job, migrated=migrated),
        events.End(destination),
        arbiter.Known(**{'across': True, **known}),
    )


class TestAllPairs(unittest.TestCase):
    def test_every_pair_has_a_verdict(self):
        self.assertEqual(set(PAIRS), set(arbiter.TABLE))

    def test_what_the_reference_says(self):
        table = (
            (S.RUNNING, S.ABSENT, Kind.FAILED, A.NONE),
            (S.RUNNING, S.SHUT_OFF, Kind.FAILED, A.DESTROY_DESTINATION),
            (S.PAUSED_MIGRATION, S.RUNNING, Kind.UNKNOWN, A.DESTROY_SOURCE),
            (S.PAUSED_MIGRATION, S.ABSENT, Kind.UNKNOWN, A.RESUME_SOURCE),
            (S.PAUSED_MIGRATION, S.UNREACHABLE, Kind.UNKNOWN, A.WAIT),
            (S.POST_COPY, S.POST_COPY, Kind.UNKNOWN, A.WAIT),
            (
                S.POST_COPY_FAILED,
                S.POST_COPY_FAILED,
                Kind.UNKNOWN,
                A.RECOVER_POST_COPY,
            ),
            (S.SHUT_OFF, S.RUNNING, Kind.COMPLETED, A.DESTROY_SOURCE),
            (S.ABSENT, S.RUNNING, Kind.COMPLETED, A.NONE),
            (S.ABSENT, S.ABSENT, Kind.UNKNOWN, A.CALL_A_PERSON),
            (S.RUNNING, S.RUNNING, Kind.UNKNOWN, A.SUSPEND_BOTH),
        )
        for source, destination, kind, action in table:
            verdict = judge(source, destination)
            self.assertEqual(
                (kind, action),
                (verdict.outcome, verdict.action),
                (source, destination),
            )

    def test_who_cannot_be_asked_is_not_absent(self):
        for source, destination in PAIRS:
            if S.UNREACHABLE in (source, destination):
                verdict = judge(source, destination)
                self.assertEqual(
                    (Kind.UNKNOWN, A.WAIT),
                    (verdict.outcome, verdict.action),
                )

    def test_it_is_completed_only_with_the_source_gone(self):
        for source, destination in PAIRS:
            if judge(source, destination).outcome is Kind.COMPLETED:
                self.assertIn(source, (S.ABSENT, S.SHUT_OFF))
                self.assertIn(destination, (S.RUNNING, S.PAUSED, S.SHUT_OFF))

    def test_the_source_is_resumed_only_with_the_destination_gone(self):
        for source, destination in PAIRS:
            if judge(source, destination).action is A.RESUME_SOURCE:
                self.assertIn(destination, (S.ABSENT, S.SHUT_OFF))
                self.assertEqual(S.PAUSED_MIGRATION, source)

    def test_nothing_is_removed_or_resumed_where_post_copy_broke(self):
        """But where the destination turns out to have all it needs."""
        for source, destination in PAIRS:
            if S.POST_COPY_FAILED not in (source, destination):
                continue
            allowed = (A.RECOVER_POST_COPY, A.CALL_A_PERSON, A.WAIT)
            if destination is S.RUNNING:
                allowed = (A.DESTROY_SOURCE,)
            self.assertIn(judge(source, destination).action, allowed)

    def test_a_job_that_is_still_there_is_waited_for(self):
        for source, destination in PAIRS:
            if source is S.POST_COPY_FAILED:
                # waits for a recovery for ever
                continue
            verdict = judge(source, destination, job=True)
            self.assertNotEqual(Kind.FAILED, verdict.outcome)
            if verdict.outcome is Kind.UNKNOWN:
                self.assertNotIn(
                    verdict.action,
                    verdicts.MENDABLE - {A.SUSPEND_BOTH},
                )

    def test_no_job_brings_the_memory_of_a_source_that_is_gone(self):
        """libvirt keeps that of the destination, for a recovery."""
        for source, destination in (
            (S.ABSENT, S.POST_COPY_FAILED),
            (S.SHUT_OFF, S.POST_COPY_FAILED),
            (S.POST_COPY_FAILED, S.ABSENT),
        ):
            verdict = arbiter.judge(
                events.End(source, source is S.POST_COPY_FAILED),
                events.End(destination, destination is S.POST_COPY_FAILED),
                arbiter.Known(across=False),
            )
            self.assertEqual(A.CALL_A_PERSON, verdict.action)
            self.assertEqual(Kind.UNKNOWN, verdict.outcome)
            self.assertIn('no copy is whole', verdict.reason)
            # a few seconds
            self.assertLessEqual(verdict.looks, 6)

    def test_nothing_comes_to_a_destination_without_a_copy_or_a_job(self):
        for source, destination, job, vacant in (
            (S.ABSENT, S.ABSENT, False, True),
            (S.POST_COPY_FAILED, S.ABSENT, True, True),
            (S.PAUSED_MIGRATION, S.SHUT_OFF, False, True),
            (S.RUNNING, S.ABSENT, True, False),
            (S.UNREACHABLE, S.ABSENT, False, False),
            (S.ABSENT, S.UNREACHABLE, False, False),
            (S.ABSENT, S.POST_COPY_FAILED, False, False),
        ):
            with self.subTest(source=source, destination=destination):
                self.assertEqual(
                    vacant,
                    arbiter.is_vacant(
                        events.End(source, job), events.End(destination)
                    ),
                )

    def test_a_destination_that_still_receives_is_waited_for(self):
        for source, destination in PAIRS:
            verdict = arbiter.judge(
                events.End(source),
                events.End(destination, job_active=True),
                arbiter.Known(across=True),
            )
            if verdict.outcome is Kind.UNKNOWN:
                self.assertNotIn(
                    verdict.action,
                    verdicts.MENDABLE - {A.SUSPEND_BOTH},
                )

    def test_memory_that_is_not_whole_is_not_let_run(self):
        for source in (S.ABSENT, S.SHUT_OFF):
            seen = source, S.PAUSED_MIGRATION
            self.assertEqual(A.RESUME_DESTINATION, judge(*seen).action)
            self.assertEqual(
                A.CALL_A_PERSON, judge(*seen, across=False).action
            )

    def test_memory_that_is_older_than_the_disks_is_not_let_run(self):
        for destination in (S.ABSENT, S.SHUT_OFF):
            seen = S.PAUSED_MIGRATION, destination
            self.assertEqual(A.RESUME_SOURCE, judge(*seen).action)
            for known in ({'ran_there': True}, {'watched': False}):
                self.assertEqual(A.CALL_A_PERSON, judge(*seen, **known).action)

    def test_an_instance_that_ended_on_arrival_has_arrived(self):
        for source, action in (
            (S.ABSENT, A.NONE),
            (S.SHUT_OFF, A.DESTROY_SOURCE),
        ):
            for known in ({'across': True}, {'ran_there': True}):
                verdict = judge(source, S.SHUT_OFF, migrated=True, **known)
                self.assertEqual(
                    (Kind.COMPLETED, action),
                    (verdict.outcome, verdict.action),
                )
        verdict = judge(S.ABSENT, S.SHUT_OFF, across=False, watched=False)
        self.assertEqual(Kind.COMPLETED, verdict.outcome)

    def test_no_second_definition_stays(self):
        verdict = judge(S.SHUT_OFF, S.PAUSED)
        self.assertEqual(
            (Kind.COMPLETED, A.DESTROY_SOURCE),
            (verdict.outcome, verdict.action),
        )
        verdict = judge(S.SHUT_OFF, S.SHUT_OFF, across=False)
        self.assertEqual(
            (Kind.FAILED, A.DESTROY_DESTINATION),
            (verdict.outcome, verdict.action),
        )

    def test_of_two_that_are_off_none_is_removed_unseen(self):
        for known in itertools.product((False, True), repeat=4):
            across, ran_there, watched, ran_back = known
            if watched and not (across or ran_there):
                # It cannot have run but on the source.
                continue
            with self.subTest(known):
                verdict = judge(
                    S.SHUT_OFF,
                    S.SHUT_OFF,
                    across=across,
                    ran_there=ran_there,
                    watched=watched,
                    ran_back=ran_back,
                )
                self.assertEqual(
                    (Kind.UNKNOWN, A.CALL_A_PERSON),
                    (verdict.outcome, verdict.action),
                )
                self.assertIn('ran last is not known', verdict.reason)

    def test_the_source_is_removed_where_all_of_it_went_elsewhere(self):
        """Not where it ran on since: who shut it off then is told, too."""
        for ran_back, action in (
            (False, A.DESTROY_SOURCE),
            (True, A.CALL_A_PERSON),
        ):
            verdict = judge(
                S.SHUT_OFF, S.SHUT_OFF, migrated=True, ran_back=ran_back
            )
            self.assertEqual(action, verdict.action)

    def test_no_copy_is_removed_but_with_the_other_one_there(self):
        """Whatever is known beside what the ends say, and is held."""
        for source, destination in PAIRS:
            for known in itertools.product((False, True), repeat=6):
                job, migrated, switched, across, ran_there, watched = known
                action = judge(
                    source,
                    destination,
                    job,
                    migrated,
                    switched=switched,
                    across=across,
                    ran_there=ran_there,
                    watched=watched,
                ).action
                if action is A.DESTROY_SOURCE:
                    self.assertIsNot(S.RUNNING, source)
                    if destination is S.SHUT_OFF:
                        self.assertTrue(migrated)
                    if source is not S.SHUT_OFF:
                        self.assertIs(S.RUNNING, destination)
                    self.assertIn(
                        destination, (S.RUNNING, S.PAUSED, S.SHUT_OFF)
                    )
                if action is A.DESTROY_DESTINATION and (
                    source is not S.SHUT_OFF
                ):
                    self.assertIn(
                        destination, (S.PAUSED_MIGRATION, S.SHUT_OFF)
                    )
                    self.assertIn(
                        source, (S.RUNNING, S.PAUSED, S.PAUSED_MIGRATION)
                    )
                if action is A.SUSPEND_BOTH:
                    self.assertEqual((S.RUNNING,) * 2, (source, destination))

    def test_what_ran_there_is_the_last_there_is(self):
        """Neither done away with, nor advised against, whatever is seen."""
        for source, destination in PAIRS:
            for known in itertools.product((False, True), repeat=5):
                job, migrated, switched, across, watched = known
                verdict = judge(
                    source,
                    destination,
                    job,
                    migrated,
                    switched=switched,
                    across=across,
                    watched=watched,
                    ran_there=True,
                )
                with self.subTest(source=source, destination=destination):
                    self.assertNotIn(
                        verdict.action,
                        (A.DESTROY_DESTINATION, A.RESUME_SOURCE),
                    )
                    if destination is S.PAUSED_MIGRATION:
                        self.assertIsNot(A.RESUME_DESTINATION, verdict.action)
                    self.assertNotRegex(
                        f'{verdict.reason}; {verdict.advice}',
                        'unstarted|never ran|not started'
                        '|destroy the (paused )?copy on the destination'
                        '|definition on the destination'
                        '|then resume (it on )?the source'
                        '|start it where it is wanted$',
                    )
                    if 'anew' in verdict.advice:
                        self.assertIn(
                            'those on the destination are the latest',
                            verdict.advice,
                        )

    def test_where_the_source_went_on_neither_end_has_the_last_for_sure(self):
        """Nothing is done but what leads away from two that run."""
        ours = (S.RUNNING, S.PAUSED)
        for source, destination in PAIRS:
            for known in itertools.product((False, True), repeat=4):
                migrated, across, ran_there, watched = known
                verdict = judge(
                    source,
                    destination,
                    migrated=migrated,
                    across=across or not ran_there,
                    ran_there=ran_there,
                    watched=watched,
                    ran_back=True,
                )
                with self.subTest(source=source, destination=destination):
                    self.assertNotIn(
                        'those on the destination are the latest',
                        verdict.advice,
                    )
                    self.assertNotIn(
                        verdict.action, (A.RESUME_SOURCE, A.RESUME_DESTINATION)
                    )
                    if verdict.action is A.DESTROY_SOURCE:
                        self.assertIs(S.SHUT_OFF, source)
                        self.assertIn(destination, ours)
                    if verdict.action is A.DESTROY_DESTINATION:
                        self.assertFalse(ran_there)
                        self.assertIn(source, ours)

    def test_one_that_ran_on_both_and_ended_is_left_to_a_person(self):
        for source, destination, kind, words in (
            (S.SHUT_OFF, S.SHUT_OFF, Kind.UNKNOWN, 'last is not known'),
            (S.ABSENT, S.SHUT_OFF, Kind.UNKNOWN, 'last is not known'),
            (S.SHUT_OFF, S.ABSENT, Kind.FAILED, 'may have run last'),
            (S.ABSENT, S.ABSENT, Kind.UNKNOWN, 'is on neither end'),
            (S.SHUT_OFF, S.PAUSED_MIGRATION, Kind.UNKNOWN, 'may be older'),
            (S.ABSENT, S.PAUSED_MIGRATION, Kind.UNKNOWN, 'may be older'),
            (S.PAUSED_MIGRATION, S.ABSENT, Kind.UNKNOWN, 'may be older'),
            (S.PAUSED_MIGRATION, S.RUNNING, Kind.UNKNOWN, 'may be older'),
            (S.SHUT_OFF, S.POST_COPY, Kind.UNKNOWN, 'contradict'),
        ):
            verdict = judge(source, destination, ran_there=True, ran_back=True)
            with self.subTest(source=source, destination=destination):
                self.assertIs(kind, verdict.outcome)
                self.assertIn(words, verdict.reason)
                self.assertNotIn('ran on the destination', verdict.reason)
                self.assertNotIn(verdict.action, verdicts.MENDABLE)

    def test_no_disk_is_called_the_latest_that_may_not_be(self):
        """Where nobody knows where it ran last, a person has to see."""
        for source, destination in PAIRS:
            for across, watched in itertools.product((False, True), repeat=2):
                verdict = judge(
                    source, destination, across=across, watched=watched
                )
                if 'anew' in verdict.advice:
                    self.assertIn('are the latest', verdict.advice)

    def test_a_run_on_both_ends_that_is_over_calls_a_person(self):
        for source, destination in itertools.product(
            (S.RUNNING, S.PAUSED), (S.ABSENT, S.SHUT_OFF, S.PAUSED_MIGRATION)
        ):
            verdict = judge(source, destination, ran_there=True)
            self.assertEqual(
                (Kind.UNKNOWN, A.CALL_A_PERSON),
                (verdict.outcome, verdict.action),
            )
            self.assertIn('ran on both', verdict.reason)

    def test_one_that_may_have_run_on_both_ends_is_told_so(self):
        for source in (S.RUNNING, S.PAUSED):
            verdict = judge(source, S.ABSENT, watched=False)
            self.assertEqual(Kind.FAILED, verdict.outcome)
            self.assertIn('out of sight', verdict.reason)
            for known in ({}, {'switched': False, 'watched': False}):
                verdict = judge(source, S.ABSENT, **known)
                self.assertEqual('', verdict.advice)

    def test_a_definition_that_came_out_of_sight_is_no_remnant(self):
        for source in (S.RUNNING, S.PAUSED):
            verdict = judge(source, S.SHUT_OFF, watched=False)
            self.assertEqual(
                (Kind.UNKNOWN, A.CALL_A_PERSON),
                (verdict.outcome, verdict.action),
            )
            self.assertIn('may have run on both', verdict.reason)
            for known in ({}, {'switched': False, 'watched': False}):
                verdict = judge(source, S.SHUT_OFF, **known)
                self.assertEqual(A.DESTROY_DESTINATION, verdict.action)

    def test_a_copy_that_is_to_go_on_from_there_is_left_alone(self):
        for source in (S.PAUSED_MIGRATION, S.SHUT_OFF, S.ABSENT):
            for across in (False, True):
                verdict = judge(
                    source, S.PAUSED_MIGRATION, across=across, ran_there=True
                )
                self.assertEqual(A.CALL_A_PERSON, verdict.action)
                self.assertIn('ran on the destination', verdict.reason)

    def test_where_one_ended_that_ran_there_is_told(self):
        for known, words in (
            ({'ran_there': True}, 'where it ran last'),
            ({'across': True}, 'may have run last'),
            ({'across': False, 'watched': False}, 'may have run last'),
            ({'across': False}, 'it ended meanwhile'),
        ):
            verdict = judge(S.SHUT_OFF, S.ABSENT, **known)
            self.assertEqual(
                (Kind.FAILED, A.NONE), (verdict.outcome, verdict.action)
            )
            self.assertIn(words, verdict.reason)
            self.assertIn('shut off', verdict.reason)

    def test_what_calls_for_an_action_is_not_believed_at_once(self):
        for verdict in arbiter.TABLE.values():
            if verdict.outcome is Kind.UNKNOWN:
                self.assertGreater(verdict.looks, 2)
                self.assertTrue(verdict.advice)

    def test_a_guest_that_never_stopped_is_where_it_was(self):
        self.assertGreater(
            judge(
                S.RUNNING, S.UNREACHABLE, switched=False, copies_disks=True
            ).looks,
            judge(S.RUNNING, S.UNREACHABLE, switched=False).looks,
        )
        verdict = judge(S.RUNNING, S.UNREACHABLE, switched=False)
        self.assertEqual(Kind.FAILED, verdict.outcome)
        for source in set(S) - {S.RUNNING}:
            self.assertEqual(
                Kind.UNKNOWN,
                judge(source, S.UNREACHABLE, switched=False).outcome,
            )
