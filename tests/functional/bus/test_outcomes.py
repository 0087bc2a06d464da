"""Outcomes on a real RabbitMQ: none is lost."""

import queue
import signal
import threading

from kvm_balancer import errors
from kvm_balancer.bus import notifications
from tests.functional.bus import base


class TestOutcomes(base.BrokerCase):
    """An outcome is kept until it is stored."""

    def test_it_waits_for_an_agent_and_survives_the_broker(self):
        """Nobody listens, the broker is killed, and it comes all the same."""
        self.outcome_publisher().publish({'migration_id': 'm-1'})
        self.assertEqual(1, self.depth(base.OUTCOMES))
        self.broker.kill(signal.SIGKILL)
        self.broker.start(wait_seconds=300.0)
        self.assertEqual(1, self.depth(base.OUTCOMES))
        got = queue.Queue()
        self.listen(got.put)
        self.assertEqual(
            {'migration_id': 'm-1'}, got.get(timeout=base.PATIENCE)
        )

    def test_the_broker_holds_it_durably(self):
        """A durable queue, and a persistent message."""
        self.outcome_publisher().publish({'migration_id': 'm-1'})
        with self.channel() as channel:
            # Declaring it otherwise would be refused.
            channel.queue_declare(
                base.OUTCOMES, durable=True, auto_delete=False
            )
            message = channel.basic_get(base.OUTCOMES, no_ack=True)
        self.assertEqual(2, message.properties['delivery_mode'])

    def test_it_is_acknowledged_after_it_was_stored_and_not_before(self):
        """A listener that dies while it stores leaves it on the broker."""
        stored, storing = threading.Event(), threading.Event()

        def take(_payload):
            storing.set()
            self.assertTrue(stored.wait(base.PATIENCE))

        self.outcome_publisher().publish({'migration_id': 'm-1'})
        listener = self.listen(take)
        self.assertTrue(storing.wait(base.PATIENCE))
        # The connection ends, as it would with the process.
        self.addCleanup(stored.set)
        listener._listener.listener._poll_style_listener.conn.close()
        got = queue.Queue()
        self.listen(got.put)
        self.assertEqual(
            {'migration_id': 'm-1'}, got.get(timeout=base.PATIENCE)
        )

    def test_what_could_not_be_stored_comes_again(self):
        """After a pause, until it is stored; then it is gone."""
        attempts = queue.Queue()
        trouble = [errors.StoreError('locked'), RuntimeError('oops')]

        def take(payload):
            attempts.put(payload)
            if trouble:
                raise trouble.pop()

        with self.assertLogs('kvm_balancer.bus.notifications') as logs:
            listener = self.listen(take)
            self.outcome_publisher().publish({'migration_id': 'm-1'})
            for _ in range(3):
                attempts.get(timeout=base.PATIENCE)
            listener.stop()
        self.assertEqual(0, self.depth(base.OUTCOMES))
        self.assertEqual(3, len(logs.output), logs.output)

    def test_what_is_no_outcome_does_not_come_again(self):
        """It is told, and those behind it are taken."""
        got = queue.Queue()

        def take(payload):
            if payload['n'] == 1:
                raise errors.DocumentError('no outcome')
            got.put(payload)

        publisher = self.outcome_publisher()
        publisher.publish({'n': 1})
        publisher.publish({'n': 2})
        with self.assertLogs('kvm_balancer.bus.notifications') as logs:
            self.listen(take)
            self.assertEqual({'n': 2}, got.get(timeout=base.PATIENCE))
        self.assertIn('no outcome', logs.output[0])

    def test_others_read_outcomes_from_a_queue_of_their_own(self):
        """A pool gets a copy; the agent's queue keeps its own."""
        mine, theirs = queue.Queue(), queue.Queue()
        self.listen(mine.put)
        self.listen(theirs.put, pool='someone-else')
        self.outcome_publisher().publish({'n': 1})
        for got in (mine, theirs):
            self.assertEqual({'n': 1}, got.get(timeout=base.PATIENCE))

    def test_what_the_agent_tells_is_for_the_others(self):
        """It leaves the agent's own queue unread."""
        publisher = notifications.OutcomePublisher(self.conf)
        self.addCleanup(publisher.close)
        got, others = queue.Queue(), queue.Queue()
        self.listen(others.put, pool='accounting')
        publisher.publish({'migration_id': 'm-1'})
        self.outcome_publisher().publish({'migration_id': 'm-2'})
        self.assertEqual(2, self.depth(base.OUTCOMES))
        listener = self.listen(got.put)
        self.assertEqual(
            {'migration_id': 'm-2'}, got.get(timeout=base.PATIENCE)
        )
        for name in ('m-1', 'm-2'):
            self.assertEqual(
                {'migration_id': name}, others.get(timeout=base.PATIENCE)
            )
        listener.stop()
        self.assertEqual(0, self.depth(base.OUTCOMES))

    def test_a_broker_that_dies_is_told_to_the_sender(self):
        """In bounded time, so that the outcome stays in the outbox."""
        publisher = self.outcome_publisher()
        publisher.publish({'n': 1})
        self.broker.kill(signal.SIGKILL)
        try:
            for _ in range(2):
                with self.assertRaises(errors.BusError) as caught:
                    publisher.publish({'n': 2})
                self.assertNotIn('\n', str(caught.exception))
        finally:
            self.broker.start(wait_seconds=300.0)
        publisher.publish({'n': 3})
        self.assertEqual(2, self.depth(base.OUTCOMES))
