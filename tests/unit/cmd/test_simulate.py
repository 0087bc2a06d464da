"""``kvm-balancer simulate``: a fleet in, figures and a report out."""

import json
import re
import xml.etree.ElementTree

from kvm_balancer.messages import fleet_document
from kvm_balancer.messages import load_document
from tests.fixtures import fleets
from tests.unit.cmd import base


class SimulateTest(base.CommandCase):
    def setUp(self):
        super().setUp()
        fleet = fleets.skewed(10, 100)
        self.path = self.write(
            'fleet.json', fleet_document.encode(fleet).decode()
        )
        rows = [
            (f'{row}', 300.0 * step, 0.5 + row % 4 + step % 2)
            for row in range(8)
            for step in range(48)
        ]
        self.load = self.write('load.csv', load_document.encode(rows).decode())

    def simulate(self, *arguments):
        ran = self.run_cli(
            'simulate', '--fleet', self.path, '--hours', '2', *arguments
        )
        self.assertEqual(0, ran.code, ran.err)
        self.assertNotIn('Traceback', ran.err)
        return ran

    def test_the_report_has_every_variant_in_figures_and_pictures(self):
        folder = self.directory / 'new' / 'report'
        out = self.simulate(
            '--compare',
            'nothing',
            '--compare',
            'spread.target=0.05',
            '--report',
            str(folder),
        ).out
        self.assertIn('(3) spread.target=0.05', out)
        page = (folder / 'report.html').read_text()
        self.assertIsNone(re.search('(src|href)=.https?:', page))
        body = page[page.index('<body>') : page.index('</body>') + 7]
        root = xml.etree.ElementTree.fromstring(body)
        names = [one.text for one in root.iter('th')][:4]
        self.assertEqual(
            [None, 'as configured', 'nothing', 'spread.target=0.05'], names
        )
        drawn = [one for one in root.iter() if one.tag.endswith('}svg')]
        self.assertEqual(6, len(drawn))
        self.assertNotIn('metadata', page)
        found = json.loads((folder / 'report.json').read_text())
        self.assertEqual('kvm-balancer/simulation/1', found['schema'])
        first, nothing, closer = found['runs']
        self.assertEqual(
            first['figures']['moves'],
            sum(one['completed'] for one in first['migrations']),
        )
        self.assertEqual([], nothing['plans'])
        self.assertLess(
            closer['figures']['spread_mean'],
            nothing['figures']['spread_mean'],
        )

    def test_json_has_the_figures(self):
        ran = self.simulate('-f', 'json', '--load', self.load)
        (only,) = ran.json['runs']
        self.assertEqual('as configured', only['name'])
        self.assertNotIn('series', only)

    def test_the_same_seed_says_the_same(self):
        first, again, other = (
            self.simulate(
                '-f', 'json', '--load', self.load, '--seed', seed
            ).json['runs']
            for seed in ('1', '1', '2')
        )
        self.assertEqual(first, again)
        self.assertNotEqual(first, other)

    def test_it_begins_when_the_load_does_or_is_told_to(self):
        ran = self.simulate('-f', 'json', '--load', self.load)
        self.assertIn(' from Thu 1970-01-01 00:00, ', ran.json['title'])
        told = self.simulate(
            '-f', 'json', '--start', '2026-12-05T23:30:00+01:00'
        )
        self.assertIn(' from Sat 2026-12-05 22:30, ', told.json['title'])

    def test_what_happens_by_chance_is_asked_for(self):
        ran = self.simulate(
            *('-f', 'json', '--arrivals', '200', '--departures', '200'),
            *('--host-failures', '24', '--migration-failures', '50'),
            *('--lost-samples', '30', '--wrong-samples', '5'),
            *('--noise', '10'),
        )
        figures = ran.json['runs'][0]['figures']
        for name in ('arrived', 'departed', 'failed_hosts'):
            self.assertGreater(figures[name], 0, name)

    def test_an_option_that_is_tried_is_as_it_was_afterwards(self):
        """The variant before does not change the one after."""
        ran = self.simulate(
            *('-f', 'json', '--compare', 'agent.policies=relieve'),
            *('--compare', 'spread.start=0.15'),
        )
        configured, relieve, same = ran.json['runs']
        self.assertEqual(configured['figures'], same['figures'])
        self.assertLessEqual(
            relieve['figures']['moves'], same['figures']['moves']
        )
