import pathlib
import tempfile
import unittest

from oslo_config import cfg

from kvm_balancer.conf import dirty_rate


def read(line):
    """Return the group as a file with one *line* in it has it."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, 'test.conf')
        path.write_text(f'[dirty_rate]\n{line}\n')
        conf = cfg.ConfigOpts()
        dirty_rate.register_opts(conf)
        conf(['--config-file', str(path)], default_config_files=[])
        return conf.dirty_rate.interval_seconds, list(
            conf.dirty_rate.windows_seconds
        )


class DirtyRateTest(unittest.TestCase):
    def test_what_makes_sense_is_taken(self):
        for line, expected in (
            ('', (300.0, [1, 2, 4, 8, 16])),
            ('interval_seconds = 0', (0.0, [1, 2, 4, 8, 16])),
            ('interval_seconds = 1', (1.0, [1, 2, 4, 8, 16])),
            ('windows_seconds = 2', (300.0, [2])),
            ('windows_seconds = 60, 60, 30', (300.0, [60, 60, 30])),
        ):
            with self.subTest(line):
                self.assertEqual(expected, read(line))

    def test_what_makes_none_is_refused_when_the_file_is_read(self):
        for line in (
            'interval_seconds = 0.001',
            'interval_seconds = -1',
            'windows_seconds =',
            'windows_seconds = 0',
            'windows_seconds = 60, 59, 58',
        ):
            with (
                self.subTest(line),
                self.assertRaises(cfg.ConfigFileValueError),
            ):
                read(line)
