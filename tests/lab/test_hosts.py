"""Guests keep their memory on the way between real hosts."""

import dataclasses

from kvm_balancer import errors
from kvm_balancer.lab import description
from kvm_balancer.lab import fleet
from kvm_balancer.lab import prerequisites
from kvm_balancer.lab import status
from tests.lab import ground

_MIGRATE = ('virsh', 'migrate', '--live', '--p2p', '--persistent')


class HostsTest(ground.LabTestCase):
    letter = 'h'

    def _up(self, tls=False):
        prerequisites.check(services=False, tls=tls)
        wanted = description.describe(
            self.directory, self.name, hosts=2, tls=tls
        )
        wanted = description.with_guests(wanted, 1, burn=0.1)
        lab = fleet.Lab(wanted)
        self.addCleanup(lab.down)
        lab.up()
        return lab, *lab.hosts, lab.guests[0]

    def _migrate(self, source, destination, guest, *options):
        source.run(
            [
                *_MIGRATE,
                '--undefinesource',
                *options,
                guest.name,
                destination.uri,
            ],
            timeout_seconds=600,
        )

    def _assert_well(self, lab, host):
        guest = lab.guests[0]
        guest.wait_for_rounds(2)
        seen = status.look(lab)
        self.assertEqual((), seen.problems)
        self.assertEqual((host.name,), seen.guests[0].hosts)

    def test_pre_copy_post_copy_and_a_daemon_that_dies(self):
        lab, one, two, guest = self._up()
        self._migrate(one, two, guest)
        self._assert_well(lab, two)

        # It writes faster than it can be sent: only post-copy ends that.
        load = dataclasses.replace(
            guest.description.load, dirty_mib_s=60, working_set_mib=64
        )
        lab.set_load(guest, two, load)
        guest = lab.guests[0]
        two.limit_bandwidth(20)
        self._migrate(
            two, one, guest, '--postcopy', '--postcopy-after-precopy'
        )
        two.limit_bandwidth(None)
        self._assert_well(lab, one)

        # A guest outlives its libvirtd, which finds it again.
        one.kill('libvirtd')
        self.assertIn(
            f'libvirtd of {one.name} does not answer',
            status.look(lab).problems,
        )
        one.start_libvirtd()
        one.wait()
        self._assert_well(lab, one)

    def test_tls_between_daemons_and_for_the_stream(self):
        lab, one, two, guest = self._up(tls=True)
        plain = two.uri.replace('qemu+tls', 'qemu+tcp').partition('?')[0]
        self.assertRaises(
            errors.LabError, one.run, ['virsh', '-c', plain, 'hostname']
        )
        self._migrate(one, two, guest, '--tls')
        self._assert_well(lab, two)

    def test_two_labs_do_not_get_into_each_others_way(self):
        lab = fleet.Lab(description.describe(self.directory, self.name, 1))
        self.addCleanup(lab.down)
        lab.up()
        for change, line in (
            ({}, 'is in .* already'),
            ({'directory': self.directory.parent / 'two'}, 'interface .* ex'),
            (
                {
                    'directory': self.directory.parent / 'two',
                    'name': f'i{self.name[1:]}',
                    'network': lab.description.network,
                },
                'overlaps with the route',
            ),
        ):
            choice = {'directory': self.directory, 'name': self.name}
            other = description.describe(**{**choice, **change}, hosts=1)
            with self.subTest(line):
                error = self.assertRaises(errors.LabError, fleet.Lab(other).up)
                self.assertRegex(str(error), line)
        self.assertEqual((), status.look(lab).problems)
