"""Decisions wait for their hold time, and survive policies that raise."""

import dataclasses
import unittest

import numpy as np

from kvm_balancer.filters import capacity
from kvm_balancer.model import records
from kvm_balancer.planner import context as contexts
from kvm_balancer.policies import assignment
from kvm_balancer.policies import base
from kvm_balancer.policies import decision
from kvm_balancer.policies import relieve
from kvm_balancer.policies import spread


class Broken(base.Policy):
    """A policy that raises, as a plugin of others may."""

    name = 'broken'

    def trigger(self, fleet):
        raise ZeroDivisionError('a defect of others')

    def search(self, work):
        raise ZeroDivisionError('a defect of others')


def build_fleet(load):
    """Make a host under *load* and an idle one."""
    return records.build_fleet(
        [
            records.HostRecord(name=name, cpus=10, memory_mib=8192)
            for name in ('hot', 'cold')
        ],
        [
            records.InstanceRecord(
                id=f'i{number}',
                host='hot',
                vcpus=2,
                memory_mib=512,
                cpu_usage=load,
            )
            for number in range(10)
        ],
    )


def read_last(fleet, load):
    """Return *fleet* as if that was read last of its first host."""
    last = np.zeros(len(fleet.hosts))
    last[0] = load
    hosts = dataclasses.replace(fleet.hosts, cpu_last=last)
    return dataclasses.replace(fleet, hosts=hosts)


def moved_and_hotter(fleet, moved):
    """Return *fleet* with all of its load on what was moved."""
    instances = fleet.instances
    there = np.array([uid in moved for uid in instances.id])
    usage = np.where(there, instances.cpu_usage.sum() / there.sum(), 0.0)
    return dataclasses.replace(
        fleet,
        instances=dataclasses.replace(
            instances,
            host=np.where(there, 1, 0).astype(np.int32),
            cpu_usage=usage,
        ),
    )


