"""What a campaign runs, and what it sees of a host."""

import collections
import random
import unittest

from kvm_balancer import errors
from kvm_balancer.lab import sight
from kvm_balancer.lab.faults import catalogue
from kvm_balancer.lab.faults import contract
from tests.faults import campaign
from tests.faults import phases
from tests.faults import remains

Phase = contract.Phase


class PlanTest(unittest.TestCase):
    def test_all_cases_come_equally_often_and_no_seed_comes_twice(self):
        wanted = campaign.cases()
        alone = [case for case in wanted if not case[2]]
        self.assertEqual(len(Phase) * len(catalogue.FAULTS), len(alone))
        chosen = campaign.plan(wanted, 200, seed=7)
        self.assertEqual(200, len(chosen))
        counted = collections.Counter(case[:3] for case in chosen)
        self.assertEqual(set(wanted), set(counted))
        self.assertLessEqual(max(counted.values()) - min(counted.values()), 1)
        self.assertEqual(200, len({seed for *_, seed in chosen}))

    def test_the_same_seed_is_the_same_campaign(self):
        wanted = campaign.cases()
        one, two, other = (
            campaign.plan(wanted, 100, seed) for seed in (1, 1, 2)
        )
        self.assertEqual(one, two)
        self.assertNotEqual([c[:3] for c in one], [c[:3] for c in other])

    def test_where_leases_may_change_hands_a_lock_manager_runs_as_well(self):
        wanted = campaign.cases(['source-host-lost', 'agent-killed'])
        guarded = [(name, phase) for name, phase, yes in wanted if yes]
        self.assertEqual(
            [
                ('source-host-lost', phase)
                for phase in Phase
                if phase is not Phase.STORAGE
            ],
            guarded,
        )

    def test_cases_are_chosen_by_name_phase_or_both(self):
        for only, number in (
            (['agent-killed'], 4),
            ([':copying storage'], len(catalogue.FAULTS)),
            (['agent-killed:post-copy', 'cancelled'], 5),
        ):
            self.assertEqual(number, len(campaign.cases(only)))
        with self.assertRaisesRegex(errors.LabError, 'there are: source-exe'):
            campaign.cases(['earthquake'])


class CatalogueTest(unittest.TestCase):
    def test_every_fault_says_what_may_become_of_the_instance(self):
        for fault in catalogue.FAULTS.values():
            self.assertEqual(set(Phase), set(fault.fates), fault.name)
            self.assertTrue(fault.title)
            least, most = fault.hold_seconds
            self.assertLessEqual(least, most)


class PhasesTest(unittest.TestCase):
    def test_a_phase_is_known_by_what_both_ends_say(self):
        running, stopped = ('running', 'active', 1), ('finish-migrate', 'x', 2)
        waiting = ('inmigrate', 'active', 0)
        for here, there, reached in (
            (('running', 'setup', 0), waiting, None),
            (('running', '', 0, 'running'), waiting, Phase.STORAGE),
            (('running', 'setup', 0, 'ready'), waiting, None),
            (running, waiting, Phase.PRE_COPY),
            ((stopped[0], 'active', 3), waiting, Phase.SWITCHOVER),
            ((stopped[0], 'device', 3), waiting, Phase.SWITCHOVER),
            (
                (stopped[0], 'postcopy-active', 3),
                ('running', 'postcopy-active', 0),
                Phase.POST_COPY,
            ),
            (
                ('postmigrate', 'completed', 3),
                ('running', 'completed', 0),
                None,
            ),
        ):
            looks = {
                'a': sight.Look(0.0, 'a', *here),
                'b': sight.Look(0.0, 'b', *there),
            }
            found = [
                phase
                for phase in Phase
                if phases.reached(phase, looks, 'a', 'b')
            ]
            self.assertEqual([reached] if reached else [], found)


class SightTest(unittest.TestCase):
    @staticmethod
    def looks(text):
        """Make looks at hosts a and b in turn: R for one that runs."""
        return [
            sight.Look(
                float(index),
                'ab'[index % 2],
                sight.RUNNING if letter == 'R' else 'paused',
            )
            for index, letter in enumerate(text)
        ]

    def test_it_ran_twice_where_one_ran_before_and_after_the_other_did(self):
        for told, times in (
            ('RPRPRP', []),
            # The switch, seen on either side.
            ('RPRRPRPR', []),
            ('RPRRRPRP', [3.0]),
            ('PRRRPR', [2.0]),
            ('RRRR', [1.0, 2.0]),
        ):
            found = sight.ran_twice(self.looks(told))
            self.assertEqual(times, found, told)


class RemainsTest(unittest.TestCase):
    def test_ports_that_are_listened_at_are_read_from_the_kernel(self):
        chance = random.Random(1)
        lines = [
            f' {index}: 0100007F:{port:04X} 00000000:0000 {state} 00000000:'
            f'{chance.randrange(9):08X} 00:00000000 00000000 0 0 1 1'
            for index, (port, state) in enumerate(
                (
                    (49153, '0A'),
                    (49152, '0A'),
                    (49154, '01'),
                    (16509, '0A'),
                    (49216, '0A'),
                )
            )
        ]
        table = '\n'.join(['  sl  local_address rem_address st', *lines, ''])
        self.assertEqual([49152, 49153], remains.listening(table))
