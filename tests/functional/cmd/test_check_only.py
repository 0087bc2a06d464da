"""The checks before a migration, on real libvirtd, for an operator."""

import json
import os
import unittest

import libvirt

from kvm_balancer.virt import ownership
from tests.functional.cmd import checking
from tests.functional.libvirt import hosts


class CheckOnlyTest(unittest.TestCase):
    def setUp(self):
        self.ground = hosts.LibvirtGround()
        self.addCleanup(self.ground.close)

    def _run(self, instance, *options):
        return checking.check_only(self.ground, instance, *options)

    def _found(self, instance, *options):
        code, out, err = self._run(instance, *options, '-f', 'json')
        self.assertEqual('', err)
        return code, {one['check']: one for one in json.loads(out)}

    def test_all_is_well_and_nothing_moves(self):
        uid = self.ground.calm()
        code, found = self._found(uid)
        self.assertEqual(0, code, found)
        self.assertLessEqual(
            {
                *('source', 'owner', 'state', 'devices', 'snapshots'),
                *('block jobs', 'storage', 'destination', 'hosts'),
                *('versions', 'identity', 'machine', 'cpu', 'memory'),
                *('options', 'path'),
            },
            set(found),
        )
        reservation = found.pop('reservation')
        self.assertEqual('unknown', reservation['verdict'])
        self.assertIn('no executor is asked', reservation['reason'])
        self.assertTrue(reservation['remedy'])
        for name in ('bandwidth here', 'bandwidth'):
            bandwidth = found.pop(name)
            self.assertEqual('unknown', bandwidth['verdict'])
            self.assertTrue(bandwidth['reason'] and bandwidth['remedy'])
        locks = found.pop('locks')
        self.assertEqual('unknown', locks['verdict'])
        self.assertTrue(locks['reason'] and locks['remedy'])
        expected = found.pop('prediction')
        self.assertEqual('unknown', expected['verdict'])
        self.assertIn('converges by pre-copy', expected['reason'])
        self.assertIn('--measure', expected['remedy'])
        self.assertEqual(
            {'passed'}, {one['verdict'] for one in found.values()}
        )
        self.assertTrue(self.ground.domain(uid).isActive())

    def test_what_is_too_small_to_be_measured_is_said_to_be(self):
        name = self.ground.domain(uid := self.ground.calm()).name()
        code, out, err = self._run(uid, '--measure', '3', '-f', 'json')
        self.assertEqual(0, code, out)
        asked, found = err.splitlines()
        self.assertEqual(f'how {name} writes is measured for 3 s', asked)
        self.assertIn('cannot be measured', found)
        (expected,) = (
            one for one in json.loads(out) if one['check'] == 'prediction'
        )
        self.assertIn('how it writes is not known', expected['reason'])

    def test_what_nobody_can_tell_is_no_failure_and_has_a_remedy(self):
        code, found = self._found(self.ground.calm(), '--post-copy', '--tls')
        self.assertEqual(0, code, found)
        for name in ('post-copy', 'tls here', 'tls'):
            self.assertEqual('unknown', found[name]['verdict'])
            self.assertTrue(found[name]['reason'] and found[name]['remedy'])
        self.assertIn('userfaultfd', found['post-copy']['reason'])

    def test_means_that_do_not_go_together_fail_with_the_reason(self):
        code, found = self._found(
            self.ground.calm(),
            *('--parallel-connections', '2'),
            *('--compression', 'xbzrle', '--post-copy'),
        )
        self.assertEqual(1, code)
        self.assertEqual('failed', found['options']['verdict'])
        self.assertIn('xbzrle', found['options']['reason'])
        self.assertIn('post-copy over parallel', found['options']['reason'])

    def test_the_wishes_of_an_instance_are_heeded(self):
        uid = self.ground.calm()
        domain = self.ground.domain(uid)
        for wish, code, verdict, said in (
            (
                '<post_copy>false</post_copy>',
                0,
                'passed',
                'post_copy is false',
            ),
            ('<post_copy>maybe</post_copy>', 1, 'failed', "'maybe'"),
        ):
            domain.setMetadata(
                libvirt.VIR_DOMAIN_METADATA_ELEMENT,
                f'<instance><migration>{wish}</migration></instance>',
                'balancer',
                ownership.NAMESPACE,
                libvirt.VIR_DOMAIN_AFFECT_LIVE,
            )
            found_code, found = self._found(uid, '--post-copy')
            self.assertEqual(code, found_code, found)
            self.assertEqual(verdict, found['metadata']['verdict'])
            self.assertIn(said, found['metadata']['reason'])
            # only where it is allowed is it asked whether it is possible
            self.assertEqual(verdict == 'failed', 'post-copy' in found)

    def test_the_source_has_to_know_where_the_memory_is_to_be_sent(self):
        uid, there = self.ground.calm(), self.ground.there.name
        _, found = checking.from_within(
            self.ground, uid, '--migration-address', there
        )
        self.assertEqual('passed', found['address']['verdict'])
        # whether its name servers say so, or are silent, is the machine's
        _, found = checking.from_within(
            self.ground, uid, '--migration-address', 'nosuch.invalid'
        )
        self.assertNotEqual('passed', found['address']['verdict'])
        self.assertIn('nosuch.invalid', found['address']['reason'])
        self.assertTrue(found['address']['remedy'])

    def test_a_network_has_to_be_there_and_active(self):
        here, there = (
            self.network(host.uri) for host in self.ground.lab.hosts
        )
        made = here()
        uid = self.ground.start(
            'calm',
            devices=f"""
            <interface type='network'>
              <source network='{made.name()}'/><rom enabled='no'/>
            </interface>""",
        )
        code, found = self._found(uid)
        self.assertEqual((1, 'failed'), (code, found['networks']['verdict']))
        self.assertIn(made.name(), found['networks']['reason'])
        self.assertTrue(found['networks']['remedy'])
        there()
        code, found = self._found(uid)
        self.assertEqual((0, 'passed'), (code, found['networks']['verdict']))

    def network(self, uri):
        """Return what makes the same isolated network on a host."""
        handle = libvirt.open(uri)
        self.addCleanup(handle.close)
        name = f'kc{os.getpid()}'

        def make():
            made = handle.networkCreateXML(
                f"<network><name>{name}</name><bridge name='{name}'/>"
                '</network>'
            )
            self.addCleanup(made.destroy)
            return made

        return make

    def test_the_table_says_it_in_words(self):
        uid = self.ground.of_nova()
        code, out, err = self._run(uid, '--post-copy')
        self.assertEqual((1, ''), (code, err))
        self.assertIn('could not tell', out)
        self.assertRegex(out, r'owner +\| failed +\| it belongs to Nova')
        self.assertLessEqual(max(map(len, out.splitlines())), 120)

    def test_a_format_without_rows_is_refused_in_one_line(self):
        code, out, err = self._run(self.ground.calm(), '-f', 'shell')
        self.assertEqual((2, ''), (code, out))
        self.assertEqual(1, len(err.splitlines()), err)
