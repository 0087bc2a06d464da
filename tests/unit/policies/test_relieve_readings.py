"""Relief of what hosts have too much of besides CPU."""

import dataclasses
import unittest

import hypothesis
from hypothesis import strategies as st
import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import plan as plan_model
from kvm_balancer.planner import gauges
from kvm_balancer.planner import revalidation
from kvm_balancer.policies import relieve
from kvm_balancer.policies import relieve_limits
from tests.fixtures import fleets
from tests.unit.planner import plans

GIB = fleets.GIB
Reading = plan_model.Reading
RELIEVE = relieve.Relieve(
    relieve_limits.RelieveParams(
        memory_limit=0.9,
        steal_limit=0.1,
        cpu_pressure_limit=0.5,
        memory_pressure_limit=0.2,
        io_pressure_limit=0.4,
    )
)


def guests(host='a', **of):
    """Three instances: one that uses most of each kind, two that do not."""
    some = {'memory_usage_mib': 3 * GIB, 'io_mib_s': 50.0, 'cpu': 0.4}
    return [
        fleets.instance('much', host, **(some | of)),
        fleets.instance('less', host, **some),
        fleets.instance('also', host, **some),
    ]


#: what is over its limit: fields of the host, and of the one that should go
CASES = {
    Reading.MEMORY: (
        {'memory_used_mib': 60 * GIB},
        {'memory_usage_mib': 8 * GIB, 'memory_gib': 8},
    ),
    Reading.ALLOCATION: ({'memory_allocation_ratio': 0.2}, {'memory_gib': 9}),
    Reading.STEAL: ({}, {'cpu': 1.0, 'cpu_steal': 1.5}),
    Reading.CPU_PRESSURE: ({'cpu_pressure': 0.7}, {'cpu': 1.0}),
    Reading.MEMORY_PRESSURE: (
        {'memory_pressure': 0.3},
        {'memory_usage_mib': 5 * GIB, 'memory_gib': 8},
    ),
    Reading.IO_PRESSURE: ({'io_pressure': 0.6}, {'io_mib_s': 80.0}),
}


def over(reading, **other):
    """A fleet whose host a is over its limit of *reading*, and b is not.

    :param other: of host b
    """
    host, guest = CASES[reading]
    return fleets.build(
        [fleets.host('a', **host), fleets.host('b', **other)],
        guests(**guest),
    )


def propose(fleet, policy=RELIEVE):
    return policy.propose(fleet, plans.full_context())


def objection(fleet, move):
    said = revalidation.Review(fleet, plans.FILTERS).objection((move,))
    return said.reason if said else ''


def with_hosts(fleet, **fields):
    return dataclasses.replace(
        fleet, hosts=dataclasses.replace(fleet.hosts, **fields)
    )


