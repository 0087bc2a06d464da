"""``kvm-balancer fleet load``: what was recorded, to be replayed."""

from kvm_balancer.messages import load_document
from kvm_balancer.model import traces
from tests.unit.cmd import base

RECORD = {
    'second': 86_400.0,
    'step_seconds': 1800.0,
    'load': {'i1': [0.5, None, 2.0], 'i2': [None, 1.0]},
}


class LoadTest(base.CommandCase):
    def load(self, name, **answers):
        agent = base.FakeAgent(**answers)
        with agent.connected():
            return self.run_cli(
                'fleet', 'load', '--output', str(self.directory / name)
            )

    def test_half_hours_become_rows(self):
        for name in ('load.csv', 'load.csv.gz'):
            with self.subTest(name=name):
                ran = self.load(name, list_load=['day/1'], show_load=RECORD)
                self.assertEqual((0, ''), (ran.code, ran.err))
                found = load_document.decode(
                    (self.directory / name).read_bytes()
                )
                self.assertEqual(('i1', 'i2'), found.name)
                # The last half hour of each is told to its end.
                self.assertEqual(
                    [86_400, 90_000, 91_799, 88_200, 89_999],
                    found.second.tolist(),
                )
                self.assertEqual([0.5, 2, 2, 1, 1], found.cpu_usage.tolist())

    def test_what_two_records_tell_is_written_once(self):
        ran = self.load(
            'load.csv', list_load=['day/1', 'shapes/0'], show_load=RECORD
        )
        self.assertEqual(0, ran.code)
        found = load_document.decode(
            (self.directory / 'load.csv').read_bytes()
        )
        self.assertEqual(5, len(found.second))

    def test_days_are_played_back_whole(self):
        day = {**RECORD, 'load': {'i1': [0.1 * n for n in range(48)]}}
        self.load('load.csv', list_load=['day/1'], show_load=day)
        found = load_document.decode(
            (self.directory / 'load.csv').read_bytes()
        )
        grid = traces.lay_out(found, 30.0)
        self.assertEqual([2880], grid.length.tolist())

    def test_nothing_yet_is_said(self):
        ran = self.load('load.csv', list_load=[])
        self.assertEqual(1, ran.code)
        self.assertIn('has kept no load yet', ran.err)

    def test_a_file_that_cannot_be_written_is_named(self):
        ran = self.load(
            'no/way/load.csv', list_load=['day/1'], show_load=RECORD
        )
        self.assertEqual(2, ran.code)
        self.assertIn('cannot be written', ran.err)
