"""One line for an outage of the broker."""

import json
import logging
import sys
import unittest

from kvm_balancer.bus import outages

UNREACHABLE = (
    '[%(connection_id)s] AMQP server on %(hostname)s:%(port)s is '
    'unreachable: %(err_str)s.'
)
RECONNECTED = '[%(connection_id)s] Reconnected to AMQP server on %(hostname)s'


def record(text, exc_info=None):
    """Return what a library would log."""
    return logging.LogRecord('oslo', logging.ERROR, '', 1, text, (), exc_info)


class TestOncePerOutage(unittest.TestCase):
    """What passes, and what does not."""

    def test_an_outage_is_told_once_and_so_is_its_end(self):
        """Whatever the attempts and connections."""
        once = outages.OncePerOutage()
        story = (
            (RECONNECTED, False),
            (UNREACHABLE, True),
            (UNREACHABLE, False),
            ('Connection failed: %s (retrying in %s seconds)', False),
            ('Unable to connect to AMQP server on h:1 after 1 tries', False),
            ('Queue %s could not be declared', True),
            (RECONNECTED, True),
            (RECONNECTED, False),
            (UNREACHABLE, True),
        )
        for text, passes in story:
            with self.subTest(text):
                self.assertEqual(passes, once.filter(record(text)))

    def test_an_outage_is_told_without_a_traceback(self):
        """One line is one line."""
        told = record(
            'Failed to process incoming message, retrying..',
            (ValueError, ValueError('x'), None),
        )
        self.assertTrue(outages.OncePerOutage().filter(told))
        self.assertIsNone(told.exc_info)


class LineForRubbishTest(unittest.TestCase):
    """A message of nobody's, and one that our own code does not stand."""

    def told(self, text, fail):
        try:
            fail()
        except Exception:
            seen = record(text, sys.exc_info())
        self.assertTrue(outages.LineForRubbish().filter(seen))
        return seen

    def test_what_the_libraries_cannot_read_is_one_line(self):
        for text in (
            'Failed to process message ... skipping it.',
            'Exception during message handling',
        ):
            with self.subTest(text):
                seen = self.told(text, lambda: json.loads('rubbish'))
                self.assertIsNone(seen.exc_info)
                self.assertRegex(
                    seen.getMessage(), r'passed over: .*: Expecting value'
                )

    def test_a_defect_of_ours_tells_where_it_is(self):
        seen = self.told(
            'Exception during message handling',
            lambda: outages.OncePerOutage().filter(None),
        )
        self.assertIsNotNone(seen.exc_info)
        self.assertEqual(
            'Exception during message handling', seen.getMessage()
        )
