"""What a source sees reaches a migration that another driver carries."""

import queue
import threading
import time
import unittest

from kvm_balancer import errors
from kvm_balancer.messages import observation
from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from kvm_balancer.migration import request
from kvm_balancer.service import lent_eyes
from kvm_balancer.virt import driver
from kvm_balancer.virt import steady

_PATIENCE_SECONDS = 120.0


class _Carriers(driver.Carriers):
    """Does nothing, and remembers what it was told to do."""

    def __init__(self):
        self.performed = []
        self.closed = False

    def connect(self):
        """It is there."""

    def carrier(self, wanted, sink, clock=None):
        self.tell = sink
        return _Carrier(self)

    def close(self):
        """There is nothing to let go of."""


class _Carrier(driver.Carrier):
    def __init__(self, behind):
        self._behind = behind

    def perform(self, instruction):
        self._behind.performed.append(instruction)

    def close(self):
        self._behind.closed = True


class LentEyesTest(unittest.TestCase):
    def setUp(self):
        super().setUp()
        self.behind = _Carriers()
        self.told = queue.SimpleQueue()
        self.asks = queue.SimpleQueue()
        #: answers, or errors, that the executor of the source has ready
        self.answers = queue.SimpleQueue()
        self.clock = steady.SteadyClock()
        wanted = request.Request(
            migration_id='m1',
            instance='uuid',
            source='cmp1',
            destination='cmp2',
            destination_uri='',
            accepted_at=time.time(),
        )
        self.carrier = lent_eyes.SeenCarriers(
            self.behind, self.answer, 0.001
        ).carrier(wanted, self.told.put, self.clock)
        self.addCleanup(self.carrier.close)
        # Whoever waits for an answer is let go of.
        self.addCleanup(self.answers.put, errors.BusError('over'))

    def answer(self, host, ask):
        self.asks.put((host, ask))
        ready = self.answers.get(timeout=_PATIENCE_SECONDS)
        if isinstance(ready, Exception):
            raise ready
        return ready

    def event(self):
        return self.told.get(timeout=_PATIENCE_SECONDS)

    def asked(self):
        return self.asks.get(timeout=_PATIENCE_SECONDS)

    def seen(self, number, event, age=2.0):
        return observation.seen(number, event, event.at + age)

    def stopped(self):
        return events.SourceStopped(at=0.0, cause='the source')

    def over(self):
        return events.CallReturned(at=0.0, cause='the source')

    def test_instructions_go_to_the_driver_alone(self):
        wishes = [instructions.Check(), instructions.StartPostCopy()]
        for wish in wishes:
            self.carrier.perform(wish)
        self.assertEqual(wishes, self.behind.performed)
        self.assertTrue(self.asks.empty())

    def test_the_source_is_asked_from_the_start_on(self):
        self.carrier.perform(instructions.Start())
        host, ask = self.asked()
        self.assertEqual('cmp1', host)
        self.assertEqual(observation.Ask('uuid', 'm1'), ask)
        self.answers.put(
            observation.Answer('w', (self.seen(5, self.stopped()),))
        )
        told = self.event()
        self.assertIsInstance(told, events.SourceStopped)
        # Two seconds old, by the clock of who is told.
        self.assertAlmostEqual(self.clock() - 2.0, told.at, delta=60.0)
        self.assertEqual(
            observation.Ask('uuid', 'm1', 'w', 5), self.asked()[1]
        )

    def test_an_executor_that_began_anew_counts_anew(self):
        self.carrier.perform(instructions.Follow())
        for watch, number in (('w', 7), ('anew', 1)):
            self.answers.put(
                observation.Answer(watch, (self.seen(number, self.stopped()),))
            )
            self.asked()
            self.event()
        self.assertEqual(
            observation.Ask('uuid', 'm1', 'anew', 1), self.asked()[1]
        )

    def test_when_the_job_is_over_nobody_is_asked_any_more(self):
        # of another test there may still be some, on their way out
        before = set(threading.enumerate())
        self.carrier.perform(instructions.Start())
        begun = set(threading.enumerate()) - before
        (eyes,) = [one for one in begun if one.name == 'eyes-m1']
        self.answers.put(observation.Answer('w', (self.seen(1, self.over()),)))
        eyes.join(_PATIENCE_SECONDS)
        self.assertFalse(eyes.is_alive())
        self.asked()
        self.assertTrue(self.asks.empty())
        # How it ended is for the driver to say.
        self.assertTrue(self.told.empty())

    def test_without_an_executor_the_driver_alone_tells(self):
        self.answers.put(errors.BusError('cmp1 is not on the bus'))
        self.carrier.perform(instructions.Start())
        self.asked()
        returned = events.CallReturned(at=1.0, cause='Nova')
        self.behind.tell(returned)
        self.assertEqual(returned, self.event())

    def test_after_close_nothing_is_told(self):
        self.carrier.perform(instructions.Start())
        self.asked()
        (eyes,) = [
            one for one in threading.enumerate() if one.name == 'eyes-m1'
        ]
        self.carrier.close()
        self.assertTrue(self.behind.closed)
        self.behind.tell(self.stopped())
        self.answers.put(
            observation.Answer('w', (self.seen(1, self.stopped()),))
        )
        eyes.join(_PATIENCE_SECONDS)
        self.assertFalse(eyes.is_alive())
        self.assertTrue(self.told.empty())
