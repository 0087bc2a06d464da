"""Windows and freezes as files have them."""

import pathlib
import tempfile
import unittest

from oslo_config import cfg

from kvm_balancer import errors
from kvm_balancer.conf import windows

MONDAY_NOON = 1795435200.0  # 2026-11-23 12:00 UTC


def read(text):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, 'test.conf')
        path.write_text(text)
        conf = cfg.ConfigOpts()
        windows.register_opts(conf)
        conf(['--config-file', str(path)], default_config_files=[])
        return windows.read(conf)


class WindowsTest(unittest.TestCase):
    def test_a_zone_goes_by_its_own_and_by_the_rest_of_all(self):
        found = read(
            '[windows]\ntimezone = Asia/Tokyo\nopen = Sat\nopen = Sun\n'
            '[windows:zone:az1]\nopen = Mon 20:00-22:00\n'
        )
        self.assertEqual('', found.closed('az1', MONDAY_NOON))
        self.assertIn('(Sat, Sun)', found.closed('az2', MONDAY_NOON))

    def test_without_any_everything_is_open(self):
        self.assertEqual('', read('').closed('az1', MONDAY_NOON))

    def test_what_makes_no_sense_is_refused_with_its_group(self):
        for text, words in (
            ('[windows]\nopen = Mun', r'\[windows\] open: .*Mun is no day'),
            ('[windows]\ntimezone = Mars', 'no time zone'),
            ('[windows:az1]\nopen = Mon', r'write \[windows:zone:NAME\]'),
        ):
            with (
                self.subTest(text),
                self.assertRaisesRegex(errors.ConfigurationError, words),
            ):
                read(text)
