"""What a campaign runs, and what it sees of a host."""

import collections
import random
import types
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
        self.assertEqual(
            sum(len(fault.fates) for fault in catalogue.FAULTS.values()),
            len(alone),
        )
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
            (['agent-killed:post-copy', 'cancelled'], 7),
            (['destination-images-full'], 1),
        ):
            self.assertEqual(number, len(campaign.cases(only)))
        with self.assertRaisesRegex(errors.LabError, 'there are: source-exe'):
            campaign.cases(['earthquake'])


class CatalogueTest(unittest.TestCase):
    def test_every_fault_says_what_may_become_of_the_instance(self):
        for fault in catalogue.FAULTS.values():
            self.assertLessEqual(set(fault.fates), set(Phase), fault.name)
            if fault.name != 'destination-images-full':
                self.assertLessEqual(
                    set(contract.NOTHING_LOST), set(fault.fates), fault.name
                )
            self.assertTrue(fault.title)
            least, most = fault.hold_seconds
            self.assertLessEqual(least, most)


class PhasesTest(unittest.TestCase):
    def test_what_ends_hosts_or_what_they_say_strikes_the_handover(self):
        struck = {
            name
            for name, fault in catalogue.FAULTS.items()
            if {Phase.HANDOVER, Phase.STARTED} <= set(fault.fates)
        }
        ends = ('source', 'destination')
        self.assertEqual(
            {
                *(f'{end}-executor-killed' for end in ends),
                *(f'{end}-libvirtd-killed' for end in (*ends, 'both')),
                *(f'{end}-qemu-killed' for end in ends),
                *(f'{end}-host-lost' for end in ends),
                'destination-host-lost-for-long',
                *(f'{end}-management-network-cut' for end in ends),
                'network-cut',
                'network-cut-briefly',
                'cancelled',
            },
            struck,
        )

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
                ('paused', 'completed', 0),
                Phase.HANDOVER,
            ),
            (
                ('postmigrate', 'completed', 3),
                ('running', 'completed', 0),
                Phase.STARTED,
            ),
            (('absent',), ('running', 'completed', 0), None),
            (('running', 'failed', 3), ('absent',), None),
        ):
            looks = {
                'a': sight.Look(0.0, 0.1, 'a', *here),
                'b': sight.Look(0.0, 0.1, 'b', *there),
            }
            found = [
                phase
                for phase in Phase
                if phases.reached(phase, looks, 'a', 'b')
            ]
            self.assertEqual([reached] if reached else [], found)


class SightTest(unittest.TestCase):
    @staticmethod
    def watch(*ends):
        """Show what a watch has seen of each end.

        :param ends: looks at each: when it was asked and answered, and
            whether it ran
        """
        seen = [
            sight.Look(
                asked, answered, host, sight.RUNNING if runs else 'paused'
            )
            for host, looks in zip('ab', ends, strict=True)
            for asked, answered, runs in looks
        ]
        guest = types.SimpleNamespace(name='guest')
        watch = sight.Watch(guest, ())
        for look in sorted(seen, key=lambda look: look.answered):
            watch.take(look)
        return watch

    @staticmethod
    def looks(text, first=0, step=2):
        """Make looks of a unit each: R for one that runs, a dot for none."""
        return [
            (first + index * step, first + index * step + 1, letter == 'R')
            for index, letter in enumerate(text)
            if letter != '.'
        ]

    def test_it_ran_twice_where_one_ran_before_and_after_the_other_did(self):
        for here, there, times in (
            ('RRRR', 'PPPP', []),
            # The switch, seen on either side.
            ('RRPP', 'PPRR', []),
            ('RRPP', 'PRRR', []),
            ('RRPP', 'RPPP', [2]),
            ('RRPR', 'PPRP', []),
            ('RRRP', 'PRRR', [4]),
            ('PRRR', 'RRPP', [3]),
        ):
            found = self.watch(self.looks(here), self.looks(there, first=1))
            self.assertEqual(times, found.twice, (here, there))

    def test_an_end_that_answers_late_hides_nothing_of_the_other(self):
        quick = self.looks('RRRRRRRRRR')
        for late, times in (
            # It ran at some time in it: the other one did all the time.
            ([(3, 9, True)], [9]),
            ([(3, 9, False)], []),
            # At what time in it, nobody knows, and the other one ended.
            ([(3, 30, True)], []),
            ([(3, 9, True), (9, 12, True)], [9]),
        ):
            self.assertEqual(times, self.watch(quick, late).twice, late)

    def test_a_silent_end_is_not_taken_to_run_on(self):
        watch = self.watch(self.looks('RR'), self.looks('..RRR'))
        watch.take(sight.Look(5, 30, 'a', sight.SILENT))
        watch.take(sight.Look(30, 31, 'a', sight.RUNNING))
        self.assertEqual([], watch.twice)
        self.assertEqual(28, watch.longest_gap)

    def test_what_an_end_says_again_is_one_spell(self):
        watch = self.watch(self.looks('RRPPR'), [])
        self.assertEqual(
            [(0, 3), (4, 7), (8, 9)],
            [(one.first.asked, one.last.answered) for one in watch.spells],
        )
        self.assertEqual(5, watch.count)


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
