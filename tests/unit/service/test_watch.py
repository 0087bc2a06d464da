"""Whatever hosts send, the agent goes on taking samples of the others."""

import collections
import queue
import re
import threading
import unittest
import uuid

import hypothesis
from hypothesis import strategies

from kvm_balancer.bus import samples
from kvm_balancer.messages import sample as messages
from kvm_balancer.model import observation
from kvm_balancer.service import watch
from tests.fixtures import transports
from tests.unit.messages import readings

_NOW = 1000.0
_PATIENCE = 60.0
_LOG = 'kvm_balancer.service.watch'


def _body(host, sequence=1):
    return messages.encode_sample(
        readings.reading(host, (f'{host}-i',), sequence, _NOW + sequence / 1e6)
    )


def _watch():
    return watch.FleetWatch(observation.Params(), clock=lambda: _NOW)


_SPOILED = _body('spoiled')


@strategies.composite
def _damaged(draw):
    """A sample with a part of it replaced by other bytes, or no sample."""
    if draw(strategies.integers(0, 9)) == 0:
        return draw(strategies.binary(max_size=64))
    start = draw(strategies.integers(0, len(_SPOILED)))
    end = draw(strategies.integers(start, len(_SPOILED)))
    other = draw(
        strategies.one_of(
            strategies.binary(max_size=8),
            strategies.sampled_from(
                (b'', b'NaN', b'-1', b'1e999', b'null', b'[', b'{}', b'"x"')
            ),
        )
    )
    return _SPOILED[:start] + other + _SPOILED[end:]


class TakeTest(unittest.TestCase):
    """A batch of bodies from the bus."""

    @hypothesis.settings(max_examples=50)
    @hypothesis.given(
        strategies.lists(_damaged(), min_size=20, max_size=20),
        strategies.randoms(use_true_random=False),
    )
    def test_damage_harms_only_itself(self, damaged, random):
        """A thousand bodies: all are counted, all good ones are taken."""
        good = [f'good-{number}' for number in range(5)]
        bodies = [*damaged, *map(_body, good)]
        random.shuffle(bodies)
        fleet = _watch()
        # What hosts have done wrong is seen in the log of each.
        with self.assertLogs(_LOG) as logged:
            fleet.take(bodies)
            fleet.take([b'never a sample'])
        accepted, refused = fleet.counts()
        self.assertEqual(len(bodies) + 1, accepted + refused.total())
        self.assertLessEqual(set(good), set(fleet.snapshot().hosts.name))
        told = collections.Counter(
            re.search(r'refused \(([^)]*)\)', line.getMessage())[1]
            for line in logged.records
        )
        self.assertEqual(dict.fromkeys(refused, 1), dict(told))

    def test_a_cause_is_told_again_after_a_while(self):
        now = [_NOW]
        fleet = watch.FleetWatch(observation.Params(), lambda: now[0])
        for at, lines in ((0, 1), (299, 0), (300, 1), (301, 0)):
            now[0] = _NOW + at
            with (
                self.subTest(at),
                self.assertLogs(_LOG) if lines else self.assertNoLogs(_LOG),
            ):
                fleet.take([b'never a sample'] * 3)
        self.assertEqual(12, fleet.counts()[1].total())


class ReaderTest(unittest.TestCase):
    """From a publisher over the bus in memory to the fleet."""

    def test_a_good_sample_arrives_after_damaged_ones(self):
        """The reader's thread outlives whatever it reads."""
        conf = transports.configured('fake://')
        conf.set_override('control_exchange', uuid.uuid4().hex)
        fleet = _watch()
        taken = queue.Queue()

        mine = set()

        def take(bodies):
            # Queues in memory belong to the process: what other tests left
            # in this one is not of this test.
            bodies = [body for body in bodies if body in mine]
            fleet.take(bodies)
            for body in bodies:
                taken.put(body)

        reader = samples.reader(conf, take, batch_seconds=0.01)
        stop = threading.Event()
        thread = threading.Thread(target=reader.run, args=(stop,))
        thread.start()
        self.addCleanup(thread.join, _PATIENCE)
        self.addCleanup(stop.set)
        self.assertTrue(reader.ready.wait(_PATIENCE))
        publisher = samples.Publisher(conf, 'host')
        self.addCleanup(publisher.close)
        damaged = (
            b'',
            b'\xff\x00',
            b'[' * 100_000,
            b'{"schema": "kvm-balancer/sample/1"}',
            _SPOILED[:-9],
            _SPOILED.replace(b'16.0', b'1e999'),
        )
        with self.assertLogs(_LOG):
            for number in range(3):
                for body in (*damaged, _body(f'good-{number}')):
                    mine.add(body)
                    self.assertTrue(publisher.publish(body))
                    self.assertEqual(body, taken.get(timeout=_PATIENCE))
        self.assertTrue(thread.is_alive())
        accepted, refused = fleet.counts()
        self.assertEqual(3, accepted)
        self.assertEqual(3 * len(damaged), refused.total())
        self.assertEqual(
            {'good-0', 'good-1', 'good-2'}, set(fleet.snapshot().hosts.name)
        )


if __name__ == '__main__':
    unittest.main()
