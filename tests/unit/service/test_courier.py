"""A message leaves the outbox when it was confirmed, and not before."""

import pathlib
import tempfile
import threading
import unittest

from kvm_balancer import errors
from kvm_balancer.service import courier
from kvm_balancer.store import outbox

TIMEOUT_SECONDS = 60.0


class CourierTest(unittest.TestCase):
    def setUp(self):
        super().setUp()
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        self.memory = outbox.Outbox(pathlib.Path(made.name) / 'outbox.sqlite')
        self.addCleanup(self.memory.close)
        self.changed = threading.Condition()
        self.broken = 0
        self.trouble = errors.BusError('the broker is gone')
        self.tries = 0
        self.sent = []

    def send(self, message):
        with self.changed:
            self.tries += 1
            self.changed.notify_all()
            if self.broken:
                self.broken -= 1
                raise self.trouble
            self.sent.append(message.key)

    def start(self):
        started = courier.Courier(self.memory, self.send, retry_seconds=0.01)
        self.addCleanup(started.stop)
        started.start()
        return started

    def wait_for(self, condition):
        with self.changed:
            self.assertTrue(self.changed.wait_for(condition, TIMEOUT_SECONDS))

    def test_what_an_earlier_run_left_is_sent_first(self):
        self.memory.put('outcome', 'a', b'{}')
        started = self.start()
        self.wait_for(lambda: self.sent == ['a'])
        self.memory.put('outcome', 'b', b'{}')
        started.wake()
        self.wait_for(lambda: self.sent == ['a', 'b'])
        started.stop()
        self.assertEqual([], self.memory.pending())

    def test_what_was_not_confirmed_is_sent_again_and_in_order(self):
        self.broken = 3
        self.memory.put('outcome', 'a', b'{}')
        self.memory.put('outcome', 'b', b'{}')
        self.start()
        self.wait_for(lambda: self.sent == ['a', 'b'])
        self.assertEqual(5, self.tries)

    def test_an_error_that_nobody_expects_does_not_end_it(self):
        self.broken = 3
        self.trouble = AttributeError('no channel')
        self.memory.put('outcome', 'a', b'{}')
        with self.assertLogs('kvm_balancer.service.courier') as log:
            self.start()
            self.wait_for(lambda: self.sent == ['a'])
        self.assertEqual(1, sum('Traceback' in one for one in log.output))

    def test_what_the_broker_has_is_not_sent_again(self):
        """Though the outbox keeps it, as its disk is full."""
        done, full = self.memory.done, [True] * 3

        def refuse(number):
            if full:
                with self.changed:
                    full.pop()
                    self.changed.notify_all()
                raise errors.StoreError('the disk is full')
            done(number)

        self.memory.done = refuse
        self.memory.put('outcome', 'a', b'{}')
        started = self.start()
        self.wait_for(lambda: not full)
        self.memory.put('outcome', 'b', b'{}')
        started.wake()
        self.wait_for(lambda: self.sent == ['a', 'b'])
        self.assertEqual(2, self.tries)

    def test_what_was_not_confirmed_is_there_when_it_ends(self):
        self.broken = 1_000_000
        self.memory.put('outcome', 'a', b'{}')
        started = self.start()
        self.wait_for(lambda: self.tries >= 2)
        started.stop()
        self.assertEqual(['a'], [one.key for one in self.memory.pending()])
