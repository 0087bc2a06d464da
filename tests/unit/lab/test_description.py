"""The names, addresses and loads of a laboratory."""

import ipaddress
import pathlib
import unittest

import hypothesis
from hypothesis import strategies

from kvm_balancer import errors
from kvm_balancer.lab import description

_DIRECTORY = pathlib.Path('/srv/lab')


class DescriptionTest(unittest.TestCase):
    @hypothesis.given(
        strategies.from_regex(r'\A[a-z][a-z0-9]{0,9}\Z'),
        strategies.integers(1, 100),
    )
    def test_names_fit_the_kernel_and_addresses_the_network(self, name, hosts):
        lab = description.describe(_DIRECTORY, name, hosts)
        network = ipaddress.ip_network(lab.network)
        addresses = [lab.address, *(host.address for host in lab.hosts)]
        names = [lab.bridge, *(host.interface for host in lab.hosts)]
        self.assertEqual(hosts + 1, len(set(addresses)))
        self.assertEqual(hosts + 1, len(set(names)))
        for address in addresses:
            self.assertIn(ipaddress.ip_address(address), network)
        for interface in names:
            self.assertLess(len(interface), 16)

    def test_the_network_follows_from_the_name_and_from_nothing_else(self):
        first = description.describe(_DIRECTORY, 'one', 2)
        again = description.describe(pathlib.Path('/other'), 'one', 3)
        other = description.describe(_DIRECTORY, 'two', 2)
        self.assertEqual(first.network, again.network)
        self.assertNotEqual(first.network, other.network)

    def test_what_cannot_be_is_refused_in_one_line(self):
        for choice, line in (
            ({'name': 'Lab'}, 'lab name "Lab"'),
            ({'name': ''}, 'lab name ""'),
            ({'name': 'abcdefghijk'}, 'lab name "abcdefghijk"'),
            ({'hosts': 0}, '0 hosts'),
            ({'hosts': 101}, '101 hosts'),
            ({'network': '10.0.0.0/25'}, 'lab network 10.0.0.0/25'),
            ({'network': '10.0.0.1/24'}, 'lab network: 10.0.0.1/24'),
            ({'network': 'fd00::/64'}, 'lab network:'),
            ({'network': 'here'}, 'lab network:'),
            ({'directory': pathlib.Path('/run/lab')}, 'directory /run/lab'),
        ):
            choices = {'directory': _DIRECTORY, 'name': 'lab', 'hosts': 2}
            with (
                self.subTest(line),
                self.assertRaisesRegex(errors.LabError, f'^{line}'),
            ):
                description.describe(**{**choices, **choice})


class GuestsTest(unittest.TestCase):
    def _lab(self, hosts, guests):
        lab = description.describe(_DIRECTORY, 'lab', hosts)
        return description.with_guests(lab, guests)

    @hypothesis.given(strategies.integers(1, 20), strategies.integers(0, 60))
    def test_every_guest_has_what_only_one_can_have(self, hosts, guests):
        lab = self._lab(hosts, guests)
        self.assertEqual(guests, len({one.name for one in lab.guests}))
        self.assertEqual(guests, len({one.uuid for one in lab.guests}))
        self.assertEqual(guests, len({one.storage_port for one in lab.guests}))
        for guest in lab.guests:
            guest.load.check(guest.memory_mib)

    @hypothesis.given(strategies.integers(2, 20), strategies.integers(2, 60))
    def test_the_first_host_is_hot_and_the_others_are_not(self, hosts, guests):
        lab = self._lab(hosts, guests)
        first = [one for one in lab.guests if one.host == lab.hosts[0].name]
        self.assertAlmostEqual(
            0.9, sum(one.load.cpu for one in first), places=1
        )
        self.assertGreater(2 * len(first), guests)
        if hosts == 3 and guests == 8:
            others = sum(one.load.cpu for one in lab.guests) - 0.9
            self.assertLess(others, 0.3)

    def test_too_many_guests_are_refused(self):
        with self.assertRaisesRegex(errors.LabError, '^1001 guests'):
            self._lab(2, 1001)


class LinuxGuestsTest(unittest.TestCase):
    @hypothesis.given(strategies.integers(1, 100), strategies.integers(0, 100))
    def test_each_has_its_own_of_everything(self, hosts, number):
        lab = description.describe(_DIRECTORY, 'lab', hosts)
        lab = description.with_linux_guests(lab, number)
        lab = description.with_guests(lab, 10)
        guests = lab.linux_guests
        for made in ('name', 'uuid', 'mac'):
            self.assertEqual(
                number, len({getattr(one, made) for one in guests}), made
            )
        ports = {one.storage_port for one in (*lab.guests, *guests)}
        self.assertEqual(number + 10, len(ports))
        addresses = {one.address for one in (*lab.hosts, *guests)}
        self.assertEqual(number + hosts, len(addresses))
        self.assertNotIn(lab.address, addresses)
        for address in addresses:
            self.assertIn(
                ipaddress.ip_address(address),
                ipaddress.ip_network(lab.network),
            )

    def test_too_many_are_refused(self):
        lab = description.describe(_DIRECTORY, 'lab', 1)
        with self.assertRaisesRegex(errors.LabError, '^101 Linux guests'):
            description.with_linux_guests(lab, 101)
