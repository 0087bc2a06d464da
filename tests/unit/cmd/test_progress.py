"""Progress: a view on a terminal, lines elsewhere, never the same twice."""

import io
import unittest

from kvm_balancer.cmd import progress
from kvm_balancer.migration import events
from kvm_balancer.migration import instructions


def report(state='pre-copy', text='', **figures):
    return instructions.ReportProgress(
        state, events.Statistics(**figures), text
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

    def test_a_terminal_gets_a_view_that_leaves_only_notes_behind(self):
        stream = Terminal()
        with progress.display(stream) as shown:
            self.assertIsInstance(shown, progress.Live)
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
