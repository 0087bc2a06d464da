"""Two witnesses make one story, each of what it knows."""

import unittest

from kvm_balancer.migration import events
from kvm_balancer.migration import witnesses


def figures(kind, at, iteration=1, remaining=100.0):
    return kind(
        at=at,
        cause='test',
        statistics=events.Statistics(
            total_mib=256.0, remaining_mib=remaining, iteration=iteration
        ),
    )


def plain(kind, at=1.0, **details):
    return kind(at=at, cause='test', **details)


class WitnessesTest(unittest.TestCase):
    def setUp(self):
        super().setUp()
        self.both = witnesses.Witnesses()

    def test_records_alone_are_passed_on_as_they_are(self):
        for event in (
            figures(events.Progressed, 1.0),
            plain(events.PostCopyBegun, 2.0),
            plain(events.Refused, 3.0, instruction='Abort', text='no'),
            plain(events.CallReturned, 4.0),
        ):
            self.assertEqual((event,), self.both.of_records(event))

    def test_what_only_the_source_sees_is_passed_on(self):
        for event in (
            figures(events.Progressed, 1.0),
            figures(events.PassEnded, 2.0, 2),
            plain(events.SourceStopped, 3.0),
            plain(
                events.JobSettled,
                4.0,
                statistics=events.Statistics(),
                downtime_ms=17.0,
            ),
        ):
            self.assertEqual((event,), self.both.of_source(event))

    def test_figures_of_records_stand_back_while_the_source_tells(self):
        seen, silent = 100.0, witnesses.SILENT_SECONDS
        self.both.of_source(figures(events.PassEnded, seen, 7))
        for after, told in (
            (0.0, False),
            (silent - 0.1, False),
            (silent, True),
            (silent + 100.0, True),
        ):
            with self.subTest(after):
                event = figures(events.Progressed, seen + after)
                self.assertEqual(told, bool(self.both.of_records(event)))

    def test_passes_are_never_counted_back(self):
        self.both.of_source(figures(events.PassEnded, 1.0, 7))
        (told,) = self.both.of_records(figures(events.Progressed, 500.0, 3))
        self.assertEqual(7, told.statistics.iteration)
        (told,) = self.both.of_records(figures(events.Progressed, 501.0, 9))
        self.assertEqual(9, told.statistics.iteration)

    def test_post_copy_begins_once_whoever_is_first(self):
        begun = plain(events.PostCopyBegun)
        for turn in ((0, 1), (1, 0), (0, 0)):
            with self.subTest(turn):
                both = witnesses.Witnesses()
                hear = both.of_records, both.of_source
                self.assertEqual((begun,), hear[turn[0]](begun))
                self.assertEqual((), hear[turn[1]](begun))

    def test_a_stream_that_broke_is_told_and_left_to_nova(self):
        (told,) = self.both.of_source(plain(events.PostCopyBroke))
        self.assertIsInstance(told, events.Noted)

    def test_the_source_does_not_say_how_it_ended(self):
        self.assertEqual(
            (), self.both.of_source(plain(events.CallReturned, error='no'))
        )

    def test_remarks_on_steering_are_not_for_who_does_not_steer(self):
        self.assertEqual(
            (), self.both.of_source(plain(events.Noted, text='paused'))
        )

    def test_after_the_last_word_only_final_figures_are_heard(self):
        self.both.of_records(plain(events.CallReturned))
        self.assertEqual((), self.both.of_source(plain(events.SourceStopped)))
        settled = plain(
            events.JobSettled, statistics=events.Statistics(), downtime_ms=1.0
        )
        self.assertEqual((settled,), self.both.of_source(settled))
