"""No more is reserved than there is, and it comes back."""

import dataclasses
import unittest

import hypothesis
from hypothesis import strategies as st

from kvm_balancer.migration import capacity
from kvm_balancer.migration import image_room
from kvm_balancer.migration import reservation

_2M, _1G = 2048, 1048576


def claim(name='a', memory_mib=512.0, instance='', **values):
    return reservation.Claim(
        f'm-{name}', instance or f'i-{name}', 'alpha', memory_mib, **values
    )


def space(total_mib=1024.0, *occupants, **values):
    return capacity.Capacity(total_mib, occupants=occupants, **values)


def grant(made, one, where, expires_at=60.0, before=()):
    """Weigh and keep; return the refusal, if it is one."""
    weighed = made.weigh(one, where, expires_at, before)
    if isinstance(weighed, reservation.Refusal):
        return weighed
    made.keep(weighed)
    return None


def ledger(*held, where=None, **terms):
    made = reservation.Ledger(capacity.Terms(**{'max_incoming': 9, **terms}))
    for one in held:
        refusal = grant(made, one, where or space(1e6))
        assert refusal is None, refusal
    return made


def here(name, memory_mib=512.0, **values):
    return capacity.Occupant(f'i-{name}', memory_mib, **values)


class TestGrant(unittest.TestCase):
    def test_table(self):
        """What is asked for, where, and the words of the refusal."""
        coming = here('x', arriving=True)
        cases = (
            ('all there is', ledger(), claim('a', 1024.0), space(), None),
            ('too much', ledger(), claim('a', 1025.0), space(), '1024 MiB of'),
            (
                'what the host keeps',
                ledger(memory_reserved_mib=600.0),
                claim(),
                space(),
                '424 MiB of what it gives',
            ),
            (
                'given away twice',
                ledger(memory_allocation_ratio=2.0),
                claim('a', 2048.0),
                space(),
                None,
            ),
            (
                'the last memory is promised',
                ledger(claim('b', 600.0)),
                claim(),
                space(),
                '600 MiB to i-b (migration m-b from alpha)',
            ),
            (
                'promised, and already here',
                ledger(claim('b')),
                claim(),
                space(1024.0, here('b')),
                None,
            ),
            (
                'promised, and arriving',
                ledger(claim('b')),
                claim(),
                space(1024.0, here('b', arriving=True)),
                None,
            ),
            (
                'arrives without a lease',
                ledger(),
                claim('a', 600.0),
                space(1024.0, coming),
                'arriving, without lease',
            ),
            (
                'the kernel has less',
                ledger(),
                claim(),
                space(4096.0, free_mib=511.0),
                '511 MiB of its free memory',
            ),
            (
                'free, but still to be filled',
                ledger(),
                claim(),
                space(4096.0, coming, free_mib=1000.0),
                '488 MiB of its free memory',
            ),
            (
                'free, and promised',
                ledger(claim('b')),
                claim(),
                space(4096.0, free_mib=1000.0),
                '488 MiB of its free memory',
            ),
            (
                'huge pages',
                ledger(),
                claim(huge_page_kib=_2M),
                space(4096.0, huge_free_mib={_2M: 511.0, _1G: 1024.0}),
                '511 MiB in free huge pages of 2048 KiB',
            ),
            (
                'huge pages of the usual size',
                ledger(),
                claim(huge_page_kib=0),
                space(4096.0, huge_free_mib={_2M: 512.0, _1G: 0.0}),
                None,
            ),
            (
                'no huge pages at all',
                ledger(),
                claim(huge_page_kib=0),
                space(4096.0),
                '0 MiB in free huge pages',
            ),
            (
                'huge ones do not take ordinary memory',
                ledger(
                    claim('b', huge_page_kib=_2M),
                    where=space(1e6, huge_free_mib={_2M: 512.0}),
                ),
                claim(),
                space(4096.0, free_mib=512.0),
                None,
            ),
            (
                'huge ones that QEMU has taken are not free any more',
                ledger(
                    claim('x', huge_page_kib=_2M),
                    where=space(1e6, huge_free_mib={_2M: 512.0}),
                ),
                claim(huge_page_kib=_2M),
                space(4096.0, coming, huge_free_mib={_2M: 512.0}),
                None,
            ),
            (
                'huge ones that QEMU is about to take',
                ledger(
                    claim('x', huge_page_kib=_2M),
                    where=space(1e6, huge_free_mib={_2M: 512.0}),
                ),
                claim(huge_page_kib=_2M),
                space(
                    4096.0,
                    dataclasses.replace(coming, starting=True),
                    huge_free_mib={_2M: 512.0},
                ),
                '0 MiB in free huge pages',
            ),
            ('none ever', ledger(max_incoming=0), claim(), space(), 'is 0'),
            (
                'enough at a time, all told',
                reservation.Ledger(capacity.Terms(max_incoming=1)),
                claim(),
                space(4096.0, coming),
                'max_incoming is 1, and as many come: 512 MiB to i-x',
            ),
        )
        for name, made, asked, where, told in cases:
            with self.subTest(name):
                refusal = grant(made, asked, where, 60.0)
                if told is None:
                    self.assertIsNone(refusal)
                    continue
                self.assertIn(told, refusal.reason)
                self.assertNotIn('\n', refusal.reason)
                self.assertTrue(refusal.remedy)

    def test_of_two_that_race_for_the_last_memory_one_wins(self):
        made = ledger()
        answers = [grant(made, claim(name, 600.0), space()) for name in 'ab']
        self.assertIsNone(answers[0])
        self.assertIn('m-a', answers[1].reason)

    def test_asked_again_it_is_promised_once(self):
        made = ledger()
        for _ in range(3):
            self.assertIsNone(grant(made, claim('a', 1024.0), space(), 60.0))
        self.assertEqual(1, len(made.leases()))

    def test_a_later_migration_of_an_instance_takes_the_lease_over(self):
        made = ledger(claim('old', 1024.0, 'i'))
        self.assertIsNone(
            grant(made, claim('new', 1024.0, 'i'), space(), 60.0)
        )
        self.assertEqual(
            ['m-new'], [one.claim.migration_id for one in made.leases()]
        )

    def test_what_is_weighed_is_not_promised_until_it_is_kept(self):
        made = ledger(claim('old', 1024.0, 'i'))
        asked = claim('new', 1024.0, 'i')
        before = made.leases()
        weighed = made.weigh(asked, space(), 60.0)
        self.assertIsInstance(weighed, reservation.Lease)
        self.assertEqual(before, made.leases())
        self.assertEqual(['m-old'], made.replaced_by(asked))
        made.keep(weighed)
        self.assertEqual((weighed,), made.leases())
        self.assertEqual([], made.replaced_by(asked))

    def test_what_ended_since_the_look_counts_once_more(self):
        """Who had it may have come after the hypervisor was looked at."""
        for end in (
            lambda made: made.release('m-a'),
            lambda made: made.expire(60.0),
        ):
            made = ledger(claim('a', 600.0))
            before = made.leases()
            end(made)
            refusal = grant(made, claim('b', 600.0), space(), before=before)
            self.assertIn('m-a', refusal.reason)
            self.assertIsNone(grant(made, claim('b', 600.0), space()))

    def test_what_was_refused_changes_nothing(self):
        made = ledger(claim('a', 600.0))
        before = made.leases()
        self.assertIsNotNone(grant(made, claim('b', 600.0), space(), 60.0))
        self.assertEqual(before, made.leases())

    def test_what_is_released_can_be_promised_again(self):
        made = ledger(claim('a', 1024.0))
        self.assertTrue(made.release('m-a'))
        self.assertFalse(made.release('m-a'))
        self.assertIsNone(grant(made, claim('b', 1024.0), space(), 60.0))

    def test_what_an_earlier_run_promised_is_kept(self):
        made = ledger()
        made.restore(claim('a', 600.0), 60.0)
        self.assertIsNotNone(grant(made, claim('b', 600.0), space(), 60.0))

    def test_of_an_instance_the_later_lease_is_taken_up(self):
        made = ledger()
        made.restore(claim('old', 600.0, 'i'), 60.0)
        made.restore(claim('new', 600.0, 'i'), 60.0)
        self.assertEqual(
            ['m-new'], [one.claim.migration_id for one in made.leases()]
        )


