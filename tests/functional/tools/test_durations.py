"""Classes of tests are dealt out by how long they took."""

import datetime
import importlib.util
import io
import pathlib
import tempfile
import unittest

from stestr import scheduler
from stestr.repository import file as repositories
import subunit

_SCRIPT = pathlib.Path(__file__).resolve().parents[3] / 'tools/durations.py'

_CLASSES = [f'tests.x.test_{module}.T' for module in 'abcd']
_TESTS = [f'{name}.test_{number}' for name in _CLASSES for number in (1, 2)]
_LONG = _CLASSES[2]


def _class_of(test):
    return test.rpartition('.')[0]


class DurationsTest(unittest.TestCase):
    def setUp(self):
        super().setUp()
        found = importlib.util.spec_from_file_location('durations', _SCRIPT)
        self.durations = importlib.util.module_from_spec(found)
        found.loader.exec_module(self.durations)
        self.folder = pathlib.Path(
            self.enterContext(tempfile.TemporaryDirectory())
        )

    def dealt(self, seconds):
        """Return the classes of each of two workers."""
        self.durations.teach(self.folder, seconds)
        kept = repositories.RepositoryFactory().open(str(self.folder))
        return [
            {_class_of(test) for test in worker}
            for worker in scheduler.partition_tests(_TESTS, 2, kept, _class_of)
        ]

    def test_one_that_takes_as_long_as_all_others_has_a_worker(self):
        seconds = {
            test: 30 if _class_of(test) == _LONG else 9 for test in _TESTS
        }
        self.assertIn({_LONG}, self.dealt(seconds))

    def test_one_that_is_not_known_is_dealt_out_all_the_same(self):
        self.assertEqual(
            set(_CLASSES), set.union(*self.dealt({_TESTS[0]: 30}))
        )

    def test_what_takes_long_is_learned_from_a_run(self):
        began = datetime.datetime.fromtimestamp(0, datetime.UTC)
        stream = io.BytesIO()
        run = subunit.StreamResultToBytes(stream)
        for test, took in zip(_TESTS, (30.4, 0.3), strict=False):
            ended = began + datetime.timedelta(seconds=took)
            run.status(test, 'inprogress', timestamp=began)
            run.status(test, 'success', timestamp=ended)
        self.assertEqual(
            {_TESTS[0]: 30}, self.durations.learned(stream.getvalue())
        )

    def test_what_is_written_is_read(self):
        path = self.folder / 'durations.json'
        self.assertEqual({}, self.durations.read(path))
        self.durations.write(path, {'b': 2, 'a': 1})
        self.assertEqual({'a': 1, 'b': 2}, self.durations.read(path))
