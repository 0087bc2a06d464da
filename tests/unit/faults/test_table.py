"""The table of faults in the documentation."""

import pathlib
import tempfile
import unittest

import docutils.core

from kvm_balancer.lab.faults import catalogue
from kvm_balancer.lab.faults import contract
from tests.faults import results
from tests.faults import summary as summaries
from tests.faults import table

ALL = [
    (fault, phase.value)
    for fault, struck in catalogue.FAULTS.items()
    for phase in contract.Phase
    if phase in struck.fates
]


def result(
    fault,
    phase,
    where='host-1',
    told=('failed',),
    reason='a reason',
    commit='0123abc',
):
    return results.Result(
        fault,
        phase,
        1,
        copies_disk=True,
        struck=True,
        outcomes=[(kind, reason) for kind in told],
        where={where: 'running'} if where else {},
        samples=10,
        longest_gap=0.25,
        commit=commit,
        seconds={'settling': 3.2},
    )


class SummaryTest(unittest.TestCase):
    def test_what_differs_by_figures_only_is_one_end(self):
        found = summaries.summarise(
            [
                *(result(*case) for case in ALL),
                result(*ALL[0], reason='host-1 after\n3 s'),
                result(*ALL[0], reason='host-1 after 2.5 s'),
                result(*ALL[0], 'host-2', ('unknown', 'completed')),
            ]
        )
        self.assertEqual(len(ALL) + 3, found.runs)
        self.assertEqual(10 * (len(ALL) + 3), found.looks)
        self.assertEqual((len(ALL) + 3, 0), (found.copied, found.guarded))
        self.assertEqual(0.25, found.longest_gap)
        self.assertEqual(
            (
                summaries.End('stays', ('failed',), 'SOURCE after 2.5 s', 2),
                summaries.End(
                    'arrives', ('unknown', 'completed'), 'a reason', 1
                ),
                summaries.End('stays', ('failed',), 'a reason', 1),
            ),
            found.cases[0].ends,
        )

    def test_what_became_of_the_instance_is_told_by_where_it_is(self):
        cases = {
            'stays': result(*ALL[0]),
            'arrives': result(*ALL[0], 'host-2'),
            'ends': result(*ALL[0], ''),
        }
        paused = result(*ALL[0])
        paused.where = {'host-2': 'paused'}
        cases['is paused at the destination'] = paused
        twice = result(*ALL[0], told=('unknown',))
        twice.where = {'host-1': 'paused', 'host-2': 'paused'}
        cases['runs twice, and is suspended at both'] = twice
        for wanted, one in cases.items():
            others = [result(*case) for case in ALL[1:]]
            found = summaries.summarise([one, *others])
            self.assertEqual(wanted, found.cases[0].ends[0].instance)

    def test_a_run_that_failed_or_is_missing_makes_no_summary(self):
        whole = [result(*case) for case in ALL]
        wrong = result(*ALL[3])
        wrong.problems = ['it ran twice']
        missed = result(*ALL[4])
        missed.struck, missed.missed = False, 'it was over'
        for given, word in (
            ([*whole, wrong], 'it ran twice'),
            ([*whole, missed], 'did not strike: it was over'),
            (whole[1:], f'never struck:\n{" ".join(ALL[0])}'),
        ):
            with self.assertRaisesRegex(ValueError, word):
                summaries.summarise(given)

    def test_the_code_that_ran_is_told_and_has_to_be_in_a_commit(self):
        whole = [result(*case) for case in ALL]
        later = result(*ALL[0], commit='456def')
        told = table.rst(summaries.summarise(whole))
        self.assertIn(f'{len(ALL)} runs of commit ``0123abc``, in', told)
        told = table.rst(summaries.summarise([*whole, later]))
        self.assertIn(
            f'of commit ``0123abc`` ({len(ALL)}), commit ``456def`` (1), in',
            told,
        )
        for commit in ('', '0123abc+'):
            odd = result(*ALL[0], commit=commit)
            with self.assertRaisesRegex(ValueError, 'is in no commit'):
                summaries.summarise([*whole, odd])

    def test_it_is_the_same_after_it_was_kept(self):
        found = summaries.summarise([result(*case) for case in ALL])
        self.assertEqual(found, summaries.load(summaries.dump(found)))

    def test_results_are_the_same_after_they_were_kept(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, 'results')
            given = [result(*case) for case in ALL[:2]]
            for one in given:
                results.append(path, one)
            read = results.read(path)
        self.assertEqual(
            [one.verdict() for one in given], [one.verdict() for one in read]
        )


class TableTest(unittest.TestCase):
    maxDiff = None

    def test_it_is_what_the_kept_summary_says(self):
        kept = summaries.load(table.SUMMARY.read_text())
        self.assertEqual(
            table.rst(kept),
            table.TABLE.read_text(),
            'run: tox -e faultstable',
        )

    def test_the_kept_summary_has_every_fault_in_every_phase(self):
        kept = summaries.load(table.SUMMARY.read_text())
        self.assertEqual(ALL, [(one.fault, one.phase) for one in kept.cases])
        self.assertEqual(kept.runs, sum(one.runs for one in kept.cases))

    def test_whatever_a_reason_says_the_table_has_a_cell_for_it(self):
        whole = [result(*case) for case in ALL[1:]]
        odd = result(*ALL[0], reason='*a* |b| `c` d_ ' + 'long ' * 40)
        told = table.rst(summaries.summarise([odd, *whole]))
        made = docutils.core.publish_doctree(
            told, settings_overrides={'report_level': 5, 'halt_level': 5}
        )
        rows = list(made.findall(lambda node: node.tagname == 'row'))
        self.assertEqual(len(ALL) + 1, len(rows))
        self.assertIn('*a* |b| `c` d_ long', rows[1].astext())
        problems = made.findall(lambda node: node.tagname == 'system_message')
        self.assertEqual([], list(problems))
