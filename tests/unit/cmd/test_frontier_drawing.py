"""A plan's frontier is drawn and told as it is."""

import os
import unittest
from unittest import mock

from kvm_balancer.cmd import drawing
from kvm_balancer.cmd import frontier_drawing
from kvm_balancer.cmd import frontier_view

OLDER = {
    'before': {'cpu_stddev': 0.4},
    'frontier': [
        {'moves': 1, 'cpu_stddev': 0.2, 'mib': 1024.0},
        {'moves': 2, 'cpu_stddev': 0.1, 'mib': 3072.0},
        {'moves': 4, 'cpu_stddev': 0.1, 'mib': 4096.0},
    ],
}
LEFT = (
    {'drain': 5.0, 'relieve': 0.25, 'mine': 0.0},
    {'drain': 2.0, 'relieve': 0.375, 'mine': 0.0},
    {'drain': 0.0, 'relieve': 0.0, 'mine': 0.0},
)
PLAN = {
    **OLDER,
    'policy': 'drain,relieve',
    'purposes': [
        {
            'policy': 'drain',
            'what': 'instances on draining hosts',
            'before': 6.0,
            'after': 0.0,
            'counted': True,
        },
        {
            'policy': 'relieve',
            'what': 'load over limits',
            'before': 0.5,
            'after': 0.0,
        },
        {'policy': 'mine', 'what': 'trouble', 'before': 0.0, 'after': 0.0},
    ],
    'frontier': [
        {**point, 'left': left}
        for point, left in zip(OLDER['frontier'], LEFT, strict=True)
    ],
}


def drawn(plan=OLDER, width=80, glyphs=drawing.ASCII):
    lines = frontier_drawing.draw(plan, width, glyphs)
    return [''.join(word for word, _ in line) for line in lines]


class FrontierDrawingTest(unittest.TestCase):
    """What is left falls, what is copied rises."""

    def test_it_is_labelled_and_fits(self):
        lines = drawn(width=60)
        text = '\n'.join(lines)
        for words in ('0.400', 'CPU spread', 'GiB copied', '4 moves'):
            self.assertIn(words, text)
        self.assertLessEqual(max(map(len, lines)), 60)
        text.encode('ascii')

    def test_the_spread_falls_from_left_to_right(self):
        top, floor = drawn()[1], drawn()[6]
        self.assertTrue(top.rstrip().endswith('#'))
        self.assertLess(top.count('#'), floor.count('#'))

    def test_each_policy_that_changes_anything_is_drawn_by_itself(self):
        text = '\n'.join(drawn(PLAN))
        for words in ('    6 |', '  drain |', '0.500 |', 'relieve |'):
            self.assertIn(words, text)
        self.assertNotIn('mine', text)
        self.assertNotIn('CPU spread', text)

    def test_a_plan_of_hardly_a_move_is_not_drawn(self):
        self.assertEqual([], drawn({**OLDER, 'frontier': []}))


class FrontierTableTest(unittest.TestCase):
    """What is left of each purpose, and how much of the way that is."""

    def setUp(self):
        super().setUp()
        patched = mock.patch.dict(os.environ, {'COLUMNS': '100'})
        patched.start()
        self.addCleanup(patched.stop)

    def test_policies_stand_below_each_other_on_a_narrow_terminal(self):
        with mock.patch.dict(os.environ, {'COLUMNS': '80'}):
            first, second = frontier_view.table(PLAN).split('\n\n')
        self.assertEqual(['drain', 'relieve'], first.split('\n')[0].split())
        self.assertEqual(['mine'], second.split('\n')[0].split())
        self.assertLessEqual(max(map(len, first.split('\n'))), 54)

    def test_each_policy_has_what_is_left_and_its_share(self):
        head, titles, *lines = frontier_view.table(PLAN).split('\n')
        self.assertEqual(['drain', 'relieve', 'mine'], head.split())
        self.assertEqual(
            ['moves', 'GiB', *(3 * ['left', 'gained'])], titles.split()
        )
        self.assertEqual(
            [
                '1 1.0 5 17% 0.250 50% 0.000 -',
                '2 3.0 2 67% 0.375 25% 0.000 -',
                '4 4.0 0 100% 0.000 100% 0.000 -',
            ],
            [' '.join(line.split()) for line in lines],
        )
        self.assertEqual({len(titles)}, {len(line) for line in lines})

    def test_a_plan_that_tells_nothing_is_told_by_its_spread(self):
        head, *lines = frontier_view.table(OLDER).split('\n')
        self.assertEqual(['CPU', 'spread'], head.split())
        self.assertEqual('1 1.0 0.200 67%', ' '.join(lines[1].split()))
        self.assertEqual('-', frontier_view.purposes(OLDER))

    def test_what_it_is_for_is_told_in_a_line_each(self):
        self.assertEqual(
            [
                'drain: instances on draining hosts 6 -> 0',
                'relieve: load over limits 0.500 -> 0.000',
                'mine: trouble 0.000 -> 0.000',
            ],
            frontier_view.purposes(PLAN).split('\n'),
        )


if __name__ == '__main__':
    unittest.main()
