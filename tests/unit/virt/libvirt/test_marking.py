"""A mark is read as it was written, and no other element for one."""

import threading
import unittest

import libvirt

from kvm_balancer.virt import marks
from kvm_balancer.virt.libvirt import locks
from kvm_balancer.virt.libvirt import marking
from tests.unit.virt.libvirt import metadata

MARK = marks.Mark(
    'm-1',
    'a & b',
    '"c"',
    'qemu+tls://c/system?x=1&y=2',
    1.5,
    ('/a & b', '/c'),
    ('/"d"',),
    marks.Limits(300, 8796093022207, 0),
    (marks.Card('br"0', '52:54:00:00:00:01', 'vnet<1'),),
)


class MarkingTest(unittest.TestCase):
    def test_a_mark_is_read_as_it_was_written(self):
        for active, persistent, places in (
            (True, False, {libvirt.VIR_DOMAIN_AFFECT_LIVE}),
            (
                True,
                True,
                {
                    libvirt.VIR_DOMAIN_AFFECT_LIVE,
                    libvirt.VIR_DOMAIN_AFFECT_CONFIG,
                },
            ),
            (False, True, {libvirt.VIR_DOMAIN_AFFECT_CONFIG}),
        ):
            domain = metadata.Domain(active, persistent)
            marking.write(domain, MARK)
            self.assertEqual(places, set(domain.kept))
            self.assertEqual(MARK, marking.read(domain))
            self.assertFalse(marking.erase(domain, 'another'))
            self.assertTrue(marking.erase(domain, 'm-1'))
            self.assertEqual({None}, set(domain.kept.values()))

    def test_what_is_no_mark_is_none(self):
        for text in (
            '',
            '<migration',
            '<migration/>',
            '<migration id="m" source="a" uri="x"/>',
            '<migration id="m" source="a" destination="b"><limits/>'
            '</migration>',
            '<migration id="m" source="a" destination="b" accepted="soon"/>',
        ):
            self.assertIsNone(marking.parse(text), text)


class LocksTest(unittest.TestCase):
    def test_an_instance_is_held_by_one_at_a_time(self):
        order, entered = [], threading.Event()

        def wait():
            entered.set()
            with locks.holding('i'):
                order.append('second')

        with locks.holding('i'):
            thread = threading.Thread(target=wait)
            thread.start()
            self.assertTrue(entered.wait(60.0))
            with locks.holding('another'):
                order.append('first')
        thread.join()
        self.assertEqual(['first', 'second'], order)
