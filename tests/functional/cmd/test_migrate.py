"""One migration by hand, on real libvirtd and QEMU, as an operator does it."""

import json
import signal
import subprocess
import sys
import unittest

from tests.fixtures import patience
from tests.functional.libvirt import hosts

_TIMEOUT_SECONDS = 600


class MigrateTest(unittest.TestCase):
    def setUp(self):
        self.ground = hosts.LibvirtGround()
        self.addCleanup(self.ground.close)

    def _begin(self, instance, *options):
        return subprocess.Popen(
            [
                *(sys.executable, '-m', 'kvm_balancer.cmd.cli'),
                *('migrate', instance),
                *('--source', self.ground.here.uri),
                *('--destination', self.ground.there.uri),
                *options,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _run(self, instance, *options):
        begun = self._begin(instance, *options)
        out, err = begun.communicate(timeout=_TIMEOUT_SECONDS)
        return begun.returncode, out, err

    def test_an_instance_goes_by_name_and_its_outcome_is_one_document(self):
        uid = self.ground.calm()
        name = self.ground.domain(uid).name()
        code, out, err = self._run(name, '-f', 'json')
        self.assertEqual(0, code, err)
        ended = json.loads(out)
        self.assertEqual('kvm-balancer/migration-outcome/1', ended['schema'])
        self.assertEqual(
            (uid, 'completed', 'pre-copy'),
            (ended['instance'], ended['outcome'], ended['mode']),
        )
        self.assertGreater(ended['total_ms'], 0)
        self.assertGreater(ended['predicted']['mib'], 0)
        lines = err.splitlines()
        self.assertIn('predicted as if idle', lines.pop(0))
        self.assertIn('; predicted: ', lines[0])
        self.assertRegex(lines[-1], r'^took .* \(predicted .*%\)')
        shown = [line.partition(':')[0] for line in lines[1:-1]]
        self.assertIn(shown[0], ('pre-flight', 'preparing'))
        self.assertEqual('verifying', shown[-1])
        track = ended['track']
        self.assertEqual(len(track['seconds']), len(track['remaining_mib']))
        self.assertEqual('completed', track['states'][-1]['state'])
        self.assertEqual('completed', ended['story'][-1]['state'])
        self.assertTrue(self.ground.domain(uid, host=1).isActive())

    def test_columns_that_there_are_not_are_refused_before_it_moves(self):
        uid = self.ground.calm()
        code, out, err = self._run(uid, '-c', 'nosuch')
        self.assertEqual((2, ''), (code, out))
        self.assertEqual(1, len(err.splitlines()), err)
        self.assertTrue(self.ground.domain(uid).isActive())

    def test_another_convergence_is_taken_by_name(self):
        uid = self.ground.busy()
        code, out, err = self._run(
            uid,
            *('--convergence', 'vdsm', '--post-copy', '--no-auto-converge'),
            *('--bandwidth', '16', '-f', 'json'),
        )
        self.assertEqual(0, code, err)
        ended = json.loads(out)
        self.assertEqual('post-copy', ended['mode'])
        told = ' '.join(line['text'] for line in ended['story'])
        self.assertIn('downtime up to 200 ms', told)
        self.assertIn('at the end of the schedule', told)
        self.assertNotIn('was let run on the destination', told)

    def test_it_is_drawn_below_its_record_where_that_is_asked_for(self):
        uid = self.ground.calm()
        # so slow that a look or two falls into the copy
        code, out, err = self._run(uid, '--drawing', '--bandwidth', '1')
        self.assertEqual(0, code, err)
        record, _, drawn = out.partition('\n\n')
        self.assertIn('| Story ', record)
        self.assertIn('memory left', drawn)
        self.assertIn('completed', drawn)

    def test_an_instance_of_nova_is_refused_with_the_reason(self):
        uid = self.ground.of_nova()
        code, out, err = self._run(uid)
        self.assertEqual((1, ''), (code, out))
        self.assertIn('it belongs to Nova', err)
        self.assertEqual(1, len(err.splitlines()))
        self.assertTrue(self.ground.domain(uid).isActive())

    def test_an_instance_that_is_not_there_is_one_line(self):
        code, out, err = self._run('nosuch')
        self.assertEqual((1, ''), (code, out))
        self.assertIn("'nosuch'", err)
        self.assertEqual(1, len(err.splitlines()))

    def test_ctrl_c_ends_it_and_leaves_the_instance_where_it_was(self):
        uid = self.ground.busy()
        begun = self._begin(uid, '--bandwidth', '2', '-f', 'json')
        with patience.limited(begun, _TIMEOUT_SECONDS):
            for line in begun.stderr:
                if line.startswith('pre-copy'):
                    begun.send_signal(signal.SIGINT)
                    break
        out, err = begun.communicate(timeout=_TIMEOUT_SECONDS)
        self.assertEqual(130, begun.returncode, err)
        self.assertEqual('cancelled', json.loads(out)['outcome'])
        self.assertTrue(self.ground.domain(uid).isActive())
        self.assertIn('waiting until both ends agree', err)
