import json
import pathlib
import tempfile
import unittest

from kvm_balancer import errors
from kvm_balancer.model import sample
from kvm_balancer.virt import host_readings

_PROC = {
    'proc/stat': (
        'cpu  1000 0 500 8000 500 0 0 100 900 0\ncpu0 1 1\ncpu1 1 1\nintr 1\n'
    ),
    'proc/meminfo': (
        'MemTotal: 2097152 kB\nMemFree: 1 kB\nMemAvailable: 1048576 kB\n'
        'HugePages_Total: 0\n'
    ),
    'proc/net/dev': (
        'Inter-| Receive | Transmit\n face |bytes packets\n'
        '  eth0: 1048576 1 0 0 0 0 0 0 2097152 1 0 0 0 0 0 0\n'
        '   br0: 1048576 1 0 0 0 0 0 0 2097152 1 0 0 0 0 0 0\n'
    ),
    'proc/diskstats': (
        ' 8 0 sda 1 0 2048 0 1 0 4096 0 0 0 0\n'
        ' 8 1 sda1 1 0 2048 0 1 0 4096 0 0 0 0\n'
    ),
    'proc/pressure/cpu': (
        'some avg10=12.50 avg60=1.00 avg300=0.10 total=1\n'
        'full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n'
    ),
    'proc/pressure/io': (
        'some avg10=3.00 avg60=1.00 avg300=0.10 total=1\n'
        'full avg10=2.00 avg60=0.00 avg300=0.00 total=0\n'
    ),
    'sys/class/net/eth0/device/vendor': '',
    'sys/class/net/br0/bridge/x': '',
    'sys/block/sda/device/model': '',
}


class KernelSourceTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        for name, text in _PROC.items():
            self.write(name, text)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def test_first_look_tells_sizes_and_pressure_but_no_rates(self):
        reading = host_readings.KernelSource(self.root).read()
        self.assertEqual(2.0, reading.cpus)
        self.assertEqual(2048.0, reading.memory_mib)
        self.assertEqual(1024.0, reading.memory_free_mib)
        self.assertEqual(0.0, reading.cpu_usage)
        self.assertIsNone(reading.cpu_overhead)
        self.assertEqual(
            sample.Pressure(cpu_some=12.5, io_some=3.0, io_full=2.0),
            reading.pressure,
        )

    def test_rates_are_those_of_the_hardware_alone(self):
        source = host_readings.KernelSource(self.root)
        source.read()
        mib = 2**20
        self.write(
            'proc/net/dev',
            'x\nx\n'
            f'  eth0: {3 * mib} 1 0 0 0 0 0 0 {3 * mib} 1 0 0 0 0 0 0\n'
            f'   br0: {9 * mib} 1 0 0 0 0 0 0 {9 * mib} 1 0 0 0 0 0 0\n',
        )
        self.write(
            'proc/diskstats',
            ' 8 0 sda 1 0 8192 0 1 0 4096 0 0 0 0\n'
            ' 8 1 sda1 1 0 999999 0 1 0 999999 0 0 0 0\n',
        )
        reading = source.read()
        self.assertAlmostEqual(
            2.0, reading.network_rx_mib_s / reading.network_tx_mib_s
        )
        self.assertGreater(reading.block_read_mib_s, 0.0)
        self.assertEqual(0.0, reading.block_write_mib_s)

    def test_a_system_without_proc_is_told_in_one_line(self):
        source = host_readings.KernelSource(self.root / 'nowhere')
        with self.assertRaisesRegex(
            errors.ConfigurationError, 'readings_file'
        ):
            source.read()

    def test_this_machine_can_be_read(self):
        reading = host_readings.KernelSource().read()
        self.assertGreaterEqual(reading.cpus, 1.0)
        self.assertGreater(reading.memory_mib, reading.memory_free_mib)


class FileSourceTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name) / 'readings.json'

    def read(self, text):
        self.path.write_text(text)
        return host_readings.FileSource(self.path).read()

    def test_what_stands_there_is_read(self):
        reading = self.read(
            '{"cpus": 4, "memory_mib": 2048, "cpu_overhead": 0.5,'
            ' "pressure": {"cpu_some": 20}}'
        )
        self.assertEqual(
            host_readings.HostReading(
                cpus=4,
                memory_mib=2048,
                cpu_overhead=0.5,
                pressure=sample.Pressure(cpu_some=20),
            ),
            reading,
        )

    def test_overhead_is_none_where_nothing_stands(self):
        reading = self.read('{"cpus": 4, "memory_mib": 2048}')
        self.assertEqual(0.0, reading.cpu_overhead)

    def test_what_cannot_be_used_is_told_in_one_line(self):
        good = {'cpus': 4, 'memory_mib': 2048}
        cases = (
            ('', 'not JSON'),
            ('[]', 'JSON object'),
            ('{}', '"cpus" is missing'),
            ('{"cpus": 4}', '"memory_mib" is missing'),
            (json.dumps({**good, 'cpus': 0}), '"cpus" must not be 0'),
            (json.dumps({**good, 'cpus': -1}), '"cpus"'),
            (json.dumps({**good, 'cpus': True}), '"cpus"'),
            (json.dumps({**good, 'cpus': 'four'}), '"cpus"'),
            (json.dumps({**good, 'cpu_overhead': float('nan')}), 'overhead'),
            (json.dumps({**good, 'cpu_overhead': float('inf')}), 'overhead'),
            (json.dumps({**good, 'colour': 1}), '"colour" is not known'),
            (json.dumps({**good, 'pressure': 1}), '"pressure"'),
            (json.dumps({**good, 'pressure': {'sun': 1}}), '"sun"'),
        )
        for text, expected in cases:
            with (
                self.subTest(text),
                self.assertRaises(errors.ConfigurationError) as raised,
            ):
                self.read(text)
            self.assertIn(expected, str(raised.exception))
            self.assertIn(str(self.path), str(raised.exception))
            self.assertNotIn('\n', str(raised.exception))

    def test_a_file_that_is_not_there_is_told_in_one_line(self):
        with self.assertRaisesRegex(errors.ConfigurationError, 'No such'):
            host_readings.FileSource(self.path).read()


class HostUsageTest(unittest.TestCase):
    def test_overhead_is_what_the_instances_leave_and_never_negative(self):
        instances = sample.InstanceUsages(
            cpu_usage=(1.0, 0.5), memory_mib=(256.0, 256.0)
        )
        cases = (
            ({'cpu_usage': 2.0}, 0.5, 2.0),
            ({'cpu_usage': 1.0}, 0.0, 1.5),
            ({'cpu_overhead': 0.25}, 0.25, 1.75),
        )
        for given, overhead, usage in cases:
            with self.subTest(given):
                found = host_readings.host_usage(
                    host_readings.HostReading(
                        cpus=4.0, memory_mib=1024.0, **given
                    ),
                    instances,
                )
                self.assertEqual(overhead, found.cpu_overhead)
                self.assertEqual(usage, found.cpu_usage)
                self.assertEqual(512.0, found.memory_allocated_mib)
                self.assertEqual(512.0, found.memory_free_mib)
