"""A network that others fill lets no migration begin, on real hosts.

Looked at from within the hosts, as their executors and a person there do.
"""

import contextlib
import json
import subprocess
import sys
import unittest

from tests.functional.cmd import checking
from tests.functional.libvirt import hosts

#: What the network is said to carry, and what is sent over it.
_CARRIES_MIB_S, _SENDS_MIB_S = 8, 32
_PORT = 49000

#: Sends to an address until it is killed; says so when it has begun. The
#: cable sets the pace: each turn waits until the one before has left.
_FLOOD = f"""
import socket, sys
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
where = (sys.argv[1], {_PORT})
out.sendto(bytes(16384), where)
print('begun', flush=True)
while True:
    out.sendto(bytes(16384), where)
"""

#: Asks the reception of a host, as the executor of a source does by RPC.
_ASK = f"""
import sys, tempfile
from kvm_balancer.messages import reservation as messages
from kvm_balancer.migration import capacity, headroom, request, reservation
from kvm_balancer.service import reception
from kvm_balancer.store import outbox
from kvm_balancer.virt.libvirt import driver
import msgspec
with tempfile.TemporaryDirectory() as folder:
    asked = reception.Reception(
        reception.Params(
            capacity.Terms(),
            lease_seconds=60.0,
            migration_mib_s={_CARRIES_MIB_S},
            network=headroom.Terms(stated_mib_s={_CARRIES_MIB_S}),
        ),
        driver.LibvirtDriver(),
        outbox.Outbox(folder + '/executor.sqlite'),
    )
    answer = asked.reserve(
        messages.Ask(
            reservation.Claim('m', 'i', 'somewhere', 1.0),
            request.Options(),
            sys.argv[1],
        )
    )
    print(msgspec.json.encode(messages.encode_answer(answer)).decode())
"""


class HeadroomTest(unittest.TestCase):
    def setUp(self):
        self.ground = hosts.LibvirtGround()
        self.addCleanup(self.ground.close)
        self.here, self.there = self.ground.here, self.ground.there

    @contextlib.contextmanager
    def flooded(self):
        """Fill the way from one host to the other."""
        self.here.limit_bandwidth(_SENDS_MIB_S)
        process = subprocess.Popen(
            [
                *('nsenter', '-t', str(self.here.holder), '-n'),
                *(sys.executable, '-c', _FLOOD, self.there.address),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            self.assertEqual('begun\n', process.stdout.readline())
            yield
        finally:
            process.kill()
            process.communicate()
            self.here.limit_bandwidth(None)

    def at_source(self, uid):
        """Return what a person on the source is told."""
        path = self.ground.lab.directory / 'migrate.conf'
        path.write_text(f'[host]\nmigration_mib_s = {_CARRIES_MIB_S}\n')
        code, found = checking.from_within(self.ground, uid, config_file=path)
        return code, found['bandwidth here']

    def at_destination(self):
        """Return what its executor answers."""
        answer = json.loads(
            self.there.run([sys.executable, '-c', _ASK, self.there.address])
        )
        (found,) = (
            one for one in answer['checks'] if one['name'] == 'bandwidth'
        )
        return found

    def test_it_passes_while_nobody_sends_and_fails_while_somebody_does(self):
        uid = self.ground.calm()
        code, told = self.at_source(uid)
        self.assertEqual((0, 'passed'), (code, told['verdict']), told)
        self.assertEqual('passed', self.at_destination()['verdict'])
        with self.flooded():
            code, told = self.at_source(uid)
            self.assertEqual((1, 'failed'), (code, told['verdict']), told)
            self.assertIn(
                'are free, and a migration needs 0.4', told['reason']
            )
            self.assertTrue(told['remedy'])
            told = self.at_destination()
            self.assertEqual('failed', told['verdict'], told)
