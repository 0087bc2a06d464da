"""Change windows, freezes and budgets, from the decision to the last move.

The agent lives through some hours of virtual time beside hot hosts that it
would relieve at once. What it did is then held against the clock, migration
by migration, by nothing of what held it back.
"""

import collections
import datetime
import unittest
import zoneinfo

from kvm_balancer.planner import budget
from kvm_balancer.planner import schedule
from kvm_balancer.simulation import engine
from kvm_balancer.simulation import scenario
from tests.fixtures import fleets as builders
from tests.unit.simulation import fleets

#: a Monday, noon in Greenwich
_NOON = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC).timestamp()
_HOUR = 3600.0


def lived(hours, **fields):
    """Let an agent live; each zone has one hot host of four."""
    names = [f'{zone}-{row}' for zone in ('az1', 'az2') for row in range(4)]
    fleet = builders.build(
        [builders.host(name, zone=name[:3]) for name in names],
        [
            builders.instance(
                f'{name}-{number}', name, cpu=1.9 if hot else 0.4
            )
            for name in names
            for hot in (name.endswith('-0'),)
            for number in range(5)
        ],
    )
    return engine.run(
        fleet,
        fleets.steady,
        fleets.agent(hold_seconds=60.0, **fields),
        scenario.Scenario(hours=hours, start=_NOON, surprise=0.0),
    ).migrations


def opening(text, zone):
    return schedule.Schedule(
        windows=(schedule.parse(text),), zone=zoneinfo.ZoneInfo(zone)
    )


def of_zone(migrations, zone):
    return [one for one in migrations if one.source.startswith(zone)]


class WindowTest(unittest.TestCase):
    """Nothing is under way while its zone is closed."""

    def check_within(self, migrations, first, last):
        self.assertTrue(migrations)
        for one in migrations:
            self.assertGreaterEqual(one.began, first * _HOUR)
            self.assertLessEqual(one.ended, last * _HOUR)

    def test_each_zone_has_hours_of_its_own_place(self):
        """14:00 in Berlin is 13:00 in Greenwich, 9:00 in New York 14:00."""
        made = lived(
            4.0,
            schedules=schedule.Schedules(
                zones={
                    'az1': opening('Mon 14:00-15:00', 'Europe/Berlin'),
                    'az2': opening('09:00-10:00', 'America/New_York'),
                }
            ),
        )
        self.check_within(of_zone(made, 'az1'), 1, 2)
        self.check_within(of_zone(made, 'az2'), 2, 3)

    def test_a_zone_without_hours_of_its_own_has_those_of_all(self):
        made = lived(
            3.0,
            schedules=schedule.Schedules(
                default=opening('13:30-14:00', 'UTC'),
                zones={'az2': schedule.Schedule()},
            ),
        )
        self.check_within(of_zone(made, 'az1'), 1.5, 2)
        self.check_within(of_zone(made, 'az2'), 0, 0.5)

    def test_a_freeze_holds_up_what_a_window_lets_go(self):
        frozen = schedule.Schedule(
            windows=(schedule.parse('Mon-Fri 12:00-16:00'),),
            freezes=(schedule.parse('2026-11-23 11:00 to 2026-11-23 14:00'),),
        )
        made = lived(3.0, schedules=schedule.Schedules(default=frozen))
        self.check_within(made, 2, 3)
        whole_day = schedule.Schedule(freezes=(schedule.parse('2026-11-23'),))
        self.assertEqual(
            (), lived(2.0, schedules=schedule.Schedules(default=whole_day))
        )


class BudgetTest(unittest.TestCase):
    """No hour has more than its budget, and the next one goes on."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.free = lived(1.0)

    def most_in_an_hour(self, migrations, amount, keys):
        """Return the most that any key had begun in any hour."""
        most = collections.Counter()
        for last in migrations:
            had = collections.Counter()
            for one in migrations:
                if last.began - _HOUR < one.began <= last.began:
                    for key in keys(one):
                        had[key] += amount(one)
            most |= had
        return max(most.values())

    def check(self, budgets, most, amount, keys):
        """Hold a budget, and see that it was what held moves back."""
        held = lived(2.5, budgets=budgets)
        self.assertGreater(self.most_in_an_hour(self.free, amount, keys), most)
        self.assertLessEqual(
            self.most_in_an_hour(held, amount, keys), most + 1e-6
        )
        last = max(one.began for one in held)
        self.assertGreater(last, _HOUR, 'the second hour has begun nothing')

    def test_moves_of_the_fleet(self):
        self.check(budget.Params(moves=1), 1, lambda _: 1, lambda _: ['all'])

    def test_gib_of_the_fleet(self):
        self.check(budget.Params(gib=5.0), 5.0, self.gib, lambda _: ['all'])

    def test_moves_of_a_host(self):
        self.check(
            budget.Params(host_moves=1),
            1,
            lambda _: 1,
            lambda one: [one.source, one.destination],
        )

    def test_gib_of_a_network_each_way(self):
        self.check(
            budget.Params(nic_gib=5.0),
            5.0,
            self.gib,
            lambda one: [('out', one.source), ('in', one.destination)],
        )

    def gib(self, one):
        return one.predicted.mib / 1024.0


if __name__ == '__main__':
    unittest.main()
