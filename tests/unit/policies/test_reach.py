"""What no move changes is no reason to move anything else."""

import dataclasses
import statistics
import unittest

import hypothesis
from hypothesis import strategies as st
import numpy as np

from kvm_balancer.policies import relieve
from kvm_balancer.policies import relieve_limits
from kvm_balancer.policies import spread
from tests.fixtures import fleets
from tests.fixtures import judge
from tests.unit.planner import plans

SPREAD = spread.Spread(spread.SpreadParams(target=0.1))
RELIEVE = relieve.Relieve(relieve_limits.RelieveParams(limit=0.7))
FLEET = fleets.skewed(40, 400, seed=3)
#: a host that is neither hot nor cold
HOST = int(np.argsort(FLEET.cpu_load)[20])


def with_overhead(cores):
    """Return the fleet with a host that tells of *cores* in use."""
    overhead = FLEET.hosts.cpu_overhead.copy()
    overhead[HOST] = cores
    hosts = dataclasses.replace(FLEET.hosts, cpu_overhead=overhead)
    return dataclasses.replace(FLEET, hosts=hosts)


def with_usage(cores):
    """Return the fleet with an instance that tells of *cores* in use."""
    usage = FLEET.instances.cpu_usage.copy()
    usage[np.flatnonzero(FLEET.instances.host == HOST)[0]] = cores
    instances = dataclasses.replace(FLEET.instances, cpu_usage=usage)
    return dataclasses.replace(FLEET, instances=instances)


def gone_silent(cores):
    """Return the fleet with a host that told of *cores* when last heard."""
    fleet = with_overhead(cores)
    silent = np.arange(len(fleet.hosts)) == HOST
    hosts = dataclasses.replace(fleet.hosts, silent=silent)
    return dataclasses.replace(fleet, hosts=hosts)


def with_stuck(fleet, host, load):
    """Return a fleet with a host at a *load* that nothing may leave."""
    here = fleet.instances.host == host
    overhead = fleet.hosts.cpu_overhead.copy()
    used = fleet.instances.cpu_usage[here].sum()
    overhead[host] = load * fleet.hosts.cpus[host] - used
    return dataclasses.replace(
        fleet,
        hosts=dataclasses.replace(fleet.hosts, cpu_overhead=overhead),
        instances=dataclasses.replace(
            fleet.instances, movable=fleet.instances.movable & ~here
        ),
    )


class TestBadSamples(unittest.TestCase):
    """They cost the host that tells them, and nobody else."""

    CASES = (
        ('of a host', with_overhead(1e6)),
        ('a little too high', with_overhead(100.0)),
        ('of an instance', with_usage(1e5)),
        ('none, but it is stuck', with_stuck(FLEET, HOST, 1.2)),
    )
    SILENCE = (('none, but it was hot', gone_silent(40.0)),)

    def test_no_more_is_moved_than_without_them(self):
        for policy in (SPREAD, RELIEVE):
            alone = policy.propose(FLEET, plans.full_context())
            for what, fleet in self.CASES + self.SILENCE:
                with self.subTest(what, policy=policy.name):
                    made = policy.propose(fleet, plans.full_context())
                    self.assertLessEqual(len(made.moves), len(alone.moves) + 2)
                    name = fleet.hosts.name[HOST]
                    touched = {
                        end
                        for one in made.moves
                        for end in (one.source, one.destination)
                    }
                    self.assertNotIn(name, touched)

    def test_the_others_are_evened_out_and_relieved_all_the_same(self):
        for what, fleet in self.CASES:
            with self.subTest(what):
                made = SPREAD.propose(fleet, plans.full_context())
                _, after = judge.loads(fleet, made.moves)
                del after[HOST]
                self.assertLessEqual(statistics.pstdev(after), 0.1 + 1e-9)
                self.assertIn(fleet.hosts.name[HOST], made.summary)
                made = RELIEVE.propose(fleet, plans.full_context())
                _, after = judge.loads(fleet, made.moves)
                del after[HOST]
                self.assertLessEqual(max(after), 0.7 + 1e-9)
                (hot,) = made.still_hot
                self.assertEqual(fleet.hosts.name[HOST], hot.host)


