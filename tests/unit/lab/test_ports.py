"""Ports for servers that have not begun to listen yet."""

import unittest
from unittest import mock

from kvm_balancer.lab import ports


class FreePortTest(unittest.TestCase):
    def test_each_is_given_once_however_they_are_drawn(self):
        drawn = [number for number in range(1000) for _ in range(2)]
        with mock.patch.object(
            ports.secrets, 'randbelow', autospec=True, side_effect=drawn
        ):
            given = [ports.free() for _ in range(3)]
        self.assertEqual(3, len(set(given)), given)
