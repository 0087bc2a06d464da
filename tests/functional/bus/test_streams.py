"""Samples and progress on a real RabbitMQ."""

import queue
import signal
from unittest import mock

from kvm_balancer.bus import progress
from kvm_balancer.bus import samples
from kvm_balancer.bus import streams
from kvm_balancer.messages import sample as messages
from tests.functional.bus import base
from tests.unit.messages import readings


def taken(got, count):
    """Return *count* messages out of a queue of batches."""
    found = []
    while len(found) < count:
        found.extend(got.get(timeout=base.PATIENCE))
    return found


class TestStreams(base.BrokerCase):
    """What a reader gets, and what stays on the broker."""

    def publisher(self):
        """Return a publisher of samples."""
        publisher = samples.Publisher(self.conf, 'host-1')
        self.addCleanup(publisher.close)
        return publisher

    def close_reader(self, got):
        """End a reader."""
        got.stop.set()
        got.thread.join(base.PATIENCE)
        self.assertFalse(got.thread.is_alive())

    def test_a_sample_crosses_the_broker(self):
        """What the agent decodes is what the executor took."""
        got = self.read(samples.reader)
        sent = readings.reading()
        self.assertTrue(self.publisher().publish(messages.encode_sample(sent)))
        [body] = taken(got, 1)
        self.assertEqual(sent, messages.decode_sample(body))

    def test_messages_come_in_batches_and_in_order(self):
        """Many at once, none lost, none twice, all acknowledged."""
        got = self.read(samples.reader, batch_size=40)
        publisher = self.publisher()
        sent = [str(n).encode() for n in range(200)]
        for body in sent:
            self.assertTrue(publisher.publish(body))
        self.assertEqual(sent, taken(got, 200))
        self.close_reader(got)
        self.assertEqual(0, self.depth(samples.NAME))

    def test_who_reads_knows_whether_it_is_the_only_one(self):
        """Two share what comes, which neither of them sees by that."""
        self.enterContext(mock.patch.object(streams, '_COUNT_SECONDS', 0.0))
        self.enterContext(mock.patch.object(streams, '_DEAD_SECONDS', 0.0))
        told = queue.SimpleQueue()
        got = self.read(samples.reader, on_others=lambda: told.put(True))
        publisher = self.publisher()
        for body in (b'one', b'two'):
            # who takes the second has counted after the first
            self.assertTrue(publisher.publish(body))
            self.assertEqual([body], taken(got, 1))
        self.assertTrue(told.empty())
        self.read(samples.reader)
        self.assertTrue(told.get(timeout=base.PATIENCE))

    def test_a_dead_agent_does_not_fill_the_broker(self):
        """The queue keeps its length; the oldest are dropped."""
        self.close_reader(self.read(samples.reader, queue_length=10))
        publisher = self.publisher()
        for n in range(50):
            self.assertTrue(publisher.publish(str(n).encode()))
        got = self.read(samples.reader, queue_length=10)
        found = taken(got, 10)
        self.assertEqual([str(n).encode() for n in range(40, 50)], found)
        self.assertTrue(got.empty())

    def test_old_samples_leave_the_broker_by_themselves(self):
        """The queue carries a time limit."""
        self.close_reader(self.read(samples.reader, queue_ttl_seconds=1))
        with self.channel() as channel:
            # Declaring it otherwise would be refused.
            channel.queue_declare(
                samples.NAME,
                durable=True,
                auto_delete=False,
                arguments={
                    'x-max-length': 50_000,
                    'x-overflow': 'drop-head',
                    'x-message-ttl': 1000,
                },
            )

    def test_other_limits_are_told_with_what_to_do(self):
        """The line names queue and options, and the reader recovers."""
        self.close_reader(self.read(samples.reader, queue_length=10))
        with self.assertLogs('kvm_balancer.bus') as logs:
            other = samples.reader(self.conf, print, queue_length=20)
            self.run_until_trouble(other)
        [line] = logs.output
        self.assertIn('delete_queue kvm_balancer.samples', line)
        self.assertIn('[samples] queue_length', line)

    def run_until_trouble(self, reader):
        """Let a reader try until it has logged that it cannot."""

        class Once:
            """An event that is set once something was waited for."""

            told = False

            def is_set(self):
                return self.told

            def wait(self, _seconds):
                self.told = True

        reader.run(Once())

    def test_reader_and_publisher_come_back_after_a_broker_died(self):
        """Neither hangs nor gives up; one line each way."""
        got = self.read(samples.reader)
        publisher = self.publisher()
        self.assertTrue(publisher.publish(b'before'))
        self.assertEqual([b'before'], taken(got, 1))
        with self.assertLogs('kvm_balancer.bus') as logs:
            self.broker.kill(signal.SIGKILL)
            while publisher.publish(b'while it is dead'):
                pass
            self.broker.start(wait_seconds=300.0)
            self.assertTrue(got.reader.ready.wait(base.PATIENCE))
            publisher._not_before = 0.0
            while not publisher.publish(b'after'):
                pass
        while got.get(timeout=base.PATIENCE)[-1] != b'after':
            pass
        again = [line for line in logs.output if 'again' in line]
        self.assertEqual(2, len(again), logs.output)
        self.assertLessEqual(len(logs.output), 8, logs.output)
        self.assertFalse([line for line in logs.output if 'Trace' in line])

    def test_progress_is_durable_and_limited(self):
        """Queue and messages are; the oldest make room."""
        self.close_reader(self.read(progress.reader, length=3))
        publisher = progress.Publisher(self.conf, 'host-1')
        self.addCleanup(publisher.close)
        for n in range(5):
            self.assertTrue(publisher.publish({'n': n}))
        self.assertTrue(publisher.publish({'n': 5}))
        with self.channel() as channel:
            channel.queue_declare(
                progress.NAME,
                durable=True,
                auto_delete=False,
                arguments={
                    'x-max-length': 3,
                    'x-overflow': 'drop-head',
                    'x-message-ttl': 600_000,
                },
            )
            message = channel.basic_get(progress.NAME, no_ack=True)
        self.assertEqual(2, message.properties['delivery_mode'])
