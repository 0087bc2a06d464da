"""Disks and cards are seen to by what both hosts, and the mark, say."""

import dataclasses
import unittest
from unittest import mock

from kvm_balancer import errors
from kvm_balancer.migration import events
from kvm_balancer.virt import marks
from kvm_balancer.virt.libvirt import announcing
from kvm_balancer.virt.libvirt import besides
from kvm_balancer.virt.libvirt import ends
from kvm_balancer.virt.libvirt import leftovers
from kvm_balancer.virt.libvirt import marking

_S = events.EndState
_MARK = marks.Mark(
    'm-1',
    'here',
    'there',
    'qemu+tls://there/system',
    cards=(marks.Card('br0', '52:54:00:00:00:01', 'vnet0'),),
)


class BesidesTest(unittest.TestCase):
    def setUp(self):
        self.told = []
        self.links = mock.Mock()
        self.links.destination.call = lambda work: work(mock.Mock())
        self.besides = besides.Besides(
            'i-1',
            'm-1',
            self.links,
            lambda _seconds: True,
            repeat=True,
            note=lambda *what: self.told.append(what),
        )

    def look(self, source, destination, ran_there=False):
        self.besides.see_to(
            events.End(source), events.End(destination), ran_there
        )

    def confirmed(self, mark):
        """Return of which cards it is confirmed where they are."""
        with (
            mock.patch.object(
                marking, 'read', autospec=True, return_value=mark
            ),
            mock.patch.object(
                announcing, 'confirm', autospec=True, return_value=''
            ) as seen,
        ):
            for _ in range(2):
                self.look(_S.ABSENT, _S.RUNNING)
        return [call.args[0].ports for call in seen.call_args_list]

    def test_another_run_learns_from_the_mark_where_the_cards_were(self):
        self.assertEqual(
            [{('br0', '52:54:00:00:00:01'): 'vnet0'}, {}],
            self.confirmed(_MARK),
        )

    def kept(self, found):
        """Return what another run tells of the images of the source.

        :param found: those that are there; or what it fails with
        """
        self.told.clear()
        self.besides._cards = None
        self.links.source.call = lambda work: work(mock.Mock())
        with mock.patch.object(
            leftovers, 'existing', autospec=True, side_effect=found
        ):
            self.confirmed(dataclasses.replace(_MARK, images=('/a', '/b')))
        return [text for what, text in self.told if what == 'the disks']

    def test_another_run_tells_once_of_images_that_the_source_keeps(self):
        (told,) = self.kept([('/b',)])
        self.assertIn('on the source, /b is left', told)

    def test_of_images_that_are_not_there_any_more_it_tells_nothing(self):
        self.assertEqual([], self.kept([()]))

    def test_it_tells_of_all_where_the_source_does_not_say(self):
        (told,) = self.kept([errors.HypervisorUnreachable('gone')])
        self.assertIn('on the source, /a, /b is left', told)

    def test_the_images_of_its_own_are_not_told_of_by_the_mark(self):
        cards = announcing.Cards({})
        self.besides.take(mock.Mock(copies=(), cards=cards), True)
        self.confirmed(dataclasses.replace(_MARK, images=('/a',)))
        self.assertEqual([], self.told)

    def test_the_mark_of_another_migration_tells_nothing(self):
        other = marks.Mark('m-2', 'a', 'b', 'uri', cards=_MARK.cards)
        self.assertEqual([{}, {}], self.confirmed(other))

    def test_cards_of_its_own_pre_flight_go_into_the_mark(self):
        cards = announcing.Cards({('br0', '52:54:00:00:00:01'): 'vnet0'})
        self.besides.take(mock.Mock(copies=(), cards=cards), True)
        self.assertEqual(_MARK.cards, self.besides.cards)

    def test_disks_are_removed_when_two_looks_say_the_same(self):
        disks = self.besides.disks = mock.Mock(made=('/a',), settled=False)
        disks.settle.return_value = '/a was removed'
        again = {
            'source': events.End(_S.ABSENT),
            'destination': events.End(_S.UNREACHABLE),
        }

        def look(link, _uuid):
            return again[
                'source' if link is self.links.source else 'destination'
            ]

        with (
            mock.patch.object(ends, 'look', look),
            mock.patch.object(
                self.besides,
                '_mark',
                autospec=True,
                side_effect=errors.HypervisorUnreachable('gone'),
            ),
        ):
            self.look(_S.ABSENT, _S.RUNNING)
            disks.settle.assert_not_called()
            again['destination'] = events.End(_S.RUNNING)
            self.look(_S.ABSENT, _S.RUNNING)
            disks.settle.assert_called_once()
            disks.settled = True
            self.look(_S.ABSENT, _S.RUNNING)
        disks.settle.assert_called_once()
        self.assertIn(('the disks', '/a was removed'), self.told)

    def test_what_is_known_of_the_guest_comes_to_its_disks(self):
        disks = self.besides.disks = mock.Mock(made=('/a',), settled=False)
        disks.settle.return_value = ''
        seen = events.End(_S.RUNNING)
        for ran_there in (False, True):
            with mock.patch.object(
                ends, 'look', autospec=True, return_value=seen
            ):
                self.look(_S.RUNNING, _S.RUNNING, ran_there)
            self.assertIs(ran_there, disks.settle.call_args.args[-1])

    def test_of_one_that_no_definition_tells_of_the_end_sees_to_the_disks(
        self,
    ):
        disks = self.besides.disks = mock.Mock(made=('/a',), settled=False)
        disks.settle.return_value = ''
        seen = {
            self.links.source: events.End(_S.RUNNING),
            self.links.destination: events.End(_S.ABSENT),
        }
        call = self.links.source.call
        for answer, settled in (
            ([True], 1),
            ([False], 0),
            (errors.HypervisorUnreachable('gone'), 0),
        ):
            disks.settle.reset_mock()
            call.side_effect = answer
            with mock.patch.object(
                ends, 'look', lambda link, _uuid: seen[link]
            ):
                self.look(_S.RUNNING, _S.ABSENT)
            self.assertEqual(settled, disks.settle.call_count)
