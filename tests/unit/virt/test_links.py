"""What goes over an interface is told of the one that carries the stream."""

import pathlib
import shutil
import socket
import tempfile
import threading
import unittest
from unittest import mock

import psutil

from kvm_balancer.virt import links

_MIB = 2**20
_HERE = '127.0.0.1'


class LinksTest(unittest.TestCase):
    def setUp(self):
        super().setUp()
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        self.root = pathlib.Path(made.name)
        self.links = links.Links(self.root)
        self.addCleanup(self.links.close)

    def test_bytes_are_seen_to_go(self):
        with socket.create_server((_HERE, 0)) as server:
            there = socket.create_connection(server.getsockname())
            here, _ = server.accept()
        self.links.start()
        sender = threading.Thread(
            target=there.sendall, args=(bytes(8 * _MIB),)
        )
        with here, there:
            sender.start()
            left = 8 * _MIB
            while left:
                left -= len(here.recv(_MIB))
            sender.join()
        for told in (
            self.links.outgoing(_HERE),
            self.links.incoming('localhost'),
        ):
            self.assertEqual('lo', told.interface)
            self.assertGreater(told.mib_s, 1.0)
            self.assertIsNone(told.speed_mib_s)

    def test_what_an_interface_says_that_it_carries(self):
        """Nobody has to look at the counters for it."""
        speed = mock.create_autospec(psutil.net_if_stats)
        speed.return_value = {'lo': mock.Mock(speed=1000)}
        with mock.patch.object(psutil, 'net_if_stats', speed):
            for address, incoming, told in (
                (_HERE, False, 1e9 / 8 / _MIB),
                ('localhost', True, 1e9 / 8 / _MIB),
                ('192.0.2.7', True, None),
                ('', True, None),
                ('no.such.invalid', False, None),
            ):
                self.assertEqual(
                    told, self.links.speed_mib_s(address, incoming)
                )

    def test_what_is_not_known_is_told_with_the_reason(self):
        """Never guessed, and never raised."""
        for asked, words in (
            (lambda: self.links.outgoing(_HERE), 'nobody looks'),
            (lambda: self.links.incoming(''), 'sent to is not known'),
            (lambda: self.links.incoming('192.0.2.7'), 'no interface here'),
            (lambda: self.links.outgoing('no.such.invalid'), 'resolved'),
        ):
            told = asked()
            self.assertIsNone(told.mib_s)
            self.assertIn(words, told.trouble)


class HardwareTest(unittest.TestCase):
    """Guests share cards with migrations, below a bridge or a VLAN."""

    def setUp(self):
        super().setUp()
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        self.net = pathlib.Path(made.name)
        self.add('eth0', kind='device')
        self.add('eth1', kind='device')
        self.add('tap0')
        self.add('bond0', 'eth0', 'eth1', kind='bonding')
        self.add('bond0.7', 'bond0')

    def add(self, name, *below, kind='queues'):
        (self.net / name / kind).mkdir(parents=True)
        for one in below:
            (self.net / name / f'lower_{one}').mkdir()

    def test_traffic_is_that_of_the_card_or_bond_below(self):
        for below, found in (
            ((), 'br0'),
            (('tap0',), 'br0'),
            (('tap0', 'eth0'), 'eth0'),
            (('tap0', 'bond0.7'), 'bond0'),
        ):
            with self.subTest(below=below):
                self.add('br0', *below)
                self.assertEqual(found, links.hardware(self.net, 'br0'))
                shutil.rmtree(self.net / 'br0')

    def test_which_of_two_ways_it_takes_is_not_guessed(self):
        self.add('br0', 'eth0', 'eth1')
        with self.assertRaisesRegex(links.Unknown, 'eth0, eth1'):
            links.hardware(self.net, 'br0')
