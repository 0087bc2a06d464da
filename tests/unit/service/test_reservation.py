"""Executors grant leases to each other, renew them, and give them back."""

import dataclasses
import pathlib
import queue
import tempfile
import threading
import time
import unittest
from unittest import mock

import msgspec

from kvm_balancer import errors
from kvm_balancer.messages import reservation as messages
from kvm_balancer.migration import capacity
from kvm_balancer.migration import events
from kvm_balancer.migration import headroom
from kvm_balancer.migration import request
from kvm_balancer.migration import reservation
from kvm_balancer.migration.convergence import adaptive
from kvm_balancer.migration.lifecycle import machine
from kvm_balancer.model import outcome
from kvm_balancer.service import migrations
from kvm_balancer.service import network
from kvm_balancer.service import reception
from kvm_balancer.service import reservations
from kvm_balancer.service import sharing
from kvm_balancer.store import outbox
from tests.unit.service import worlds

TIMEOUT_SECONDS = 60.0


class Silent:
    """Destinations that do not answer."""

    def __init__(self):
        self.released = queue.SimpleQueue()

    def reserve(self, host, ask):
        raise errors.BusError(f'{host} did not answer reserve')

    def release(self, host, migration_id):
        self.released.put(migration_id)
        raise errors.BusError(f'{host} did not answer release')


class Sayer(Silent):
    """Destinations that say one thing."""

    def __init__(self, answer):
        super().__init__()
        self._payload = messages.encode_answer(answer)

    def reserve(self, host, ask):
        return messages.decode_answer(self._payload)


class Unfair(sharing.Sharing):
    """What one host's migrations fall out over."""

    def __init__(self):
        super().__init__('here', 1000.0)

    def join(self, *_):
        raise ZeroDivisionError('cannot be shared')


class Direct:
    """Destinations in this process; they remember who was released."""

    def __init__(self, **receptions):
        self._receptions = receptions
        self.released = queue.SimpleQueue()

    def reserve(self, host, ask):
        payload = messages.encode_ask(ask)
        answer = self._receptions[host].reserve(messages.decode_ask(payload))
        return messages.decode_answer(messages.encode_answer(answer))

    def release(self, host, migration_id):
        self._receptions[host].release(migration_id)
        self.released.put(migration_id)


class Noting(Direct):
    """Such that remember what they were asked, too."""

    def __init__(self, **receptions):
        super().__init__(**receptions)
        self.asked = queue.SimpleQueue()

    def reserve(self, host, ask):
        answer = super().reserve(host, ask)
        self.asked.put(ask)
        return answer


class Hesitant:
    """A driver that tells of a host's space when it is let."""

    def __init__(self, whole):
        self._whole = whole
        self.asked = threading.Event()
        self.goes_on = threading.Event()

    def __getattr__(self, name):
        return getattr(self._whole, name)

    def read_capacity(self, directories=()):
        found = self._whole.read_capacity(directories)
        self.asked.set()
        self.goes_on.wait(TIMEOUT_SECONDS)
        return found


class Choosy:
    """A driver of a host without certificates."""

    def __init__(self, whole):
        self._whole = whole

    def __getattr__(self, name):
        return getattr(self._whole, name)

    def welcome(self, options):
        return (events.Check('tls', events.Verdict.FAILED, 'none'),)


class Busy(Choosy):
    """A driver of a host on whose network 96 of 100 MiB/s are in use."""

    def welcome(self, options):
        return ()

    def traffic(self, address, incoming):
        return headroom.Traffic('eth0', 96.0, 100.0)


class Slow(Busy):
    """A driver of a host whose network carries 40 MiB/s."""

    def traffic(self, address, incoming):
        return headroom.Traffic('eth0', 0.0, 40.0)

    def interface_mib_s(self, address, incoming):
        return 40.0


def ask(name, memory_mib=512.0, **options):
    return messages.Ask(
        reservation.Claim(f'm-{name}', f'i-{name}', 'here', memory_mib),
        request.Options(**options),
    )


def verdicts(answer):
    return {one.name: one.verdict.value for one in answer.checks}


