import dataclasses
import unittest

from kvm_balancer.virt.libvirt import statistics

#: What libvirt 9.0 tells of a small guest, shortened.
_ANSWER = {
    'state.state': 1,
    'state.reason': 1,
    'cpu.time': 2_000_000_000,
    'balloon.current': 131072,
    'balloon.maximum': 262144,
    # 52 MiB, and what QEMU itself has
    'balloon.rss': 53248 + 40960,
    'vcpu.current': 2,
    'vcpu.maximum': 4,
    'vcpu.0.time': 2_300_000_000,
    'vcpu.0.delay': 500_000_000,
    'vcpu.1.time': 100_000_000,
    'vcpu.1.delay': 250_000_000,
    'net.count': 2,
    'net.0.name': 'vnet0',
    'net.0.rx.bytes': 2**20,
    'net.0.rx.pkts': 7,
    'net.0.tx.bytes': 2**21,
    'net.3.rx.bytes': 2**20,
    'net.3.tx.bytes': 0,
    'block.count': 1,
    'block.0.name': 'vda',
    'block.0.rd.bytes': 2**22,
    'block.0.wr.bytes': 2**23,
    'block.0.capacity': 2**31,
    'dirtyrate.calc_status': 2,
    'dirtyrate.megabytes_per_second': 42,
}


def _read(**changes):
    fields = {**_ANSWER, **{k.replace('__', '.'): changes[k] for k in changes}}
    return statistics.read_domain(
        {name: value for name, value in fields.items() if value is not None}
    )


class ReadDomainTest(unittest.TestCase):
    def test_everything_that_is_told(self):
        self.assertEqual(
            statistics.DomainStatistics(
                state=1,
                reason=1,
                vcpus=2.0,
                memory_mib=128.0,
                memory_used_mib=52.0,
                memory_reported=False,
                disk_gib=2.0,
                dirty_rate_mib_s=42.0,
                cpu_seconds=2.0,
                steal_seconds=0.75,
                network_rx_mib=2.0,
                network_tx_mib=2.0,
                block_read_mib=4.0,
                block_write_mib=8.0,
            ),
            _read(),
        )

    def test_what_is_not_told_is_none(self):
        read = statistics.read_domain({'state.state': 3, 'state.reason': 11})
        values = dataclasses.asdict(read)
        self.assertEqual(3, values.pop('state'))
        self.assertEqual(11, values.pop('reason'))
        self.assertEqual({None}, set(values.values()))

    def test_virtual_cpus_stand_in_for_the_process(self):
        read = _read(cpu__time=None)
        self.assertAlmostEqual(2.4, read.cpu_seconds)

    def test_memory_in_use(self):
        guest = {
            'balloon__available': 126976,
            'balloon__unused': 65536,
            'balloon__usable': 110000,
        }
        cases = (
            ('the guest reports', {**guest, 'balloon__last-update': 9}, 60.0),
            ('it never did', {**guest, 'balloon__last-update': 0}, 52.0),
            ('it is too old to', {}, 52.0),
            ('no more than it has', {'balloon__rss': 999999}, 128.0),
            (
                'not less than nothing',
                {
                    'balloon__available': 5,
                    'balloon__unused': 9,
                    'balloon__last-update': 1,
                },
                0.0,
            ),
            ('nobody knows', {'balloon__rss': None}, None),
        )
        for what, changes, expected in cases:
            with self.subTest(what):
                self.assertEqual(expected, _read(**changes).memory_used_mib)

    def test_memory_in_huge_pages_is_all_in_use_unless_the_guest_reports(self):
        report = {
            'balloon__available': 126976,
            'balloon__unused': 65536,
            'balloon__last-update': 9,
        }
        for huge, changes, expected in (
            (False, {}, 52.0),
            (True, {}, 128.0),
            (True, report, 60.0),
            (True, {'balloon__rss': None}, 128.0),
            (False, {'balloon__rss': None}, 128.0),
        ):
            with self.subTest(huge=huge, changes=changes):
                read = _read(**changes)
                self.assertEqual(
                    expected, statistics.memory_in_use_mib(read, huge)
                )

    def test_a_dirty_rate_counts_once_it_was_measured(self):
        for status, expected in ((0, None), (1, None), (2, 42.0)):
            with self.subTest(status):
                read = _read(dirtyrate__calc_status=status)
                self.assertEqual(expected, read.dirty_rate_mib_s)

    def test_what_was_dirtied_is_told_for_the_window(self):
        for changes, expected in (
            ({'period': 4, 'rate': 10}, 42.0),
            ({'period': 4, 'rate': 0}, 0.0),
            # it had no block of memory to look at
            ({'period': 4, 'rate': -1}, None),
            ({'period': 4, 'rate': 10, 'status': 1}, None),
        ):
            with self.subTest(changes):
                fields = {
                    'dirtyrate.calc_status': changes.get('status', 2),
                    'dirtyrate.calc_period': changes['period'],
                    'dirtyrate.megabytes_per_second': changes['rate'],
                }
                self.assertEqual(expected, statistics.dirtied_mib(fields))


class SampleStateTest(unittest.TestCase):
    def test_words_of_a_sample(self):
        cases = (
            (1, 1, False, 'running'),
            (2, 0, False, 'running'),
            (1, 1, True, 'outgoing'),
            (3, 1, False, 'paused'),
            (3, 2, True, 'outgoing'),
            (3, 2, False, 'incoming'),
            (3, 11, False, 'incoming'),
            (3, 12, False, 'outgoing'),
            (3, 13, False, 'outgoing'),
            (1, 10, False, 'incoming'),
            (1, 11, False, 'incoming'),
            (4, 1, False, 'other'),
            (6, 1, False, 'other'),
        )
        for state, reason, leaving, expected in cases:
            with self.subTest(state=state, reason=reason, leaving=leaving):
                read = statistics.DomainStatistics(state, reason)
                self.assertEqual(
                    expected, statistics.sample_state(read, leaving)
                )
