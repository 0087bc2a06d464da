import dataclasses
import threading
import unittest
from unittest import mock
import uuid

from kvm_balancer import errors
from kvm_balancer.service import dirty_rates
from kvm_balancer.virt import ownership
from kvm_balancer.virt.simulated import driver
from kvm_balancer.virt.simulated import habits
from kvm_balancer.virt.simulated import hosts
from kvm_balancer.virt.simulated import load
from kvm_balancer.virt.simulated import memory
from kvm_balancer.virt.simulated import stage as stages
from kvm_balancer.virt.simulated import world as worlds


class Refusing(driver.SimulatedDriver):
    """A driver that notes what it is asked, and may refuse."""

    asked: list[tuple[str, int]]
    refuses = False

    def read(self):
        """Know nothing of how instances write, as a real one."""
        reading = super().read()
        nothing = (0.0,) * len(reading.instances.id)
        return dataclasses.replace(
            reading,
            instances=dataclasses.replace(
                reading.instances,
                dirty_rate_mib_s=nothing,
                hot_set_mib=nothing,
                cold_rate_mib_s=nothing,
            ),
        )

    def begin_measuring(self, instance, window_seconds):
        self.asked.append((instance, window_seconds))
        if self.refuses:
            raise errors.HypervisorError('another job holds the instance')
        return super().begin_measuring(instance, window_seconds)


