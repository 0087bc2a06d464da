"""A job is told to end until it hears it, and by one call at a time."""

import queue
import threading
import unittest
from unittest import mock

from kvm_balancer.virt.libvirt import abort
from kvm_balancer.virt.libvirt import connection

TIMEOUT_SECONDS = 60.0


class AbortTest(unittest.TestCase):
    def test_one_that_hangs_is_not_followed_by_others(self):
        calls, returns = queue.SimpleQueue(), queue.SimpleQueue()
        link = mock.create_autospec(connection.Connection, instance=True)

        def call(_work):
            calls.put(threading.current_thread())
            returns.get(timeout=TIMEOUT_SECONDS)

        link.call.side_effect = call
        wish = abort.Abort(link, 'an instance')
        with mock.patch.object(abort, '_AGAIN_SECONDS', 0.0):
            before = set(threading.enumerate())
            for _ in range(5):
                wish.tell_again()
            first = calls.get(timeout=TIMEOUT_SECONDS)
            for one in set(threading.enumerate()) - before - {first}:
                one.join(TIMEOUT_SECONDS)
            self.assertTrue(calls.empty())
            returns.put(None)
            first.join(TIMEOUT_SECONDS)
            wish.tell_again()
            returns.put(None)
            calls.get(timeout=TIMEOUT_SECONDS).join(TIMEOUT_SECONDS)
