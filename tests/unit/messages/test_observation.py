"""What is seen of a job survives its way, in the time of who hears of it."""

import dataclasses
import unittest

from kvm_balancer import errors
from kvm_balancer.messages import observation
from kvm_balancer.migration import events

_FIGURES = events.Statistics(elapsed_ms=1500.0, total_mib=256.0, iteration=3)
_SEEN = (
    events.Progressed(at=10.0, cause='a', statistics=_FIGURES),
    events.PassEnded(at=11.0, cause='b', statistics=_FIGURES),
    events.SourceStopped(at=12.0, cause='c'),
    events.PostCopyBegun(at=13.0, cause='d'),
    events.PostCopyBroke(at=14.0, cause='e'),
    events.Noted(at=15.0, cause='f', text='somebody paused it'),
    events.JobSettled(
        at=16.0, cause='g', statistics=_FIGURES, downtime_ms=12.5
    ),
    events.CallReturned(at=17.0, cause='h'),
)


class ObservationTest(unittest.TestCase):
    def test_events_come_over_in_the_time_of_the_other_clock(self):
        told = observation.decode_answer(
            observation.encode_answer(
                observation.Answer(
                    'w',
                    tuple(
                        observation.seen(number, event, 20.0)
                        for number, event in enumerate(_SEEN, 1)
                    ),
                )
            )
        )
        there = [observation.event(one, 1020.0) for one in told.seen]
        self.assertEqual(
            [dataclasses.replace(one, at=one.at + 1000.0) for one in _SEEN],
            there,
        )

    def test_an_ask_comes_over(self):
        ask = observation.Ask('uuid', 'm1', 'w', 12)
        self.assertEqual(
            ask, observation.decode_ask(observation.encode_ask(ask))
        )

    def test_what_does_not_fit_is_refused_in_one_line(self):
        ask = observation.encode_ask(observation.Ask('uuid', 'm1'))
        seen = observation.seen(2, _SEEN[0], 20.0)
        backwards = observation.Answer('w', (seen, seen))
        for read, payload, said in (
            (observation.decode_ask, ask | {'instance': ' '}, 'instance'),
            (observation.decode_ask, ask | {'migration_id': ''}, 'migration'),
            (observation.decode_ask, ask | {'after': 'x'}, 'after'),
            (observation.decode_ask, ask | {'schema': 'x/2'}, 'schema'),
            (
                observation.decode_answer,
                observation.encode_answer(observation.Answer('')),
                'watch',
            ),
            (
                observation.decode_answer,
                observation.encode_answer(backwards),
                'number 2 after 2',
            ),
        ):
            with self.subTest(said):
                self.assertRaisesRegex(
                    errors.DocumentError, said, read, payload
                )

    def test_what_is_nothing_of_a_job_is_refused(self):
        for told in (
            observation.Seen(1, 'Accepted', 0.0, 'x'),
            observation.Seen(1, 'Progressed', 0.0, 'without figures'),
            observation.Seen(1, 'Accepted', 0.0, 'x', _FIGURES),
        ):
            with self.assertRaises(errors.DocumentError):
                observation.event(told, 1.0)
