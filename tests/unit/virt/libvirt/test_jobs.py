import unittest

import libvirt

from kvm_balancer.migration import events
from kvm_balancer.migration import request
from kvm_balancer.virt.libvirt import jobs

_ALWAYS = (
    libvirt.VIR_MIGRATE_LIVE
    | libvirt.VIR_MIGRATE_PEER2PEER
    | libvirt.VIR_MIGRATE_ABORT_ON_ERROR
)
_PERSISTENT = (
    libvirt.VIR_MIGRATE_PERSIST_DEST | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE
)
_PLAIN = request.Options(auto_converge=False)


class FlagsTest(unittest.TestCase):
    def test_flags_by_option(self):
        cases = (
            ({}, {}, 0),
            ({}, {'persistent': True}, _PERSISTENT),
            ({}, {'paused': True}, libvirt.VIR_MIGRATE_PAUSED),
            ({'post_copy': True}, {}, libvirt.VIR_MIGRATE_POSTCOPY),
            (
                {'post_copy': True},
                {'paused': True},
                libvirt.VIR_MIGRATE_PAUSED,
            ),
            ({'auto_converge': True}, {}, libvirt.VIR_MIGRATE_AUTO_CONVERGE),
            ({'parallel_connections': 1}, {}, 0),
            ({'parallel_connections': 2}, {}, libvirt.VIR_MIGRATE_PARALLEL),
            ({'compression': 'xbzrle'}, {}, libvirt.VIR_MIGRATE_COMPRESSED),
            ({'tls': True}, {}, libvirt.VIR_MIGRATE_TLS),
        )
        for options, situation, expected in cases:
            with self.subTest(options=options, situation=situation):
                found = jobs.flags(
                    request.Options(**{'auto_converge': False, **options}),
                    **{'persistent': False, 'paused': False, **situation},
                )
                self.assertEqual(_ALWAYS | expected, found)


class ParametersTest(unittest.TestCase):
    def test_a_limit_is_always_told(self):
        self.assertEqual(
            {'bandwidth': jobs.UNLIMITED_MIB_S}, jobs.parameters(_PLAIN, '', 0)
        )

    def test_everything_that_can_be_asked_for(self):
        options = request.Options(
            auto_converge=True,
            auto_converge_initial_percent=30,
            auto_converge_increment_percent=5,
            post_copy=True,
            parallel_connections=3,
            compression='zstd',
        )
        self.assertEqual(
            {
                'bandwidth': 50,
                'bandwidth.postcopy': 50,
                'migrate_uri': 'tcp://10.0.0.2',
                'auto_converge.initial': 30,
                'auto_converge.increment': 5,
                'parallel.connections': 3,
                'compression': 'zstd',
            },
            jobs.parameters(options, '10.0.0.2', 50),
        )

    def test_disks_share_the_bandwidth_that_the_stream_has_afterwards(self):
        options = request.Options(auto_converge=False, post_copy=True)
        for limit, share in ((90, 45), (1, 1)):
            found = jobs.parameters(options, '', limit, ('vda', 'vdb'))
            self.assertEqual(
                {
                    'bandwidth': share,
                    'bandwidth.postcopy': limit,
                    'migrate_disks': ['vda', 'vdb'],
                },
                found,
            )

    def test_the_certificate_is_that_of_the_host_and_not_of_the_address(self):
        for tls, address, host, expected in (
            (True, '10.0.0.2', 'host-2', 'host-2'),
            (True, '10.0.0.2', '', None),
            (True, '', 'host-2', None),
            (False, '10.0.0.2', 'host-2', None),
        ):
            found = jobs.parameters(
                request.Options(tls=tls, auto_converge=False),
                *(address, 0, (), host),
            )
            self.assertEqual(expected, found.get('tls.destination'))

    def test_addresses_as_they_stand_in_a_uri(self):
        for address, expected in (
            ('10.0.0.2', 'tcp://10.0.0.2'),
            ('fd00::2', 'tcp://[fd00::2]'),
            ('host-2.example', 'tcp://host-2.example'),
        ):
            found = jobs.parameters(_PLAIN, address, 0)
            self.assertEqual(expected, found['migrate_uri'])


class StatisticsTest(unittest.TestCase):
    def test_figures_in_our_units(self):
        mib = 2**20
        found = jobs.read_statistics(
            {
                'type': 2,
                'operation': 5,
                'time_elapsed': 1500,
                'downtime': 41,
                'memory_total': 128 * mib,
                'memory_processed': 22 * mib,
                'memory_remaining': 3 * mib,
                'memory_bps': 20 * mib,
                'memory_dirty_rate': 512,
                'memory_page_size': 4096,
                'memory_iteration': 4,
                'auto_converge_throttle': 30,
                'disk_total': 10 * mib,
                'disk_remaining': mib,
                'memory_postcopy_requests': 7,
            }
        )
        self.assertEqual(
            events.Statistics(
                elapsed_ms=1500.0,
                total_mib=128.0,
                transferred_mib=22.0,
                remaining_mib=3.0,
                bandwidth_mib_s=20.0,
                dirty_rate_mib_s=2.0,
                iteration=4,
                throttle_percent=30,
                expected_downtime_ms=41.0,
                disk_total_mib=10.0,
                disk_remaining_mib=1.0,
                post_copy_requests=7,
            ),
            found,
        )

    def test_what_got_dirty_is_counted_in_pages_of_the_guest(self):
        for fields, mib_s in (
            ({'memory_page_size': 65536}, 32.0),
            ({'memory_page_size': 4096}, 2.0),
            ({}, 2.0),
        ):
            found = jobs.read_statistics({'memory_dirty_rate': 512, **fields})
            self.assertEqual(mib_s, found.dirty_rate_mib_s)

    def test_nothing_told_is_nothing_done(self):
        self.assertEqual(events.Statistics(), jobs.read_statistics({}))
        self.assertIsNone(jobs.downtime_ms({}))

    def test_only_a_migration_away_is_one(self):
        for fields, expected in (
            ({'type': 0}, False),
            ({'operation': 4}, False),
            ({'operation': 5}, True),
        ):
            self.assertEqual(expected, jobs.is_migration(fields))