class TestTerm(unittest.TestCase):
    def test_a_lease_lapses_unless_it_is_renewed(self):
        made = ledger(claim('a'), claim('b'))
        self.assertTrue(made.renew(claim('b'), 90.0))
        self.assertEqual([claim('a')], made.expire(60.0))
        self.assertEqual(
            ['m-b'], [one.claim.migration_id for one in made.leases()]
        )
        self.assertFalse(made.renew(claim('a'), 90.0))

    def test_more_memory_is_no_renewal(self):
        made = ledger(claim('a', 512.0))
        self.assertFalse(made.renew(claim('a', 513.0), 90.0))
        self.assertTrue(made.renew(claim('a', 512.0), 90.0))

    def test_a_renewal_that_asks_for_less_gives_nothing_back(self):
        images = (image_room.Need('/images', 10.0),)
        made = reservation.Ledger(capacity.Terms(max_incoming=9))
        made.restore(claim('a', 512.0, images=images), 60.0)
        less = claim('a', 100.0, bandwidth_mib_s=5.0)
        self.assertTrue(made.renew(less, 90.0))
        (held,) = made.leases()
        self.assertEqual(
            claim('a', 512.0, images=images, bandwidth_mib_s=5.0), held.claim
        )
        self.assertEqual(90.0, held.expires_at)


