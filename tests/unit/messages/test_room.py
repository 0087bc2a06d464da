"""What executors say about room arrives as it was sent, or is refused."""

import unittest

from kvm_balancer import errors
from kvm_balancer.messages import room as messages
from kvm_balancer.migration import events
from kvm_balancer.migration import request
from kvm_balancer.migration import room

_CLAIM = room.Claim('m', 'i', 'here', 512.0, 2048, 30.0)
_ASK = messages.Ask(_CLAIM, request.Options(tls=True))


class RoomTest(unittest.TestCase):
    def test_everything_comes_back_as_it_was(self):
        answer = messages.Answer(
            (events.Check('room', events.Verdict.FAILED, 'none', 'wait'),),
            60.0,
            50.0,
        )
        for noun, encode, decode in (
            (_ASK, messages.encode_ask, messages.decode_ask),
            (answer, messages.encode_answer, messages.decode_answer),
            (_CLAIM, messages.encode_claim, messages.decode_claim),
        ):
            with self.subTest(encode.__name__):
                self.assertEqual(noun, decode(encode(noun)))

    def test_what_does_not_fit_is_refused_in_one_line(self):
        good = messages.encode_ask(_ASK)
        for told, payload in (
            ('expected an object', None),
            ('room-ask/1', {**good, 'schema': 'kvm-balancer/room-ask/2'}),
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
                'which is no room',
                {**good, 'claim': {**good['claim'], 'memory_mib': 0.0}},
            ),
            (
                'which is no room',
                {**good, 'claim': {**good['claim'], 'bandwidth_mib_s': -1.0}},
            ),
        ):
            with (
                self.subTest(told),
                self.assertRaises(errors.DocumentError) as caught,
            ):
                messages.decode_ask(payload)
            self.assertIn(told, str(caught.exception))
            self.assertNotIn('\n', str(caught.exception))
