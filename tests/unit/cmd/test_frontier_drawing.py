"""A plan's frontier is drawn as it is."""

import unittest

from kvm_balancer.cmd import drawing
from kvm_balancer.cmd import frontier_drawing

PLAN = {
    'before': {'cpu_stddev': 0.4},
    'frontier': [
        {'moves': 1, 'cpu_stddev': 0.2, 'mib': 1024.0},
        {'moves': 2, 'cpu_stddev': 0.1, 'mib': 3072.0},
        {'moves': 4, 'cpu_stddev': 0.1, 'mib': 4096.0},
    ],
}


def drawn(plan=PLAN, width=80, glyphs=drawing.ASCII):
    lines = frontier_drawing.draw(plan, width, glyphs)
    return [''.join(word for word, _ in line) for line in lines]


class FrontierDrawingTest(unittest.TestCase):
    """What is left of the spread falls, what is copied rises."""

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

    def test_a_plan_of_hardly_a_move_is_not_drawn(self):
        self.assertEqual([], drawn({**PLAN, 'frontier': []}))