class DirtyRatesTest(unittest.TestCase):
    def setUp(self):
        self.now = 1000.0
        self.migrating = set()
        world = worlds.World(now=self.now)
        world.add_host(hosts.HostFacts('host', 8.0, 65536.0))
        self.stage = stages.Stage(world, lambda: self.now, paced=False)
        self.addCleanup(self.stage.close)
        self.driver = Refusing(
            driver.Params('host', ownership.Manage(ownership.Rule.ALL)),
            self.stage,
        )
        self.driver.asked = []
        self.rates = self.measurer()

    def measurer(self, **params):
        return dirty_rates.DirtyRates(
            self.driver,
            dirty_rates.Params(**params),
            lambda uid: uid not in self.migrating,
            lambda: self.now,
            self.wait,
        )

    def wait(self, seconds):
        self.now += seconds
        return False

    def start(self, *regions):
        uid = str(uuid.uuid4())
        instance = hosts.Instance(
            uid,
            uid,
            1.0,
            memory.Guest(4096.0, 4096.0, regions=regions),
            load.Steady(0.1),
            ownership.Marks(uid),
        )
        self.stage.use(lambda world: world.add_instance(instance, 'host'))
        return uid

    def filled(self, uid):
        seen = self.rates.fill(self.driver.read().instances)
        row = seen.id.index(uid)
        return (
            seen.dirty_rate_mib_s[row],
            seen.hot_set_mib[row],
            seen.cold_rate_mib_s[row],
        )

    def test_hot_set_and_cold_rate_come_into_the_sample(self):
        uid = self.start(
            habits.Region(300.0, 100.0, True), habits.Region(3000.0, 4.0)
        )
        self.filled(uid)
        self.assertTrue(self.rates.measure_next())
        rate, hot, cold = self.filled(uid)
        self.assertAlmostEqual(104.0, rate, delta=5.0)
        self.assertAlmostEqual(300.0, hot, delta=15.0)
        self.assertAlmostEqual(4.0, cold, delta=0.5)
        self.assertEqual(
            [(uid, seconds) for seconds in (1, 2, 4, 8, 16)], self.driver.asked
        )

    def test_an_idle_instance_is_told_from_an_unknown_one(self):
        uid = self.start()
        self.assertEqual(0.0, self.filled(uid)[0])
        self.rates.measure_next()
        self.assertEqual(dirty_rates.LEAST_RATE_MIB_S, self.filled(uid)[0])

    def test_each_gets_its_turn_and_none_before_it_is_due(self):
        both = {self.start(), self.start()}
        self.filled(next(iter(both)))
        self.assertTrue(self.rates.measure_next())
        self.assertTrue(self.rates.measure_next())
        self.assertEqual(both, {uid for uid, _ in self.driver.asked})
        self.assertFalse(self.rates.measure_next())
        self.now += 300.0
        self.assertTrue(self.rates.measure_next())

    def test_an_instance_that_migrates_is_left_alone(self):
        uid = self.start()
        self.filled(uid)
        self.migrating.add(uid)
        self.assertFalse(self.rates.measure_next())
        self.assertEqual([], self.driver.asked)

    def test_a_migration_ends_the_measurement_and_its_result(self):
        uid = self.start(habits.Region(300.0, 100.0))
        self.filled(uid)
        before = self.filled(uid)
        plain = self.rates._rounds._wait

        def wait(seconds):
            self.migrating.add(uid)
            return plain(seconds)

        self.rates._rounds._wait = wait
        self.rates.measure_next()
        self.assertEqual([(uid, 1)], self.driver.asked)
        self.assertEqual(before, self.filled(uid))

    def test_a_migration_that_is_over_before_the_window_ends_it_too(self):
        """Whoever asks at both ends of the window sees none."""
        uid, other = self.start(habits.Region(300.0, 100.0)), self.start()
        for asked, kept in ((other, True), (uid, False)):
            with self.subTest(kept=kept):
                self.rates = self.measurer(windows_seconds=(4,))
                self.filled(uid)
                plain = self.rates._rounds._wait

                def wait(seconds, plain=plain, asked=asked):
                    self.rates.leave_alone(asked)
                    return plain(seconds)

                self.rates._rounds._wait = wait
                with mock.patch.object(
                    self.rates, '_is_free', lambda it: it == uid
                ):
                    self.assertTrue(self.rates.measure_next())
                self.assertEqual(kept, self.filled(uid)[0] > 0.0)

    def test_a_window_is_not_waited_out_once_its_instance_migrates(self):
        uid = self.start()
        rates = dirty_rates.DirtyRates(
            self.driver,
            dirty_rates.Params(windows_seconds=(60,)),
            lambda _: True,
        )
        rates.fill(self.driver.read().instances)
        measuring = threading.Thread(target=rates.measure_next)
        begun = threading.Event()
        begin = self.driver.begin_measuring

        def begin_measuring(instance, window_seconds):
            try:
                return begin(instance, window_seconds)
            finally:
                begun.set()

        with mock.patch.object(
            self.driver, 'begin_measuring', begin_measuring
        ):
            measuring.start()
            self.assertTrue(begun.wait(50.0))
            rates.leave_alone(uid)
            measuring.join(50.0)
        self.assertFalse(measuring.is_alive())

    def test_a_refusal_leaves_unknown_what_is_not_known(self):
        uid = self.start()
        self.driver.refuses = True
        self.filled(uid)
        with self.assertLogs('kvm_balancer', 'INFO') as logs:
            self.assertTrue(self.rates.measure_next())
        self.assertIn('another job', logs.output[0])
        self.assertEqual(0.0, self.filled(uid)[0])

    def test_what_left_is_forgotten(self):
        uid = self.start()
        self.filled(uid)
        self.rates.measure_next()
        seen = self.driver.read().instances
        self.rates.fill(type(seen)())
        self.assertEqual(0.0, self.filled(uid)[0])

    def test_columns_that_the_driver_did_not_fill_in_are_unknown(self):
        measured, other = self.start(habits.Region(300.0, 100.0)), self.start()
        self.filled(measured)
        self.rates.measure_next()
        if self.driver.asked[0][0] != measured:
            self.rates.measure_next()
        bare = dataclasses.replace(
            self.driver.read().instances,
            dirty_rate_mib_s=(),
            hot_set_mib=(),
            cold_rate_mib_s=(),
        )
        self.rates.fill(bare)
        self.rates._found.pop(other, None)
        seen = self.rates.fill(bare)
        self.assertEqual(0.0, seen.hot_set_mib[seen.id.index(other)])
        self.assertGreater(seen.hot_set_mib[seen.id.index(measured)], 0.0)

    def test_the_end_does_not_wait_for_a_hypervisor_that_is_slow(self):
        self.filled(self.start())
        asked, answer = threading.Event(), threading.Event()

        def slow(instance, window_seconds):
            asked.set()
            answer.wait(300.0)
            return False

        with (
            mock.patch.object(self.driver, 'begin_measuring', slow),
            mock.patch.object(dirty_rates, '_STOP_SECONDS', 0.01),
        ):
            self.rates.start()
            self.assertTrue(asked.wait(60.0))
            self.rates.stop()
            self.assertTrue(self.rates._background.alive)
            answer.set()
            self.rates._background.join(60.0)
