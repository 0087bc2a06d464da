"""Room for disks is promised once, wherever on a volume they go."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from kvm_balancer.migration import capacity
from kvm_balancer.migration import image_room
from kvm_balancer.migration import reservation

PLACE, OTHER = '/srv/images', '/srv/more'


def needs(mib, place=PLACE):
    return (image_room.Need(place, mib),)


def directory(free_mib, volume='v', **arriving):
    return image_room.Directory(volume, free_mib, arriving)


def promise(mib, instance='b', coming=True, place=PLACE):
    return image_room.Promise(instance, needs(mib, place), coming)


class RefusalTest(unittest.TestCase):
    def test_table(self):
        growth = image_room.Growth
        for name, wanted, there, promises, words in (
            ('nothing', (), {}, [], ''),
            ('all there is', needs(9), {PLACE: directory(9)}, [], ''),
            (
                'too much',
                needs(10),
                {PLACE: directory(9)},
                [],
                f'need 10 MiB in {PLACE}, and 9 MiB are left',
            ),
            ('no pool', needs(1), {}, [], 'no active storage pool'),
            (
                'promised',
                needs(5),
                {PLACE: directory(9)},
                [promise(5)],
                '4 MiB are left; promised: 5 MiB to b',
            ),
            (
                'promised elsewhere on the volume',
                needs(5),
                {PLACE: directory(9), OTHER: directory(9)},
                [promise(5, place=OTHER)],
                '4 MiB are left',
            ),
            (
                'promised on another volume',
                needs(5),
                {PLACE: directory(9), OTHER: directory(9, 'w')},
                [promise(5, place=OTHER)],
                '',
            ),
            (
                'half of it written: 2 of 4 MiB are still to come',
                needs(5),
                {PLACE: directory(7, b=growth(2, 90))},
                [promise(4, coming=False)],
                '',
            ),
            (
                'nobody leased it: it may grow',
                needs(5),
                {PLACE: directory(7, x=growth(2, 4))},
                [],
                '3 MiB are left; promised: the rest of x',
            ),
            (
                'it has arrived: what it takes is not free',
                needs(5),
                {PLACE: directory(5)},
                [promise(4, coming=False)],
                '',
            ),
        ):
            with self.subTest(name):
                told = image_room.refusal(wanted, there, promises)
                self.assertIn(words, told)
                self.assertEqual(bool(words), bool(told))

    @given(
        st.lists(
            st.tuples(st.floats(0, 50), st.sampled_from((PLACE, OTHER))),
            max_size=9,
        ),
        st.floats(0, 100),
    )
    def test_no_more_is_promised_than_there_is(self, asked, free):
        made = reservation.Ledger(capacity.Terms(max_incoming=9))
        host = capacity.Capacity(
            1e6,
            directories={PLACE: directory(free), OTHER: directory(free)},
        )
        for number, (mib, place) in enumerate(asked):
            claim = reservation.Claim(
                f'm-{number}',
                f'i-{number}',
                'here',
                1.0,
                images=needs(mib, place),
            )
            weighed = made.weigh(claim, host, 60.0)
            if isinstance(weighed, reservation.Lease):
                made.keep(weighed)
        promised = sum(one.claim.images[0].mib for one in made.leases())
        self.assertLessEqual(promised, free + 1e-3)

    def test_a_lease_for_more_disks_is_no_renewal(self):
        made = reservation.Ledger(capacity.Terms())
        host = capacity.Capacity(9.0, directories={PLACE: directory(9)})
        small = reservation.Claim('m', 'i', 'here', 1.0, images=needs(1))
        large = reservation.Claim('m', 'i', 'here', 1.0, images=needs(2))
        made.keep(made.weigh(small, host, 60.0))
        self.assertFalse(made.renew(large, 90.0))
        self.assertTrue(made.renew(small, 90.0))