class Ground(unittest.TestCase):
    def setUp(self):
        super().setUp()
        self.world = worlds.World('here', 'there')
        self.addCleanup(self.world.close)
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        self.path = pathlib.Path(made.name) / 'executor.sqlite'
        self.now = 1000.0
        self.reception = self.build()

    def build(self, hypervisor=None, measure_seconds=60.0, **terms):
        self.memory = memory = outbox.Outbox(self.path)
        self.addCleanup(memory.close)
        return reception.Reception(
            reception.Params(
                capacity.Terms(**{'max_incoming': 9, **terms}), 60.0, 100.0
            ),
            hypervisor or self.world.driver('there'),
            memory,
            clock=lambda: self.now,
            measure_seconds=measure_seconds,
        )


class ReceptionTest(Ground):
    def test_memory_is_promised_once_and_refused_with_who_has_it(self):
        for _ in range(2):
            answer = self.reception.reserve(ask('a', 5000.0))
            self.assertEqual('passed', verdicts(answer)['reservation'])
            self.assertEqual(60.0, answer.lease_seconds)
        answer = self.reception.reserve(ask('b', 5000.0))
        self.assertEqual({'reservation': 'failed'}, verdicts(answer))
        self.assertEqual(0.0, answer.lease_seconds)
        self.assertIn('migration m-a from here', answer.checks[0].reason)

    def test_of_many_that_race_for_the_last_memory_one_wins(self):
        gate = threading.Barrier(8)
        answers = queue.SimpleQueue()

        def race(number):
            gate.wait(TIMEOUT_SECONDS)
            answers.put(self.reception.reserve(ask(number, 5000.0)))

        threads = [
            threading.Thread(target=race, args=(number,))
            for number in range(8)
        ]
        for one in threads:
            one.start()
        for one in threads:
            one.join(TIMEOUT_SECONDS)
        got = [answers.get() for _ in threads]
        self.assertEqual(1, sum(one.lease_seconds > 0 for one in got))

    def test_what_lapses_or_is_released_can_be_promised_again(self):
        self.reception.reserve(ask('a', 5000.0))
        self.now += 59.0
        self.reception.reserve(ask('a', 5000.0))
        self.now += 59.0
        refused = self.reception.reserve(ask('b', 5000.0))
        self.assertEqual('failed', verdicts(refused)['reservation'])
        self.now += 1.0
        granted = self.reception.reserve(ask('b', 5000.0))
        self.assertEqual('passed', verdicts(granted)['reservation'])
        self.reception.release('m-b')
        granted = self.reception.reserve(ask('c', 5000.0))
        self.assertEqual('passed', verdicts(granted)['reservation'])

    def test_what_lapses_goes_from_the_disk_though_nobody_asks(self):
        self.reception.reserve(ask('a', 5000.0))
        self.now += 59.0
        self.reception.lapse()
        memory = outbox.Outbox(self.path)
        self.addCleanup(memory.close)
        self.assertEqual(1, len(memory.leases()))
        self.now += 1.0
        self.reception.lapse()
        self.assertEqual([], list(memory.leases()))

    def test_what_the_disk_did_not_forget_is_forgotten_later(self):
        memory = self.memory
        drop, memory.drop_lease = memory.drop_lease, self._refuse
        self.reception.reserve(ask('a', 500.0))
        self.reception.reserve(ask('b', 500.0))
        with self.assertRaises(errors.StoreError):
            self.reception.release('m-a')
        self.now += 60.0
        self.reception.lapse()
        self.assertEqual(2, len(memory.leases()))
        # One of them is wanted again.
        self.reception.reserve(ask('b', 500.0))
        memory.drop_lease = drop
        self.reception.lapse()
        self.assertEqual(
            ['m-b'], [one.migration_id for one in memory.leases()]
        )

    @staticmethod
    def _refuse(migration_id):
        raise errors.StoreError('database or disk is full')

    def test_it_lets_leases_lapse_by_itself_until_it_is_stopped(self):
        lapsed = threading.Event()
        params = reception.Params(capacity.Terms(), 0.01, 100.0)
        memory = outbox.Outbox(self.path)
        self.addCleanup(memory.close)
        made = reception.Reception(params, self.world.driver('there'), memory)
        made.lapse = lapsed.set
        made.start()
        self.assertTrue(lapsed.wait(TIMEOUT_SECONDS))
        made.stop()

    def test_an_executor_that_comes_back_keeps_its_word(self):
        self.reception.reserve(ask('a', 5000.0))
        self.reception.reserve(ask('gone', 100.0))
        self.reception.release('m-gone')
        self.now = 5.0  # another clock
        again = self.build()
        again.recover()
        answer = again.reserve(ask('b', 5000.0))
        self.assertIn('m-a', answer.checks[0].reason)
        self.assertNotIn('m-gone', answer.checks[0].reason)
        self.now += 60.0
        self.assertGreater(again.reserve(ask('b', 5000.0)).lease_seconds, 0)
        # and forgets who did not come back
        last = self.build()
        last.recover()
        self.assertEqual(
            'failed', verdicts(last.reserve(ask('a', 5000.0)))['reservation']
        )

    def test_those_that_come_share_the_network(self):
        def left(name):
            answer = self.reception.reserve(ask(name))
            return answer.bandwidth_mib_s, answer.streams

        self.assertEqual((0.0, 1), left('a'))
        self.assertEqual((50.0, 2), left('b'))
        # who was there first learns it when its lease is renewed
        self.assertEqual((50.0, 2), left('a'))
        self.reception.release('m-b')
        self.assertEqual((0.0, 1), left('a'))

    def test_who_lapsed_has_no_share_of_the_network(self):
        self.reception.reserve(ask('gone'))
        self.now += 30.0
        self.reception.reserve(ask('a'))
        self.now += 30.0
        self.assertEqual(0.0, self.reception.reserve(ask('a')).bandwidth_mib_s)

    def test_a_later_migration_of_an_instance_is_all_that_is_kept(self):
        first, later = ask('a', 5000.0), ask('a', 5000.0)
        later = dataclasses.replace(
            later, claim=dataclasses.replace(later.claim, migration_id='m-z')
        )
        self.reception.reserve(later)
        self.reception.reserve(first)
        again = self.build()
        again.recover()
        again.release('m-a')
        self.assertGreater(again.reserve(ask('b', 5000.0)).lease_seconds, 0)

    def test_of_two_leases_of_an_instance_the_later_one_is_taken_up(self):
        """As a release that kept both has left them."""
        memory = outbox.Outbox(self.path)
        for name in ('m-z', 'm-b'):
            claim = reservation.Claim(name, 'i', 'here', 5000.0)
            memory.keep_lease(
                name, msgspec.json.encode(messages.encode_claim(claim))
            )
        self.reception.recover()
        self.assertEqual(
            ['m-b'], [one.migration_id for one in memory.leases()]
        )
        memory.close()
        refused = self.reception.reserve(ask('c', 5000.0))
        self.assertIn('m-b', refused.checks[0].reason)

    def test_what_cannot_be_written_down_is_not_promised(self):
        self.reception.reserve(ask('a', 3000.0))
        broken = self.build()
        broken.recover()
        broken._memory.close()
        with self.assertRaises(errors.StoreError):
            broken.reserve(ask('b', 5000.0))
        # nor is what was promised before given up for it
        with self.assertRaises(errors.StoreError):
            broken.reserve(
                messages.Ask(
                    reservation.Claim('m-z', 'i-a', 'here', 5000.0),
                    request.Options(),
                )
            )
        self.assertGreater(broken.reserve(ask('a', 3000.0)).lease_seconds, 0)

    def test_the_checks_of_the_host_come_with_the_answer(self):
        answer = self.build(Choosy(self.world.driver('there'))).reserve(
            ask('a', tls=True)
        )
        self.assertEqual('failed', verdicts(answer)['tls'])
        self.assertEqual('passed', verdicts(answer)['reservation'])

    def test_a_busy_network_is_refused_unless_ours_may_be_what_fills_it(self):
        """Also for a moment after ours has gone."""
        busy = self.build(Busy(self.world.driver('there')))
        first = busy.reserve(ask('a'))
        self.assertEqual('failed', verdicts(first)['bandwidth'])
        self.assertEqual(
            'unknown', verdicts(busy.reserve(ask('b')))['bandwidth']
        )
        for one in 'ab':
            busy.release(f'm-{one}')
        self.now += headroom.LONGEST_SECONDS / 2
        self.assertEqual(
            'unknown', verdicts(busy.reserve(ask('c')))['bandwidth']
        )
        busy.release('m-c')
        self.now += headroom.LONGEST_SECONDS
        self.assertEqual(
            'failed', verdicts(busy.reserve(ask('d')))['bandwidth']
        )


