"""A name is resolved, or said not to be, within a bounded time."""

import socket
import threading
import unittest

from kvm_balancer.virt import resolver
from kvm_balancer.virt.libvirt import resolution


def _says(error):
    def look_up(*_):
        raise error

    return look_up


class ResolveTest(unittest.TestCase):
    def test_an_address_stands_for_itself(self):
        self.assertEqual(
            [(socket.AF_INET, '192.0.2.1')], resolver.resolve('192.0.2.1')
        )
        self.assertEqual(
            [(socket.AF_INET6, '2001:db8::1')],
            resolver.resolve('2001:db8::1'),
        )

    def test_a_name_that_nobody_knows_is_told_from_no_answer(self):
        gai = socket.gaierror
        for error, expected in (
            (gai(socket.EAI_NONAME, 'unknown'), resolver.NoSuchName),
            (UnicodeError('label too long'), resolver.NoSuchName),
            (gai(socket.EAI_AGAIN, 'try again'), resolver.NoAnswer),
            (gai(socket.EAI_FAIL, 'failed'), resolver.NoAnswer),
            (OSError('no files left'), resolver.NoAnswer),
            (RuntimeError('what nobody expects'), resolver.NoAnswer),
        ):
            with self.subTest(error=error):
                with self.assertRaises(expected) as raised:
                    resolver.resolve('web', look_up=_says(error))
                self.assertIn('web', str(raised.exception))

    def test_a_name_without_an_address_is_none(self):
        with self.assertRaises(resolver.NoSuchName) as raised:
            resolver.resolve('web', look_up=lambda *_: [])
        self.assertIn('web', str(raised.exception))

    def test_a_server_that_is_silent_is_not_waited_for(self):
        answered = threading.Event()
        self.addCleanup(answered.set)

        def look_up(*_):
            answered.wait()
            return []

        with self.assertRaises(resolver.NoAnswer):
            resolver.resolve('web', 0.01, look_up)


class CheckTest(unittest.TestCase):
    def check(self, address, local=True):
        return [
            (one.name, one.verdict.value, bool(one.remedy))
            for one in resolution.checks(address, local)
        ]

    def test_the_source_has_to_know_the_address_of_the_stream(self):
        for address, local, expected in (
            ('', True, []),
            ('192.0.2.1', True, [('address', 'passed', False)]),
            ('.' * 300, True, [('address', 'failed', True)]),
            # nothing is to be resolved
            ('192.0.2.1', False, [('address', 'passed', False)]),
            ('[2001:db8::1]', False, [('address', 'passed', False)]),
            # only the source itself can tell
            ('web', False, [('address', 'unknown', True)]),
        ):
            with self.subTest(address=address, local=local):
                self.assertEqual(expected, self.check(address, local))
