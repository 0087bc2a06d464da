"""When a policy acts, as a table of what it sees over time."""

import unittest

from kvm_balancer.policies import base
from kvm_balancer.policies import hysteresis


def moods(levels, hold=60, start=0.15, stop=0.10):
    """Return the moods after looks at (time, level) pairs."""
    state = hysteresis.Hysteresis()
    found = []
    for now, level in levels:
        trigger = base.Trigger(level, start, stop, '')
        state = hysteresis.step(state, trigger, now, hold)
        found.append(str(state.mood))
    return ' '.join(found)


class TestHysteresis(unittest.TestCase):
    """Thresholds at 0.15 and 0.10, held for a minute."""

    CASES = (
        ('calm', [(0, 0.1), (60, 0.15)], 'content content'),
        (
            'long enough',
            [(0, 0.2), (30, 0.2), (60, 0.2)],
            'alarmed alarmed acting',
        ),
        (
            'a burst moves nothing',
            [(0, 0.2), (30, 0.1), (60, 0.2), (90, 0.2)],
            'alarmed content alarmed alarmed',
        ),
        (
            'acts down to the stop threshold',
            [(0, 0.2), (60, 0.2), (70, 0.12), (80, 0.10)],
            'alarmed acting acting content',
        ),
        (
            'does not begin between the thresholds',
            [(0, 0.12), (100, 0.12)],
            'content content',
        ),
        (
            'a clock set back starts the wait over',
            [(1000, 0.2), (10, 0.2), (60, 0.2), (70, 0.2)],
            'alarmed alarmed alarmed acting',
        ),
    )

    def test_table(self):
        for name, levels, expected in self.CASES:
            with self.subTest(name):
                self.assertEqual(expected, moods(levels))

    def test_without_a_hold_time_it_acts_at_first_sight(self):
        self.assertEqual('acting', moods([(0, 0.2)], hold=0))

    def test_after_a_whole_plan_it_waits_anew(self):
        """Hosts that have waited for themselves have done so."""
        for near, expected in ((None, 'alarmed'), ({'a': 0.2}, 'acting')):
            with self.subTest(near=near):
                trigger = base.Trigger(0.2, 0.15, 0.10, '', near)
                state = hysteresis.Hysteresis()
                for now in (0.0, 60.0):
                    state = hysteresis.step(state, trigger, now, 60)
                state = hysteresis.answered(state, 60.0)
                self.assertEqual('content', state.mood)
                state = hysteresis.step(state, trigger, 90.0, 60)
                self.assertEqual(expected, state.mood)

    NEAR = (
        (
            'one that was near waits no more once it is over',
            [(0, {'a': 0.76}), (60, {'a': 0.78}), (70, {'a': 0.82})],
            'content content acting',
        ),
        (
            'one that comes from below waits',
            [(0, {}), (60, {'a': 0.76}), (70, {'a': 0.82}), (120, {'a': 0.9})],
            'content content alarmed acting',
        ),
        (
            'nobody waits for another',
            [(0, {'a': 0.78}), (60, {'a': 0.78}), (70, {'a': 0.78, 'b': 0.9})],
            'content content alarmed',
        ),
        (
            'a burst moves nothing, whoever is near',
            [
                (0, {'a': 0.78}),
                (60, {'a': 0.78, 'b': 0.82}),
                (110, {'a': 0.78, 'b': 0.79}),
                (130, {'a': 0.78}),
                (140, {'a': 0.78, 'b': 0.82}),
            ],
            'content alarmed content content alarmed',
        ),
        (
            'it acts until all are under the limit',
            [(0, {'a': 0.9}), (60, {'a': 0.9}), (70, {'b': 0.9}), (80, {})],
            'alarmed acting acting content',
        ),
        (
            'a clock set back starts the wait over',
            [(1000, {'a': 0.9}), (10, {'a': 0.9}), (69, {'a': 0.9})],
            'alarmed alarmed alarmed',
        ),
    )

    def test_hosts_wait_each_for_itself_from_when_they_were_near(self):
        """They are near from 0.75 on, and over the threshold from 0.8."""
        for name, levels, expected in self.NEAR:
            with self.subTest(name):
                state, found = hysteresis.Hysteresis(), []
                for now, near in levels:
                    trigger = base.Trigger(
                        max(near.values(), default=0.0), 0.8, 0.8, '', near
                    )
                    state = hysteresis.step(state, trigger, now, 60)
                    found.append(str(state.mood))
                self.assertEqual(expected, ' '.join(found))

    LASTING = (
        (
            'one that has lasted waits for two thirds',
            [(0, {'a': 0}), (39, {'a': 0}), (40, {'a': 0})],
            'alarmed alarmed acting',
        ),
        ('what its readings have lasted counts', [(0, {'a': 40})], 'acting'),
        (
            'and what they go on to',
            [(0, {'a': 30}), (9, {'a': 30}), (10, {'a': 30})],
            'alarmed alarmed acting',
        ),
        (
            'one that did not go on starts over',
            [(0, {'a': 30}), (5, {}), (10, {'a': 30})],
            'alarmed alarmed alarmed',
        ),
        (
            'nobody goes on for another',
            [(0, {'a': 30}), (10, {'b': 30})],
            'alarmed alarmed',
        ),
        (
            'a clock set back starts it over',
            [(1000, {'a': 30}), (10, {'a': 30}), (19, {'a': 30})],
            'alarmed alarmed alarmed',
        ),
    )

    def test_hosts_that_all_readings_show_wait_for_less(self):
        """All of them are over the threshold, and came from below."""
        for name, looks, expected in self.LASTING:
            with self.subTest(name):
                state, found = hysteresis.Hysteresis(), []
                for now, lasting in looks:
                    trigger = base.Trigger(
                        0.9, 0.8, 0.8, '', {'a': 0.9, 'b': 0.9}, lasting
                    )
                    state = hysteresis.step(state, trigger, now, 60)
                    found.append(str(state.mood))
                self.assertEqual(expected, ' '.join(found))

    def test_only_acting_is_acting(self):
        for mood in hysteresis.Mood:
            state = hysteresis.Hysteresis(mood)
            self.assertIs(mood is hysteresis.Mood.ACTING, state.acting)


if __name__ == '__main__':
    unittest.main()