class HesitationTest(Ground):
    """While the hypervisor takes its time, leases live on."""

    def setUp(self):
        super().setUp()
        self.hypervisor = Hesitant(self.world.driver('there'))
        self.addCleanup(self.hypervisor.goes_on.set)

    def ask_in_thread(self, held, wanted):
        """Ask; return the answers to come, once the hypervisor is asked."""
        answers = queue.SimpleQueue()
        thread = threading.Thread(
            target=lambda: answers.put(held.reserve(wanted))
        )
        thread.start()
        self.addCleanup(thread.join, TIMEOUT_SECONDS)
        self.addCleanup(self.hypervisor.goes_on.set)
        self.assertTrue(self.hypervisor.asked.wait(TIMEOUT_SECONDS))
        return answers

    def hesitant(self, *held, **values):
        """Return a reception that holds leases, and hesitates from now."""
        for one in held:
            self.reception.reserve(one)
        made = self.build(self.hypervisor, **values)
        made.recover()
        return made

    def test_leases_are_renewed_and_released_meanwhile(self):
        held = self.hesitant(ask('a', 5000.0), ask('b', 100.0))
        answers = self.ask_in_thread(held, ask('c', 5000.0))
        self.assertGreater(held.reserve(ask('b', 100.0)).lease_seconds, 0)
        held.release('m-a')
        self.hypervisor.goes_on.set()
        # the instance of the lease may have come since the look
        answer = answers.get(timeout=TIMEOUT_SECONDS)
        self.assertIn('m-a', answer.checks[0].reason)
        answer = held.reserve(ask('c', 5000.0))
        self.assertGreater(answer.lease_seconds, 0)

    def test_who_gives_up_meanwhile_is_promised_nothing(self):
        held = self.hesitant()
        answers = self.ask_in_thread(held, ask('a', 5000.0))
        held.release('m-a')
        self.hypervisor.goes_on.set()
        answer = answers.get(timeout=TIMEOUT_SECONDS)
        self.assertEqual({'reservation': 'failed'}, verdicts(answer))
        self.assertGreater(held.reserve(ask('b', 5000.0)).lease_seconds, 0)
        # and of what is over nothing is kept in mind
        held.release('m-b')
        self.assertGreater(held.reserve(ask('a', 5000.0)).lease_seconds, 0)

    def test_no_more_is_left_than_the_interface_carries(self):
        held = self.build(Slow(self.world.driver('there')))
        held.reserve(ask('a'))
        self.assertEqual(20.0, held.reserve(ask('b')).bandwidth_mib_s)

    def test_nobody_waits_for_ever_behind_another(self):
        held = self.hesitant(ask('b', 100.0), measure_seconds=0.01)
        self.ask_in_thread(held, ask('a'))
        with self.assertRaisesRegex(
            errors.HypervisorUnreachable, 'within 0.01 s what it has left'
        ):
            held.reserve(ask('c'))
        self.assertGreater(held.reserve(ask('b', 100.0)).lease_seconds, 0)


