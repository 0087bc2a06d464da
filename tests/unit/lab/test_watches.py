"""What is read from a Linux guest's serial port."""

import unittest

from kvm_balancer.lab import watches

_WELL = """\
B 215
C 1 0 0 13
D 1 1 0 0
G 1 16 0
C 2 0 0 22
D 2 2 0 0
E 1 hello
"""


class WatchesTest(unittest.TestCase):
    def test_the_last_line_of_each_watch_holds(self):
        report = watches.read(_WELL)
        self.assertEqual(2.15, report.boot_seconds)
        self.assertEqual(watches.Clock(2, 0, 0, 22), report.clock)
        self.assertEqual(watches.Disk(2, 2, 0, 0), report.disk)
        self.assertEqual(
            watches.RandomNumbers(1, 16, 0), report.random_numbers
        )
        self.assertEqual(('hello',), report.words)
        self.assertEqual((2, 2, 1), report.rounds)
        self.assertEqual((), report.problems)

    def test_a_line_that_is_not_complete_is_left(self):
        self.assertEqual(watches.read(_WELL), watches.read(_WELL + 'D 3 3'))

    def test_nothing_told_is_no_problem(self):
        self.assertEqual(watches.Report(), watches.read(''))
        self.assertEqual((), watches.Report().problems)

    def test_what_is_wrong_is_a_problem(self):
        for line, problem in (
            ('D 3 3 1 0', '1 blocks of its disk are damaged'),
            ('D 3 3 0 2', 'its disk refused 2 writes'),
            ('C 3 1 0 0', 'its clock went back 1 times'),
            ('C 3 0 4 0', '4 timers ended before their time'),
            ('G 2 16 1', '1 times no new random numbers'),
            ('D 4 3 0 0', 'lines of its were lost or came twice'),
            ('D 2 3 0 0', 'lines of its were lost or came twice'),
            ('B 300', 'lines of its were lost or came twice'),
            ('[ 9.1] BUG: soft lockup', 'says: [ 9.1] BUG: soft lockup'),
            ('D 3 x 0 0', 'says: D 3 x 0 0'),
        ):
            with self.subTest(line):
                report = watches.read(f'{_WELL}{line}\r\n')
                self.assertEqual((problem,), report.problems)
