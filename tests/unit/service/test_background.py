"""The thread that does work again and again."""

import queue
import threading

import testtools

from kvm_balancer.service import background

_PATIENCE_SECONDS = 60.0


class TestBackground(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.done = queue.SimpleQueue()
        self.seconds = None
        self.work = background.Background('work', self._run)
        self.addCleanup(self.work.stop)

    def _run(self):
        while self.work.pause(self.seconds):
            self.done.put('round')
        self.done.put('over')

    def _next(self):
        return self.done.get(timeout=_PATIENCE_SECONDS)

    def test_it_works_when_its_pause_is_over(self):
        self.seconds = 0.01
        self.work.start()
        self.assertEqual(['round', 'round'], [self._next(), self._next()])

    def test_it_works_when_it_is_woken(self):
        self.work.start()
        self.work.wake()
        self.assertEqual('round', self._next())
        self.work.wake()
        self.assertEqual('round', self._next())

    def test_woken_before_it_pauses_it_works_at_once(self):
        self.work.wake()
        self.work.start()
        self.assertEqual('round', self._next())

    def test_its_end_cuts_the_pause_short(self):
        self.work.start()
        self.work.stop()
        self.assertTrue(self.work.ending)
        self.assertFalse(self.work.alive)
        self.assertEqual('over', self._next())

    def test_its_end_does_not_wait_longer_than_it_may(self):
        over = threading.Event()
        self.addCleanup(over.set)
        work = background.Background('stuck', over.wait, 0.01)
        work.start()
        work.stop()
        self.assertTrue(work.alive)

    def test_what_has_not_begun_ends_as_well(self):
        self.work.stop()
        self.assertFalse(self.work.pause())
        self.assertFalse(self.work.alive)