class ReservationTest(Ground):
    def setUp(self):
        super().setUp()
        self.shared = sharing.Sharing('here', 1000.0)
        self.outcomes = queue.SimpleQueue()

    def migrate(self, destinations, uid, seen=lambda source: source):
        """Migrate with memory reserved; return the outcome.

        :param seen: makes of the source's driver the one that looks at its
            network
        """
        source = self.world.driver('here')
        wanted = request.Request(
            f'migration-of-{uid}',
            uid,
            'here',
            'there',
            self.world.uri('there'),
            time.time(),
        )
        reserver = reservations.Reservations(
            destinations,
            self.shared,
            network=network.Network(seen(source), headroom.Terms()),
        )
        runner = migrations.MigrationRunner(
            source,
            machine.Machine(wanted, adaptive.Adaptive()),
            lambda *_: None,
            self.outcomes.put,
            reservation=reserver.prepare(wanted, source.view(uid)),
        )
        runner.start()
        return self.outcomes.get(timeout=TIMEOUT_SECONDS)

    def assert_untouched(self, uid):
        self.assertEqual(
            ['here'], self.world.stage.use(lambda it: it.executions())[uid]
        )

    def test_a_silent_destination_fails_it_before_anything_is_touched(self):
        uid = self.world.start('here')
        destinations = Silent()
        with self.assertLogs('kvm_balancer.service.reservations', 'WARNING'):
            ended = self.migrate(destinations, uid)
        self.assertEqual(outcome.OutcomeKind.FAILED, ended.outcome)
        self.assertIn('there did not answer reserve', ended.reason)
        self.assertEqual(0.0, ended.transferred_mib)
        self.assert_untouched(uid)
        # it may have heard of it all the same
        self.assertEqual(
            ended.migration_id, destinations.released.get(timeout=60.0)
        )

    def test_an_answer_that_says_nothing_starts_no_copy(self):
        """Nor does one whose bandwidth cannot be shared."""
        granted = messages.Answer(
            (events.Check('reservation', events.Verdict.PASSED),), 60.0
        )
        for told, answer, shared in (
            ('neither refuse', messages.Answer(()), self.shared),
            ('cannot be shared', granted, Unfair()),
        ):
            uid = self.world.start('here')
            self.shared = shared
            with self.subTest(told), self.assertLogs(level='WARNING'):
                ended = self.migrate(Sayer(answer), uid)
                self.assertEqual(outcome.OutcomeKind.FAILED, ended.outcome)
                self.assertIn(told, ended.reason)
                self.assert_untouched(uid)

    def test_a_refusal_fails_it_with_the_reason_of_the_destination(self):
        uid = self.world.start('here')
        self.reception.reserve(ask('other', 8000.0))
        ended = self.migrate(Direct(there=self.reception), uid)
        self.assertEqual(outcome.OutcomeKind.FAILED, ended.outcome)
        self.assertIn('migration m-other from here', ended.reason)
        self.assert_untouched(uid)

    def test_a_source_whose_network_others_fill_begins_nothing(self):
        uid = self.world.start('here')
        destinations = Direct(there=self.reception)
        ended = self.migrate(destinations, uid, Busy)
        self.assertEqual(outcome.OutcomeKind.FAILED, ended.outcome)
        self.assertIn('bandwidth here: 96.0 of 100 MiB/s', ended.reason)
        self.assert_untouched(uid)
        self.assertEqual(
            ended.migration_id, destinations.released.get(timeout=60.0)
        )

    def test_the_lease_is_given_back_before_the_end_is_told(self):
        uid = self.world.start('here')
        destinations = Direct(there=self.build(max_incoming=1))
        ended = self.migrate(destinations, uid)
        self.assertEqual(outcome.OutcomeKind.COMPLETED, ended.outcome, ended)
        self.assertFalse(destinations.released.empty())
        self.assertIn('512 MiB are reserved', str(ended.story))

    def adopt(self, destinations, look):
        uid = self.world.start('here')
        wanted = request.Request(
            'm-a', uid, 'here', 'there', self.world.uri('there'), time.time()
        )
        source = self.world.driver('here')
        reserver = reservations.Reservations(destinations, self.shared)
        made = reserver.adopt(wanted, lambda: look(source.view(uid)))
        self.addCleanup(made.leave)
        return made

    def test_the_lease_of_an_earlier_run_is_renewed_until_it_is_released(self):
        """Also where the hypervisor does not answer at first."""
        held = self.build()
        destinations = Noting(there=held)
        answers = [errors.HypervisorUnreachable('libvirt does not answer')]

        def look(view):
            if answers:
                raise answers.pop()
            return view

        soon = mock.patch.object(reservations, 'RENEW_SECONDS', 0.01)
        with (
            soon,
            self.assertLogs('kvm_balancer.service.reservations', 'WARNING'),
        ):
            made = self.adopt(destinations, look)
            asked = [
                destinations.asked.get(timeout=TIMEOUT_SECONDS)
                for _ in range(3)
            ]
            made.release()
        for one in asked:
            self.assertEqual('m-a', one.claim.migration_id)
            self.assertEqual(512.0, one.claim.memory_mib)
        self.assertEqual(
            'm-a', destinations.released.get(timeout=TIMEOUT_SECONDS)
        )
        self.assertEqual((), held._ledger.leases())

    def test_it_outlives_the_term_that_the_earlier_run_left(self):
        held = self.build()
        destinations = Noting(there=held)
        with mock.patch.object(reservations, 'RENEW_SECONDS', 0.01):
            self.adopt(destinations, lambda view: view)
            destinations.asked.get(timeout=TIMEOUT_SECONDS)
            for _ in range(3):
                # less than a term, and more than one in all
                self.now += 40.0
                while not destinations.asked.empty():
                    destinations.asked.get()
                for _ in range(2):
                    # the first may have begun before
                    destinations.asked.get(timeout=TIMEOUT_SECONDS)
                held.lapse()
                self.assertEqual(1, len(held._ledger.leases()))

    def test_of_an_instance_that_is_not_here_no_lease_is_renewed(self):
        gone = threading.Event()

        def look(view):
            gone.set()
            raise errors.NotFound('it is gone')

        destinations = Noting(there=self.build())
        made = self.adopt(destinations, look)
        self.assertTrue(gone.wait(TIMEOUT_SECONDS))
        made.release()
        self.assertEqual(
            'm-a', destinations.released.get(timeout=TIMEOUT_SECONDS)
        )
        self.assertTrue(destinations.asked.empty())

    def test_by_hand_nobody_is_asked_and_the_story_says_so(self):
        uid = self.world.start('here')
        source = self.world.driver('here')
        wanted = request.Request(
            'm', uid, 'here', 'there', self.world.uri('there'), time.time()
        )
        runner = migrations.MigrationRunner(
            source,
            machine.Machine(wanted, adaptive.Adaptive()),
            lambda *_: None,
            self.outcomes.put,
        )
        runner.start()
        ended = self.outcomes.get(timeout=TIMEOUT_SECONDS)
        self.assertEqual(outcome.OutcomeKind.COMPLETED, ended.outcome, ended)
        self.assertIn('no executor is asked', str(ended.story))