class TestOutOfReach(unittest.TestCase):
    """Zones and freezes keep loads where they are."""

    @hypothesis.settings(max_examples=15)
    @hypothesis.given(
        seed=st.integers(0, 1000),
        load=st.floats(0.9, 1.25),
        hosts=st.integers(8, 24),
    )
    def test_a_host_that_is_stuck_costs_the_others_nothing(
        self, seed, load, hosts
    ):
        """They are not brought nearer to each other for it."""
        fleet = fleets.skewed(hosts, 10 * hosts, seed=seed)
        host = seed % hosts
        stuck = with_stuck(fleet, host, load)
        away = dataclasses.replace(
            stuck.hosts, silent=np.arange(hosts) == host
        )
        made, alone = (
            SPREAD.propose(one, plans.full_context())
            for one in (stuck, dataclasses.replace(stuck, hosts=away))
        )
        self.assertLessEqual(len(made.moves), 1.2 * len(alone.moves) + 2)
        self.assertNotIn(
            stuck.hosts.name[host], {one.destination for one in made.moves}
        )

    def zones(self, closed=()):
        """Two zones of which one is hot: no move evens them out."""
        hosts = [
            fleets.host(f'{zone}{row}', zone=zone)
            for zone in 'ab'
            for row in range(8)
        ]
        guests = [
            fleets.instance(f'{zone}{row}-{n}', f'{zone}{row}', cpu=cpu)
            for zone, cpu in (('a', 1.4), ('b', 0.2))
            for row in range(8)
            for n in range(4 + row % 3)
        ]
        context = plans.full_context(
            closed_zones=dict.fromkeys(closed, 'frozen')
        )
        return SPREAD.propose(fleets.build(hosts, guests), context)

    def test_zones_that_differ_are_left_to_differ(self):
        made = self.zones()
        self.assertGreater(made.bound.cpu_stddev, 0.1)
        self.assertLessEqual(len(made.moves), 1)
        self.assertIn('with every zone even', made.summary)

    def test_what_is_frozen_costs_only_itself(self):
        self.assertEqual((), self.zones(['a']).moves)

    def test_a_host_that_stays_hot_is_eased_while_it_lacks_cores(self):
        """Two guests use two of its ten cores each; others stay in use."""
        for pinned, expected in ((5.0, 2), (7.5, 1), (9.0, 2), (11.0, 0)):
            fleet = fleets.build(
                [fleets.host('a', cpu_overhead=pinned), fleets.host('b')],
                [fleets.instance(str(n), 'a', cpu=2.0) for n in range(2)],
            )
            with self.subTest(pinned):
                made = RELIEVE.propose(fleet, plans.full_context())
                self.assertEqual(expected, len(made.moves))


class TestSilence(unittest.TestCase):
    """What nobody hears of does not count, and bounds hold all the same."""

    def test_it_does_not_count(self):
        fleet = gone_silent(60.0)
        self.assertFalse(fleet.counted[HOST])
        others = np.arange(len(fleet.hosts)) != HOST
        self.assertAlmostEqual(
            float(fleet.cpu_load[others].std()), SPREAD.trigger(fleet).level
        )
        made = SPREAD.propose(fleet, plans.full_context())
        self.assertLessEqual(made.after.cpu_stddev, 0.1 + 1e-6)
        self.assertLessEqual(made.bound.cpu_stddev, made.after.cpu_stddev)
        self.assertLessEqual(made.bound.moves, len(made.moves))

    def test_where_all_are_silent_all_count(self):
        every = np.ones(len(FLEET.hosts), np.bool_)
        hosts = dataclasses.replace(FLEET.hosts, silent=every)
        fleet = dataclasses.replace(FLEET, hosts=hosts)
        self.assertTrue(fleet.counted.all())
        self.assertEqual((), SPREAD.propose(fleet, plans.full_context()).moves)
