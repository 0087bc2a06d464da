"""A bridge of paper tells whether the network has heard of a guest."""

import pathlib
import tempfile
import unittest
from unittest import mock

from kvm_balancer.virt.libvirt import announcing
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import documents
from kvm_balancer.virt.libvirt import failures

_MAC, _OTHER = '52:54:00:aa:bb:01', '52:54:00:aa:bb:02'
_DOMAIN = f"""
<domain type='kvm'><name>x</name><devices>
  <interface type='bridge'><mac address='52:54:00:AA:BB:01'/>
    <source bridge='br0'/><target dev='vnet0'/></interface>
  <interface type='network'><mac address='{_OTHER}'/>
    <source network='lan' bridge='br1'/><target dev='vnet1'/></interface>
  <interface type='direct'><mac address='52:54:00:aa:bb:03'/>
    <source dev='eth0'/><target dev='macvtap0'/></interface>
</devices></domain>"""


def _entry(mac, port, own=0, high=0):
    return (
        bytes.fromhex(mac.replace(':', ''))
        + bytes([port, own])
        + (42).to_bytes(4, 'little')
        + bytes([high, 0, 0, 0])
    )


class _Link(connection.Connection):
    def __init__(self, *answers):
        self.asked = 0
        self._answers = answers

    def call(self, function):
        self.asked += 1
        for answer in self._answers:
            if isinstance(answer, Exception):
                raise answer
            answer()


class AnnouncingTest(unittest.TestCase):
    def setUp(self):
        super().setUp()
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        self.root = pathlib.Path(made.name)
        self.net = self.root / 'sys/class/net'
        for bridge in ('br0', 'br1'):
            for number, port in ((1, 'eth0'), (2, 'vnet0'), (0x102, 'vnet1')):
                folder = self.net / bridge / 'brif' / port
                folder.mkdir(parents=True)
                (folder / 'port_no').write_text(f'0x{number:x}\n')
            self.learn(bridge)
        facts = documents.read_domain(_DOMAIN)
        self.cards = announcing.read_cards(facts, self.root)

    def learn(self, bridge, *entries):
        (self.net / bridge / 'brforward').write_bytes(b''.join(entries))

    def confirm(self, link, again=True):
        heard = announcing.heard
        with (
            mock.patch.object(announcing, 'PATIENCE_SECONDS', 0.0),
            mock.patch.object(
                announcing, 'heard', lambda cards: heard(cards, self.root)
            ),
        ):
            return announcing.confirm(
                self.cards, link, 'some-uuid', lambda _: False, again
            )

    def hear_all(self):
        self.learn('br0', _entry(_MAC, 1))
        self.learn('br1', _entry(_OTHER, 1))

    def test_cards_on_bridges_are_known_with_their_ports(self):
        self.assertEqual(
            {('br0', _MAC): 'vnet0', ('br1', _OTHER): 'vnet1'},
            self.cards.ports,
        )

    def test_a_table_is_read_as_the_kernel_writes_it(self):
        self.learn(
            'br0',
            _entry('02:00:00:00:00:01', 1, own=1),
            _entry(_MAC, 1),
            _entry(_OTHER, 2, high=1),
        )
        self.assertEqual(
            {_MAC: 'eth0', _OTHER: 'vnet1'},
            announcing.table('br0', self.root),
        )
        self.assertEqual({}, announcing.table('br9', self.root))

    def test_a_card_where_it_was_is_not_heard_of(self):
        self.learn('br0', _entry(_MAC, 2))
        self.learn('br1', _entry(_OTHER, 1))
        self.assertEqual(
            {('br1', _OTHER): 'eth0'},
            announcing.heard(self.cards, self.root).ports,
        )

    def test_what_is_heard_is_not_repeated(self):
        self.hear_all()
        link = _Link()
        told = self.confirm(link)
        self.assertIn(f'{_MAC} is behind eth0 of br0 now', told)
        self.assertEqual(0, link.asked)

    def test_what_is_not_heard_is_repeated_where_that_is_allowed(self):
        self.assertIn('was not heard of', self.confirm(_Link(), again=False))
        link = _Link(self.hear_all)
        told = self.confirm(link)
        self.assertIn('only when it was repeated', told)
        self.assertEqual(1, link.asked)

    def test_what_is_never_heard_is_told(self):
        told = self.confirm(_Link())
        self.assertIn(f'{_MAC}, {_OTHER} was not heard of, and no more', told)
        told = self.confirm(_Link(failures.Refused('no monitor', 1, 1)))
        self.assertIn('nor could it be repeated: no monitor', told)