class TestReadings(unittest.TestCase):
    """One host over one limit at a time."""

    def test_what_uses_most_of_it_goes(self):
        for reading in CASES:
            with self.subTest(reading):
                (move,) = propose(over(reading)).moves
                self.assertEqual('much', move.instance)
                self.assertIs(reading, move.cause.reading)
                self.assertIn(f' {reading.words}; this move', move.reason)

    def test_the_trigger_names_it(self):
        for reading in CASES:
            with self.subTest(reading):
                trigger = RELIEVE.trigger(over(reading))
                self.assertGreater(trigger.level, trigger.start)
                self.assertIn(f'{reading.words}; a is the', trigger.text)
                self.assertIn('a', trigger.near)

    def test_nothing_is_over_a_limit_of_none(self):
        policy = relieve.Relieve(
            relieve_limits.RelieveParams(
                **{
                    field.name: 0.0
                    for field in dataclasses.fields(
                        relieve_limits.RelieveParams
                    )
                    if field.name not in ('limit', 'margin', 'places')
                }
            )
        )
        for reading in CASES:
            with self.subTest(reading):
                fleet = over(reading)
                self.assertEqual((), propose(fleet, policy).moves)
                trigger = policy.trigger(fleet)
                self.assertLess(trigger.level, trigger.start)

    def test_what_nobody_has_measured_is_over_no_limit(self):
        fleet = fleets.build([fleets.host('a'), fleets.host('b')], guests())
        self.assertTrue(np.isnan(fleet.hosts.memory_used_mib).all())
        self.assertEqual((), propose(fleet).moves)
        self.assertEqual({}, RELIEVE.trigger(fleet).near)

    def test_a_host_that_is_over_it_itself_takes_nothing(self):
        same = {
            Reading.MEMORY: {'memory_used_mib': 60 * GIB},
            Reading.CPU_PRESSURE: {'cpu_pressure': 0.6},
            Reading.MEMORY_PRESSURE: {'memory_pressure': 0.3},
            Reading.IO_PRESSURE: {'io_pressure': 0.6},
        }
        for reading, fields in same.items():
            with self.subTest(reading):
                made = propose(over(reading, **fields))
                self.assertEqual((), made.moves)
                hot = {one.host for one in made.still_hot}
                self.assertEqual({'a', 'b'}, hot)
                for one in made.still_hot:
                    self.assertIs(reading, one.reading)
                self.assertIn('a limit of [relieve]', made.still_hot[0].reason)

    def test_relief_of_cpu_fills_no_memory(self):
        for used, moved in ((40, ['much']), (59, [])):
            with self.subTest(used):
                fleet = fleets.build(
                    [
                        fleets.host('a', cpu_overhead=6),
                        fleets.host('b', memory_used_mib=used * GIB),
                    ],
                    guests(cpu=3.0, memory_usage_mib=4 * GIB),
                )
                made = propose(fleet)
                self.assertEqual(moved, [one.instance for one in made.moves])

    def test_what_waited_gets_more_cores_elsewhere(self):
        """A destination has to have them."""
        for overhead, moved in ((4.0, True), (6.0, False)):
            with self.subTest(overhead):
                made = propose(over(Reading.STEAL, cpu_overhead=overhead))
                gone = [one.instance for one in made.moves]
                self.assertEqual(moved, 'much' in gone)

    def test_nobody_ends_with_more_than_who_was_relieved(self):
        fleet = fleets.build(
            [
                fleets.host('a', io_pressure=0.6),
                fleets.host('b', io_pressure=0.1),
                fleets.host('c', io_pressure=0.1),
            ],
            [
                *guests(io_mib_s=80.0),
                fleets.instance('one', 'b', io_mib_s=60.0),
            ],
        )
        made = propose(fleet)
        self.assertEqual({'c'}, {one.destination for one in made.moves})

    def test_a_host_that_nothing_relieves_says_why(self):
        fleet = fleets.build(
            [fleets.host('a', io_pressure=0.6), fleets.host('b')],
            [fleets.instance('x', 'a')],
        )
        (hot,) = propose(fleet).still_hot
        self.assertIn('I/O pressure', hot.reason)
        self.assertEqual(0.6, hot.load)

    def test_memory_is_exchanged_where_no_single_move_helps(self):
        fleet = fleets.build(
            [
                fleets.host('a', memory_gib=16, memory_allocation_ratio=0.7),
                fleets.host('b', memory_gib=16),
                fleets.host('c', memory_gib=3),
            ],
            [
                fleets.instance('large', 'a', memory_gib=8),
                fleets.instance('small', 'a', memory_gib=4),
                fleets.instance('b8', 'b', memory_gib=8),
                fleets.instance('b3', 'b', memory_gib=3),
                fleets.instance('b4', 'b', memory_gib=3),
            ],
        )
        made = propose(fleet)
        self.assertEqual((), made.still_hot)
        self.assertEqual(2, len(made.moves))


