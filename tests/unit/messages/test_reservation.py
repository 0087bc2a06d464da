"""What executors say about leases arrives as it was sent, or is refused."""

import unittest

from kvm_balancer import errors
from kvm_balancer.messages import reservation as messages
from kvm_balancer.migration import events
from kvm_balancer.migration import request
from kvm_balancer.migration import reservation

_CLAIM = reservation.Claim('m', 'i', 'here', 512.0, 2048, 30.0)
_ASK = messages.Ask(_CLAIM, request.Options(tls=True))


class ReservationTest(unittest.TestCase):
    def test_everything_comes_back_as_it_was(self):
        answer = messages.Answer(
            (
                events.Check(
                    'reservation', events.Verdict.FAILED, 'none', 'wait'
                ),
            ),
            60.0,
            50.0,
        )
        for noun, encode, decode in (
            (_ASK, messages.encode_ask, messages.decode_ask),
            (answer, messages.encode_answer, messages.decode_answer),
            (_CLAIM, messages.encode_claim, messages.decode_claim),
            (
                messages.Release('m'),
                messages.encode_release,
                messages.decode_release,
            ),
        ):
            with self.subTest(encode.__name__):
                self.assertEqual(noun, decode(encode(noun)))

    def test_what_does_not_fit_is_refused_in_one_line(self):
        good = messages.encode_ask(_ASK)
        for told, payload in (
            ('expected an object', None),
            (
                'reservation-ask/1',
                {**good, 'schema': 'kvm-balancer/reservation-ask/2'},
            ),
            ('claim', {**good, 'claim': {'migration_id': 'm'}}),
            (
                'memory_mib',
                {**good, 'claim': {**good['claim'], 'memory_mib': 'all'}},
            ),
            (
                'memory_mib',
                {
                    **good,
                    'claim': {**good['claim'], 'memory_mib': float('nan')},
                },
            ),
            (
                'which nobody needs',
                {**good, 'claim': {**good['claim'], 'memory_mib': 0.0}},
            ),
            (
                'which nobody needs',
                {**good, 'claim': {**good['claim'], 'bandwidth_mib_s': -1.0}},
            ),
            *(
                (
                    f'{name} is empty',
                    {**good, 'claim': {**good['claim'], name: ' '}},
                )
                for name in ('migration_id', 'instance', 'source')
            ),
        ):
            with (
                self.subTest(told),
                self.assertRaises(errors.DocumentError) as caught,
            ):
                messages.decode_ask(payload)
            self.assertIn(told, str(caught.exception))
            self.assertNotIn('\n', str(caught.exception))

    def test_an_answer_grants_room_or_refuses_it(self):
        """What does neither is refused, and so nothing is copied."""
        room_passed = events.Check('reservation', events.Verdict.PASSED)
        failed = events.Check('tls', events.Verdict.FAILED, 'none')
        for checks, lease_seconds, holds in (
            ((room_passed,), 60.0, True),
            ((failed,), 0.0, True),
            ((room_passed, failed), 60.0, True),
            ((room_passed,), 0.0, False),
            ((room_passed,), -1.0, False),
            ((failed,), -1.0, False),
            ((), 60.0, False),
            ((), 0.0, False),
            (
                (events.Check('reservation', events.Verdict.UNKNOWN),),
                60.0,
                False,
            ),
            ((events.Check('tls', events.Verdict.PASSED),), 60.0, False),
        ):
            answer = messages.Answer(checks, lease_seconds)
            payload = messages.encode_answer(answer)
            with self.subTest(answer):
                if holds:
                    self.assertEqual(answer, messages.decode_answer(payload))
                    continue
                with self.assertRaises(errors.DocumentError) as caught:
                    messages.decode_answer(payload)
                self.assertIn('reservation-answer/1', str(caught.exception))
                self.assertNotIn('\n', str(caught.exception))

    def test_room_is_taken_back_of_a_migration_with_a_name(self):
        for payload in (
            None,
            'm',
            {},
            {'schema': messages.RELEASE_SCHEMA},
            {'schema': messages.RELEASE_SCHEMA, 'migration_id': 7},
            {'schema': messages.RELEASE_SCHEMA, 'migration_id': ''},
        ):
            with (
                self.subTest(payload),
                self.assertRaises(errors.DocumentError) as caught,
            ):
                messages.decode_release(payload)
            self.assertNotIn('\n', str(caught.exception))
