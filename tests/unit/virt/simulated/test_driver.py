import pathlib
import tempfile
import unittest

from oslo_config import cfg

from kvm_balancer import errors
from kvm_balancer.conf import opts
from kvm_balancer.messages import fleet_document
from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from kvm_balancer.model import records
from kvm_balancer.virt import ownership
from kvm_balancer.virt.simulated import driver
from kvm_balancer.virt.simulated import stage as stages
from tests.unit.virt.simulated import builders


class _Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class StageTest(unittest.TestCase):
    """Drivers of hosts on one stage, whose clock is moved by hand."""

    def setUp(self):
        self.clock = _Clock()
        self.world = builders.build_world()
        self.stage = stages.Stage(self.world, self.clock, paced=False)
        self.drivers = {
            name: driver.SimulatedDriver(
                driver.Params(name, builders.ALL), self.stage
            )
            for name in self.world.host_names
        }

    def add(self, name, host='a', **values):
        self.world.add_instance(builders.build_instance(name, **values), host)

    def read(self, host='a', after=10.0):
        self.drivers[host].read()
        self.clock.now += after
        return self.drivers[host].read()

    def test_what_an_instance_asks_is_told_wherever_it_is(self):
        self.add('silent')
        self.assertEqual((), self.read().instances.asks)
        asks = (('max_downtime_ms', '50'),)
        self.add('g', asks=asks)
        found = self.read().instances
        self.assertEqual(
            {'id-silent': (), 'id-g': asks},
            dict(zip(found.id, found.asks, strict=True)),
        )
        self.assertEqual(asks, self.drivers['a'].view('g').asks)
        self.assertEqual((), self.drivers['a'].view('silent').asks)

    def test_an_instance_moves_as_the_clock_does(self):
        self.add('g')
        told = []
        carrier = self.drivers['a'].carrier(
            builders.build_request('g'), told.append
        )
        carrier.perform(instructions.Start())
        self.clock.now = 5.0
        # the end of its only pass is sent while it stands still
        self.assertAlmostEqual(4.7, self.stage.advance())
        self.assertEqual(
            ('outgoing', 'incoming'),
            (
                self.read('a', 0.1).instances.state[0],
                self.read('b', 0.1).instances.state[0],
            ),
        )
        self.clock.now = 10.0
        self.stage.advance()
        self.assertIsInstance(told[-1], events.CallReturned)
        self.assertEqual('g', self.drivers['b'].view('id-g').name)
        with self.assertRaises(errors.NotFound):
            self.drivers['a'].view('g')

    def test_instances_of_a_full_host_share_it_and_wait(self):
        for name in 'ghi':
            self.add(name, usage=2.0)
        usages = self.read().instances
        self.assertAlmostEqual(4.0, sum(usages.cpu_usage))
        self.assertAlmostEqual(2.0, sum(usages.cpu_steal))

    def test_who_came_in_between_counts_for_the_time_it_was_here(self):
        self.add('g', mib=500.0)
        self.drivers['b'].read()
        self.drivers['a'].carrier(
            builders.build_request('g'), lambda event: None
        ).perform(instructions.Start())
        self.clock.now = 10.0
        usages = self.drivers['b'].read().instances
        self.assertAlmostEqual(0.5, usages.cpu_usage[0])

    def test_a_clock_set_back_stops_nothing_and_undoes_nothing(self):
        self.add('g')
        self.clock.now = 100.0
        self.drivers['a'].read()
        self.clock.now = 50.0
        reading = self.drivers['a'].read()
        self.assertEqual(100.0, reading.taken_at)
        self.assertEqual(0.0, reading.interval_seconds)

    def test_a_host_cut_off_cannot_be_read(self):
        self.world.set_reachable('a', False)
        for ask in (
            self.drivers['a'].connect,
            self.drivers['a'].read,
            lambda: self.drivers['a'].view('g'),
        ):
            with self.assertRaises(errors.HypervisorUnreachable):
                ask()

    def test_what_is_not_managed_is_not_moved(self):
        self.add('g')
        guarded = driver.SimulatedDriver(
            driver.Params('a', ownership.Manage()), self.stage
        )
        told = []
        carrier = guarded.carrier(builders.build_request('g'), told.append)
        carrier.perform(instructions.Check())
        self.stage.advance()
        failed = [
            one.name
            for one in told[0].checks
            if one.verdict is events.Verdict.FAILED
        ]
        self.assertEqual(['owner'], failed)
        self.assertEqual('none', guarded.view('g').owner)


class ConfiguredTest(unittest.TestCase):
    """The driver of an executor, as its configuration describes it."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = pathlib.Path(folder.name) / 'fleet.json'
        fleet = records.build_fleet(
            [records.HostRecord(name, 4.0, 8192.0) for name in 'ab'],
            [records.InstanceRecord('g', 'a', 2.0, 1024.0, cpu_usage=1.0)],
        )
        self.file.write_bytes(fleet_document.encode(fleet))

    def make(self, host='a', fleet=None):
        conf = cfg.ConfigOpts()
        opts.register_opts(conf)
        conf([], default_config_files=[], default_config_dirs=[])
        conf.set_override('name', host, 'host')
        conf.set_override('manage', 'all', 'executor')
        conf.set_override(
            'fleet', str(self.file) if fleet is None else fleet, 'simulated'
        )
        return driver.SimulatedDriver.from_conf(conf)

    def test_drivers_of_one_file_stand_on_one_stage(self):
        here, there = self.make('a'), self.make('b')
        self.assertIs(here._stage, there._stage)
        self.addCleanup(here._stage.close)
        self.assertEqual('balancer', here.view('g').owner)

    def test_what_does_not_fit_is_said_in_one_line(self):
        broken = self.file.with_name('broken.json')
        broken.write_text('{"schema": "x"}')
        table = (
            ({'fleet': ''}, 'set [simulated] fleet'),
            ({'fleet': '/nowhere'}, 'No such file'),
            ({'fleet': str(broken)}, 'broken.json cannot be used'),
            ({'host': 'z'}, 'has no host z'),
        )
        for values, said in table:
            with self.subTest(said):
                with self.assertRaises(errors.ConfigurationError) as caught:
                    self.make(**values)
                self.assertIn(said, str(caught.exception))
                self.assertNotIn('\n', str(caught.exception))
