"""Echo requests are well formed, and gaps between answers are found."""

import struct
import unittest

import hypothesis
from hypothesis import strategies

from kvm_balancer import errors
from kvm_balancer.lab import pinger

_WORDS = strategies.integers(0, 2**16 - 1)


def _answer(request):
    """Return what a host sends back, with the IPv4 header before it."""
    return bytes([0x45, *bytes(19)]) + b'\0' + request[1:]


class PingerTest(unittest.TestCase):
    @hypothesis.given(_WORDS, strategies.integers(0, 2**40))
    def test_an_answer_is_known_by_the_request(self, identity, number):
        request = pinger.request(identity, number)
        total = sum(struct.unpack(f'>{len(request) // 2}H', request))
        # The sum over everything, with the checksum, is all ones (RFC 1071).
        self.assertEqual(0, total % 0xFFFF)
        answer = _answer(request)
        self.assertEqual(number, pinger.answered(answer, identity))
        self.assertIsNone(pinger.answered(answer, identity ^ 1))
        self.assertIsNone(pinger.answered(answer[:-1], identity))
        self.assertIsNone(
            pinger.answered(answer[:20] + request, identity),
        )

    def test_the_find_gap_is_found_with_what_was_lost_in_it(self):
        answers = {1: 1_000_000, 2: 11_000_000, 5: 41_000_000, 6: 51_000_000}
        answers |= {7: 151_000_000}
        self.assertEqual(
            pinger.Gap(11_000_000, 30_000, 2),
            pinger.find_gap(answers, 0, 'it'),
        )
        self.assertEqual(
            pinger.Gap(51_000_000, 100_000, 0),
            pinger.find_gap(answers, 41_000_000, 'it'),
        )

    def test_one_answer_has_no_gap(self):
        with self.assertRaisesRegex(errors.LabError, 'it has not answered'):
            pinger.find_gap({1: 5}, 0, 'it')