class TestTurns(unittest.TestCase):
    """When the turn of a move comes, the same reading is looked at."""

    def test_it_is_made_while_the_reading_is_over(self):
        for reading in CASES:
            with self.subTest(reading):
                fleet = over(reading)
                (move,) = propose(fleet).moves
                self.assertEqual('', objection(fleet, move))

    def test_it_is_dropped_when_it_is_not_any_more(self):
        for reading, fields in (
            (Reading.MEMORY, {'memory_used_mib': np.full(2, 9 * GIB)}),
            (Reading.CPU_PRESSURE, {'cpu_pressure': np.full(2, 0.1)}),
            (Reading.IO_PRESSURE, {'io_pressure': np.full(2, 0.1)}),
        ):
            with self.subTest(reading):
                fleet = over(reading)
                (move,) = propose(fleet).moves
                self.assertIn(
                    f'{reading.words} by now',
                    objection(with_hosts(fleet, **fields), move),
                )

    def test_it_is_dropped_when_nobody_tells_any_more(self):
        fleet = over(Reading.MEMORY)
        (move,) = propose(fleet).moves
        unknown = with_hosts(fleet, memory_used_mib=np.full(2, np.nan))
        self.assertIn('does not tell its memory', objection(unknown, move))

    def test_it_is_dropped_where_its_destination_is_worse_off(self):
        fleet = over(Reading.MEMORY_PRESSURE)
        (move,) = propose(fleet).moves
        worse = with_hosts(fleet, memory_pressure=np.array((0.3, 0.9)))
        self.assertIn('b would be at 0.90', objection(worse, move))


@st.composite
def measured(draw):
    """A small fleet in which some of its hosts tell of everything."""
    fleet = draw(fleets.small())
    hosts, count = fleet.hosts, len(fleet.hosts)

    def column(most):
        values = st.floats(0.0, most) | st.just(float('nan'))
        return np.array([draw(values) for _ in range(count)])

    rows = len(fleet.instances)
    share = st.floats(0.1, 1.0)
    instances = dataclasses.replace(
        fleet.instances,
        memory_usage_mib=fleet.instances.memory_mib
        * np.array([draw(share) for _ in range(rows)]),
        cpu_steal=np.array([draw(st.floats(0, 1)) for _ in range(rows)]),
        io_mib_s=np.array([draw(st.floats(0, 50)) for _ in range(rows)]),
    )
    return dataclasses.replace(
        with_hosts(
            fleet,
            memory_used_mib=column(1.0) * hosts.memory_mib,
            cpu_pressure=column(1.0),
            memory_pressure=column(1.0),
            io_pressure=column(1.0),
        ),
        instances=instances,
    )


def as_planned(fleet, made):
    """Return the reading of every host when the moves are made."""
    state = plans.placed(fleet)
    for move in made.moves:
        state.move(
            (fleet.instance_row[move.instance],),
            fleet.host_row[move.destination],
        )
    return {
        one.reading: (
            gauges.Gauge(fleet, one.reading).read,
            gauges.Gauge(fleet, one.reading).load(state),
            one,
        )
        for one in RELIEVE.params.limits(fleet)
    }


class TestEveryPlan(unittest.TestCase):
    """What holds for whatever is measured."""

    @hypothesis.settings(deadline=None, max_examples=60)
    @hypothesis.given(measured())
    def test_no_host_is_brought_over_a_limit(self, fleet):
        readings = as_planned(fleet, propose(fleet))
        for reading, (before, after, limit) in readings.items():
            worse = after > np.maximum(before, limit.aim) + 1e-6
            if reading is Reading.ALLOCATION:
                # by CPU relief, up to what may be allocated at all
                worse = after > np.maximum(before, 1.0) + 1e-6
            self.assertFalse(worse.any(), reading)

    @hypothesis.settings(deadline=None, max_examples=60)
    @hypothesis.given(measured())
    def test_whatever_stays_over_a_limit_is_named(self, fleet):
        made = propose(fleet)
        named = {(one.host, one.reading) for one in made.still_hot}
        for reading, (_, after, limit) in as_planned(fleet, made).items():
            for row in np.flatnonzero(after > limit.most + 1e-6).tolist():
                name = fleet.hosts.name[row]
                self.assertIn((name, reading), named)

    @hypothesis.settings(deadline=None, max_examples=60)
    @hypothesis.given(measured())
    def test_every_move_still_makes_sense_when_it_is_made(self, fleet):
        made = propose(fleet)
        for move in made.moves[:1]:
            if fleet.hosts.state[fleet.host_row[move.source]] == (
                columns.HostState.ENABLED
            ):
                self.assertEqual('', objection(fleet, move))