class DeciderTest(unittest.TestCase):
    def decide(self, decider, fleet, now):
        return decider.decide(
            fleet,
            decision.Surroundings(
                np.zeros(len(fleet.instances), np.bool_),
                np.zeros(len(fleet.hosts), np.bool_),
                (),
            ),
            now,
        )

    def build(self, *policies, hold_seconds=60.0):
        return decision.Decider(
            [decision.Watch(one, hold_seconds) for one in policies],
            contexts.Context(filters=(capacity.CapacityFilter(),)),
        )

    def test_a_policy_acts_when_it_has_wanted_to_for_long_enough(self):
        decider = self.build(relieve.Relieve())
        hot, calm = build_fleet(0.95), build_fleet(0.3)
        table = [
            (calm, 0.0, False),
            (hot, 10.0, False),
            (hot, 60.0, False),
            (hot, 70.0, True),
            (calm, 80.0, False),
            (hot, 90.0, False),
        ]
        for fleet, now, expected in table:
            with self.subTest(now=now):
                plan = self.decide(decider, fleet, now)
                self.assertEqual(expected, plan is not None)

    def test_the_next_look_is_soon_while_a_host_gets_hot(self):
        """Until it is relieved, or is calm by what was read last."""
        decider = self.build(relieve.Relieve())
        hot = build_fleet(0.95)
        table = [
            (build_fleet(0.3), 0.3, 0.0, 30.0),
            # its average has not followed yet
            (build_fleet(0.77), 1.0, 30.0, 10.0),
            (hot, 1.0, 40.0, 10.0),
            (hot, 0.5, 50.0, 30.0),
            (hot, 1.0, 60.0, 10.0),
            # it acts
            (hot, 1.0, 100.0, 30.0),
        ]
        for fleet, last, now, expected in table:
            with self.subTest(now=now):
                self.decide(decider, read_last(fleet, last), now)
                self.assertEqual(expected, decider.next_look(30.0))

    def test_a_policy_that_raises_costs_only_itself(self):
        decider = self.build(Broken(), relieve.Relieve(), hold_seconds=0.0)
        with self.assertLogs('kvm_balancer.policies.decision', 'ERROR') as log:
            plan = self.decide(decider, build_fleet(0.95), 0.0)
            self.assertIsNotNone(plan)
            self.decide(decider, build_fleet(0.95), 1.0)
        told = [one for one in log.output if 'Policy broken' in one]
        self.assertEqual(1, len(told))

    def test_policies_of_a_place_decide_for_it_alone(self):
        """One zone waits for its own hold time; the other has none."""
        hosts = [
            records.HostRecord(name=name, cpus=10, memory_mib=8192, zone=zone)
            for name, zone in (('a1', 'a'), ('a2', 'a'), ('b1', 'b'))
        ]
        guests = [
            records.InstanceRecord(
                id=f'{home}-{number}',
                host=home,
                vcpus=2,
                memory_mib=512,
                cpu_usage=0.95,
            )
            for home in ('a1', 'b1')
            for number in range(10)
        ]
        fleet = records.build_fleet(hosts, guests)
        decider = decision.Decider(
            [decision.Watch(relieve.Relieve(), 60.0)],
            contexts.Context(filters=(capacity.CapacityFilter(),)),
            assignment.Assignment(default=(), zones={'a': ('relieve',)}),
        )
        self.assertIsNone(self.decide(decider, fleet, 0.0))
        plan = self.decide(decider, fleet, 60.0)
        self.assertEqual({'a1'}, {move.source for move in plan.moves})
        self.assertEqual({'a2'}, {move.destination for move in plan.moves})
        (finding,) = decider.findings
        self.assertEqual('zone a', finding.place)
        self.assertIn('1 of 2 hosts', finding.text)

    def test_a_policy_without_credit_asks_for_more(self):
        """What it predicted has not shown: it is told, and waits for more."""
        decider = self.build(relieve.Relieve(), hold_seconds=0.0)
        hot = build_fleet(0.95)
        with self.assertLogs('kvm_balancer.policies.credit'):
            for now in (0.0, 10.0, 20.0):
                plan = self.decide(decider, hot, now)
                decider.promise(plan, hot, now)
                moved = {move.instance for move in plan.moves}
                later = moved_and_hotter(hot, moved)
                self.decide(decider, later, now + 5.0)
        (finding,) = decider.findings
        self.assertIn('of the gains it predicted', finding.text)

    def test_a_policy_goes_on_between_thresholds_if_cut_short(self):
        """After a whole plan, what drifts there is no reason to go on."""
        for max_moves, goes_on in ((0, False), (1, True)):
            with self.subTest(max_moves=max_moves):
                decider = decision.Decider(
                    [decision.Watch(spread.Spread(), 60.0)],
                    contexts.Context(
                        filters=(capacity.CapacityFilter(),),
                        limits=contexts.Limits(max_moves=max_moves),
                    ),
                )
                hot, between = build_fleet(0.9), build_fleet(0.25)
                self.assertIsNone(self.decide(decider, hot, 0.0))
                plan = self.decide(decider, hot, 60.0)
                decider.promise(plan, hot, 60.0)
                again = self.decide(decider, between, 90.0)
                self.assertEqual(goes_on, again is not None)

    def test_what_stays_too_bad_after_a_plan_has_to_last_anew(self):
        decider = self.build(spread.Spread())
        hot = build_fleet(0.9)
        self.decide(decider, hot, 0.0)
        decider.promise(self.decide(decider, hot, 60.0), hot, 60.0)
        table = [(90.0, False), (149.0, False), (150.0, True)]
        for now, expected in table:
            with self.subTest(now=now):
                plan = self.decide(decider, hot, now)
                self.assertEqual(expected, plan is not None)

    def test_what_the_policies_think_is_told(self):
        decider = self.build(relieve.Relieve())
        self.decide(decider, build_fleet(0.95), 0.0)
        (finding,) = decider.findings
        self.assertEqual('relieve', finding.policy)
        self.assertEqual('alarmed', finding.mood)
        self.assertIn('hot', finding.text)