_NAMES = st.sampled_from('abcdef')
_SIZES = st.sampled_from([100.0, 256.0, 300.0, 512.0])
_ACTS = st.one_of(
    st.tuples(st.just('ask'), _NAMES, _SIZES),
    st.tuples(st.just('release'), _NAMES),
    st.tuples(st.just('renew'), _NAMES),
    st.tuples(st.just('appear'), _NAMES),
    st.tuples(st.just('settle'), _NAMES),
    st.tuples(st.just('wait'), st.floats(0.0, 50.0)),
)


class TestAnyOrder(unittest.TestCase):
    @hypothesis.settings(max_examples=300)
    @hypothesis.given(st.lists(_ACTS, max_size=40), st.integers(1, 4))
    def test_never_more_is_promised_than_there_is(self, acts, max_incoming):
        """What is here and what is promised fit, whatever the order."""
        total, now = 1024.0, 0.0
        made = reservation.Ledger(capacity.Terms(max_incoming=max_incoming))
        seen: dict[str, capacity.Occupant] = {}
        for act, *values in acts:
            name = values[0]
            held = {one.claim.instance: one for one in made.leases()}
            match act:
                case 'wait':
                    now += name
                    made.expire(now)
                case 'ask':
                    grant(
                        made,
                        claim(name, values[1]),
                        space(total, *seen.values()),
                        now + 60.0,
                    )
                case 'release':
                    made.release(f'm-{name}')
                case 'renew' if f'i-{name}' in held:
                    made.renew(held[f'i-{name}'].claim, now + 60.0)
                case 'appear' if f'i-{name}' in held:
                    # nobody comes without a lease
                    lease = held[f'i-{name}']
                    seen[f'i-{name}'] = here(
                        name, lease.claim.memory_mib, arriving=True
                    )
                case 'settle' if f'i-{name}' in seen:
                    seen[f'i-{name}'] = dataclasses.replace(
                        seen[f'i-{name}'], arriving=False
                    )
            here_mib = sum(one.memory_mib for one in seen.values())
            coming = [
                one for one in made.leases() if one.claim.instance not in seen
            ]
            promised = sum(one.claim.memory_mib for one in coming)
            self.assertLessEqual(here_mib + promised, total)
            for one in made.leases():
                self.assertGreater(one.expires_at, now)
