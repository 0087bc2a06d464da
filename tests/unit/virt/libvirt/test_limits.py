"""Limits are in the mark before the first of them is changed."""

import dataclasses
import unittest

import libvirt

from kvm_balancer.virt import marks
from kvm_balancer.virt.libvirt import limits
from kvm_balancer.virt.libvirt import marking
from tests.unit.virt.libvirt import metadata

_BEFORE = marks.Limits(300, 8796093022207, 100)
_MARK = marks.Mark('m-1', 'a', 'b', 'qemu:///system', images=('/made',))


class Domain(metadata.Domain):
    """Has limits of its migrations as well."""

    def __init__(self, mark=None):
        super().__init__()
        self.kept = {libvirt.VIR_DOMAIN_AFFECT_LIVE: ''}
        self.downtime_ms = _BEFORE.downtime_ms
        if mark is not None:
            marking.write(self, mark)

    def migrateGetMaxDowntime(self, flags):
        return self.downtime_ms

    def migrateSetMaxDowntime(self, downtime_ms, flags):
        self.downtime_ms = downtime_ms

    def migrateGetMaxSpeed(self, flags):
        if flags:
            return _BEFORE.post_copy_mib_s
        return _BEFORE.bandwidth_mib_s


class LimitsTest(unittest.TestCase):
    def test_they_are_in_the_mark_before_the_first_is_changed(self):
        """Also where it was written before, for images that are made."""
        earlier = marks.Limits(1, 2, 3)
        for mark, marked, left in (
            (None, True, None),
            (
                dataclasses.replace(_MARK, migration_id='another'),
                True,
                dataclasses.replace(_MARK, migration_id='another'),
            ),
            (_MARK, False, dataclasses.replace(_MARK, limits=_BEFORE)),
            (
                dataclasses.replace(_MARK, limits=earlier),
                False,
                dataclasses.replace(_MARK, limits=earlier),
            ),
        ):
            with self.subTest(mark=mark):
                domain = Domain(mark)
                noted = limits.Limits('m-1')
                self.assertEqual(marked, noted.remember(domain))
                self.assertEqual(left, marking.read(domain))
                self.assertFalse(noted.remember(domain))

    def test_another_run_puts_back_what_the_mark_tells(self):
        domain = Domain(_MARK)
        limits.Limits('m-1').remember(domain)
        domain.downtime_ms = 5
        limits.Limits('m-1').restore(domain)
        self.assertEqual(_BEFORE.downtime_ms, domain.downtime_ms)
