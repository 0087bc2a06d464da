"""The file that survives whoever wrote it."""

import pathlib
import tempfile
import unittest

import fixtures

from kvm_balancer import errors
from kvm_balancer.lab import description
from kvm_balancer.lab import ledger


class LedgerTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = pathlib.Path(temporary.name) / 'lab'

    def _lab(self):
        lab = description.describe(self.directory, 'lab', 3)
        return description.with_guests(lab, 8)

    def test_what_is_written_is_read(self):
        lab = self._lab()
        ledger.write(lab)
        self.assertEqual(lab, ledger.read(self.directory))

    def test_where_there_is_none_there_is_no_lab(self):
        self.assertIsNone(ledger.read(self.directory))

    def test_what_is_not_ours_is_named_in_one_line(self):
        self.directory.mkdir()
        for text in ('', '[]', '{"name": "lab"}', '\x00'):
            (self.directory / 'lab.json').write_text(text)
            with (
                self.subTest(text),
                self.assertRaisesRegex(errors.LabError, r'lab\.json: .+$'),
            ):
                ledger.read(self.directory)

    def test_clearing_leaves_nothing(self):
        ledger.write(self._lab())
        (self.directory / 'log').mkdir()
        (self.directory / 'log' / 'one').write_text('words')
        ledger.clear(self.directory)
        self.assertFalse(self.directory.exists())

    def test_a_clearing_that_breaks_off_can_be_done_again(self):
        ledger.write(self._lab())
        (self.directory / 'log').mkdir()

        def broken(path):
            raise OSError('no more')

        with (
            fixtures.MonkeyPatch('shutil.rmtree', broken),
            self.assertRaises(OSError),
        ):
            ledger.clear(self.directory)
        self.assertIsNotNone(ledger.read(self.directory))
        ledger.clear(self.directory)
        self.assertFalse(self.directory.exists())
