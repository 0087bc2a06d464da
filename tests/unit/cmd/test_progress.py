"""Progress: a view on a terminal, lines elsewhere, never the same twice."""

import dataclasses
import io
import re
import unittest
import unittest.mock

from kvm_balancer.cmd import migration_wording as wording
from kvm_balancer.cmd import progress
from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from kvm_balancer.migration import request
from kvm_balancer.model import outcome
from kvm_balancer.model import plan


def report(state='pre-copy', text='', **figures):
    return instructions.ReportProgress(
        state, events.Statistics(**figures), text
    )


WANTED = request.Request(
    *('m1', 'i1', 'alpha', 'beta', 'qemu+tls://beta/system', 100.0),
    predicted=plan.Prediction(9.8, 45.0, 512.0),
)


class Terminal(io.StringIO):
    def isatty(self):
        return True


class ProgressTest(unittest.TestCase):
    def test_lines_tell_states_and_passes_once(self):
        stream = io.StringIO()
        with progress.display(stream) as shown:
            shown.show(report('pre-flight', 'pre-flight'))
            for left in (90.0, 80.0):
                shown.show(
                    report(
                        text=f'pass 1, {left} MiB left',
                        iteration=1,
                        total_mib=100.0,
                        remaining_mib=left,
                        bandwidth_mib_s=10.0,
                    )
                )
            shown.show(
                report(
                    text='does not converge',
                    iteration=2,
                    total_mib=100.0,
                    remaining_mib=70.0,
                    throttle_percent=20,
                )
            )
        self.assertEqual(
            [
                'pre-flight',
                'pre-copy: pass 1, 90 MiB left, 10 MiB/s',
                'pre-copy: pass 2, 70 MiB left, 0 MiB/s, throttle 20 %; '
                'does not converge',
            ],
            stream.getvalue().splitlines(),
        )

    def test_a_guest_that_has_left_has_no_dirty_rate_and_no_throttle(self):
        for kind in (io.StringIO, Terminal):
            for state, shown_too in (('pre-copy', True), ('post-copy', False)):
                stream = kind()
                with progress.display(stream) as shown:
                    shown.begin('guest-1', WANTED)
                    shown.show(
                        report(
                            state,
                            iteration=3,
                            total_mib=100.0,
                            remaining_mib=25.0,
                            dirty_rate_mib_s=31.0,
                            throttle_percent=40,
                        )
                    )
                for word in ('31 MiB/s', 'throttle 40 %'):
                    self.assertEqual(
                        shown_too, word in stream.getvalue(), (kind, word)
                    )

    def test_a_prediction_says_how_it_ends(self):
        for changes, said in (
            ({}, 'MiB, pre-copy'),
            ({'converges': True}, 'converges by pre-copy'),
            (
                {'converges': True, 'throttled': True},
                'converges by pre-copy when slowed down',
            ),
            ({'converges': False}, 'does not converge and is given up'),
            (
                {'converges': True, 'mode': plan.Mode.POST_COPY},
                'converges by post-copy',
            ),
        ):
            predicted = dataclasses.replace(WANTED.predicted, **changes)
            self.assertTrue(wording.prediction(predicted).endswith(said), said)

    def test_a_terminal_gets_a_view_that_leaves_only_notes_behind(self):
        stream = Terminal()
        with progress.display(stream) as shown:
            self.assertIsInstance(shown, progress.Live)
            shown.begin('guest-1', WANTED)
            shown.show(report('pre-flight'))
            shown.show(
                report(
                    text='[does not] converge',
                    iteration=1,
                    total_mib=100.0,
                    remaining_mib=25.0,
                )
            )
        self.assertIn('[does not] converge', stream.getvalue())
        self.assertIn('25 of 100 MiB left', stream.getvalue())
        self.assertIn('guest-1  alpha -> beta', stream.getvalue())
        self.assertIn('predicted 9.8 s in all', stream.getvalue())

    def test_a_view_fits_80_columns_whatever_there_is_to_show(self):
        stream = Terminal()
        with (
            unittest.mock.patch.dict('os.environ', {'COLUMNS': '80'}),
            progress.display(stream) as shown,
        ):
            shown.begin('an-instance-with-quite-a-long-name' * 3, WANTED)
            for left in (None, 7.4):
                shown.show(
                    instructions.ReportProgress(
                        'post-copy paused',
                        events.Statistics(
                            iteration=123,
                            total_mib=1e6,
                            remaining_mib=1e6,
                            bandwidth_mib_s=12345.0,
                            dirty_rate_mib_s=12345.0,
                            throttle_percent=99,
                        ),
                        'because ' * 30,
                        decision=instructions.Decided.RAISE_DOWNTIME,
                        decisions=1,
                        remaining_seconds=left,
                        expected_downtime_ms=left,
                        downtime_limit_ms=500,
                    )
                )
        text = re.sub(r'\x1b\[[0-9;?]*[A-Za-z]', '', stream.getvalue())
        for line in re.split(r'[\r\n]+', text):
            self.assertLessEqual(len(line), 80, line)
        self.assertIn('[1] allow a longer stop: because', text)

    def test_what_is_ahead_is_told_as_far_as_it_is_known(self):
        known = report(iteration=1, remaining_mib=9.0)
        self.assertEqual('', wording.ahead(known))
        known = dataclasses.replace(
            known, remaining_seconds=7.4, expected_downtime_ms=300.0
        )
        self.assertEqual(
            'about 8 s to go, downtime about 300 ms', wording.ahead(known)
        )

    def test_what_happened_is_held_against_what_was_predicted(self):
        ended = outcome.Outcome(
            *('m1', 'i1', 'alpha', 'beta'),
            outcome.OutcomeKind.COMPLETED,
            plan.Mode.POST_COPY,
            *('', 100.0, 110.0, 10_780.0, 61.0, 530.0, 4, 0),
            WANTED.predicted,
        )
        self.assertEqual(
            'took 11 s (predicted 9.8 s, +10%), downtime 61 ms (45 ms), '
            '530 MiB (512 MiB), post-copy (pre-copy)',
            wording.comparison(ended),
        )
        failed = dataclasses.replace(ended, outcome=outcome.OutcomeKind.FAILED)
        self.assertEqual('', wording.comparison(failed))