class SharingTest(unittest.TestCase):
    def setUp(self):
        super().setUp()
        self.shared = sharing.Sharing('here', 100.0)
        self.told = []

    def join(self, name, own=0.0, left=0.0, carries=None):
        self.shared.join(
            name,
            own,
            left,
            'there',
            lambda limit, streams, why: self.told.append((name, limit, why)),
            carries,
        )

    def limits(self):
        """Return who was told which limit since this was last asked."""
        found = {name: limit for name, limit, _ in self.told}
        self.told.clear()
        return found

    def test_limits_come_and_go_with_the_others(self):
        self.join('a')
        self.assertEqual({}, self.limits())
        self.join('b')
        self.assertEqual({'a': 50, 'b': 50}, self.limits())
        self.join('c', own=10.0)
        self.assertEqual({'a': 45, 'b': 45, 'c': 10}, self.limits())
        self.shared.leave('b')
        self.assertEqual({'a': 90, 'c': 10}, self.limits())
        self.shared.leave('b')
        self.shared.leave('c')
        self.assertEqual({'a': 0}, self.limits())

    def test_no_more_is_shared_than_the_interface_carries(self):
        self.join('a', carries=60.0)
        self.join('b', carries=200.0)
        self.assertEqual({'a': 30, 'b': 30}, self.limits())
        self.assertEqual(30.0, self.shared.usable('b', 0.0))
        self.shared.leave('a')
        self.join('c')
        self.assertEqual({'b': 50, 'c': 50}, self.limits())

    def test_who_keeps_its_limit_hears_of_those_who_come(self):
        told = []
        self.shared.join(
            'a', 20.0, 0.0, 'there', lambda *said: told.append(said[:2])
        )
        self.join('b')
        self.join('c')
        self.shared.leave('b')
        self.assertEqual([(20, 2), (20, 3), (20, 2)], told)

    def test_who_shares_what_comes_in_hears_how_many_do(self):
        """The end that more share counts, and both may be left."""
        told = []
        self.shared.join(
            'a',
            20.0,
            0.0,
            'there',
            lambda *said: told.append(said[:2]),
            left_streams=3,
        )
        self.join('b')
        self.shared.leave_to('a', 0.0, 4)
        self.shared.leave_to('a', 0.0, 1)
        self.shared.leave('b')
        self.assertEqual([(20, 3), (20, 4), (20, 2), (20, 1)], told)

    def test_what_a_destination_leaves_goes_to_the_others(self):
        self.join('a')
        self.join('b', left=20.0)
        self.assertEqual({'a': 80, 'b': 20}, self.limits())
        self.assertEqual(50.0, self.shared.usable('b', 0.0))
        self.shared.leave_to('b', 0.0)
        self.assertEqual({'a': 50, 'b': 50}, self.limits())
        self.shared.leave_to('a', 0.0)
        self.shared.leave_to('nobody', 1.0)
        self.assertEqual({}, self.limits())

    def test_one_alone_keeps_its_own_limit_and_its_destination_s(self):
        self.join('a', own=30.0)
        self.assertEqual({}, self.limits())
        self.shared.leave_to('a', 20.0)
        self.assertEqual({'a': 20}, self.limits())
        self.assertEqual(30.0, self.shared.usable('a', 30.0))
