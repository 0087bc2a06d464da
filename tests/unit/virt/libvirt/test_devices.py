"""Whether a block device is the same one on both hosts, on paper."""

import dataclasses
import unittest

import libvirt

from kvm_balancer.migration import events
from kvm_balancer.migration import request
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import departure
from kvm_balancer.virt.libvirt import devices
from kvm_balancer.virt.libvirt import documents
from kvm_balancer.virt.libvirt import failures
from kvm_balancer.virt.libvirt import identity
from kvm_balancer.virt.libvirt import storage
from tests.fixtures import facts

_LV = 'aWcG2P-1xA4-8mOb-Z0qk-Ny3S-hT5e-VdR7uI'
_OTHER_LV = 'bWcG2P-1xA4-8mOb-Z0qk-Ny3S-hT5e-VdR7uI'
_NAA = '3600140507adf2e1a39c4b6d8e1f20a7b'
_PATH = '/dev/vg/web'


@dataclasses.dataclass(frozen=True)
class _Volume:
    """A volume of a pool, as libvirt-python has it."""

    place: str
    mark: str
    kind: int = libvirt.VIR_STORAGE_VOL_BLOCK

    def path(self):
        return self.place

    def key(self):
        return self.mark

    def info(self):
        return [self.kind, 0, 0]


class _Host(connection.Connection):
    """A host of which only the volumes of its pools are there."""

    def __init__(self, *volumes):
        self._volumes = volumes
        #: what its pools will find when they look
        self.found = None

    def call(self, function):
        try:
            return function(self)
        except libvirt.libvirtError as error:
            raise failures.translate(error, 'test', alive=True) from None

    def _find(self, fits):
        for one in self._volumes:
            if fits(one):
                return one
        error = libvirt.libvirtError('no volume')
        code = libvirt.VIR_ERR_NO_STORAGE_VOL
        error.err = (code, 18, 'no volume', 2, '', '', '', -1, -1)
        raise error

    def storageVolLookupByPath(self, path):
        return self._find(lambda one: one.place == path)

    def storagePoolLookupByName(self, _):
        return self

    def storagePoolLookupByTargetPath(self, _):
        return self

    def refresh(self, _):
        self._volumes = self._volumes if self.found is None else self.found

    def storageVolLookupByName(self, name):
        return self._find(lambda one: one.place.endswith(f'/{name}'))


def _checks(disk, here, there, trust=False):
    subject = departure.Subject(
        facts=dataclasses.replace(facts.WEB, disks=(disk,)),
        end=events.End(events.EndState.RUNNING),
        snapshots=0,
        block_jobs=(),
        host=identity.HostIdentity('here', '', 7_002_000, 9_000_000),
    )
    options = request.Options(trust_disk_paths=trust)
    survey = storage.survey(here, there, subject, options, False)
    return {one.name: one for one in survey.checks}


class NameTest(unittest.TestCase):
    def test_only_names_that_follow_from_the_device_say_which_it_is(self):
        nowhere = _Host()
        for name, expected in (
            ('disk/by-id/wwn-0x600140507adf2e1a39c4b6d8e1f20a7b', True),
            ('disk/by-id/wwn-0x5000c500a1b2c3d4-part2', True),
            (f'disk/by-id/scsi-{_NAA}', True),
            (f'disk/by-id/dm-uuid-mpath-{_NAA}', True),
            (f'disk/by-id/dm-uuid-part1-mpath-{_NAA}', True),
            ('disk/by-id/dm-uuid-LVM-' + 64 * 'a', True),
            ('disk/by-id/nvme-eui.0025388b910a1f42', True),
            (f'mapper/{_NAA}p1', True),
            ('mapper/mpatha', False),
            ('disk/by-id/scsi-0QEMU_QEMU_HARDDISK_drive-scsi0', False),
            # names of vendors' own making, also where they look like others
            ('disk/by-id/scsi-0600140507adf2e1a', False),
            ('disk/by-id/scsi-1600140507adf2e1a', False),
            ('disk/by-id/dm-uuid-mpath-1600140507adf2e1a', False),
            ('mapper/1600140507adf2e1a', False),
            ('disk/by-id/wwn-0x5000', False),
            ('disk/by-path/ip-10.0.0.1:3260-iscsi-iqn.x-lun-1', False),
            ('vg/web', False),
            ('sdb', False),
        ):
            with self.subTest(name):
                same = devices.compare(nowhere, nowhere, f'/dev/{name}')
                self.assertIs(same is devices.Sameness.SAME, expected)


class CheckTest(unittest.TestCase):
    def verdict(self, mark, other, trust=False):
        disk = documents.Disk('vda', 'block', _PATH)
        here = _Host(*([_Volume(_PATH, mark)] if mark else ()))
        there = _Host(*([_Volume(_PATH, other)] if other else ()))
        return _checks(disk, here, there, trust)['block devices'].verdict

    def test_a_device_is_the_same_where_the_pools_of_both_say_so(self):
        passed, failed = events.Verdict.PASSED, events.Verdict.FAILED
        for mark, other, expected in (
            (_LV, _LV, passed),
            (_NAA, _NAA, passed),
            (_LV, _OTHER_LV, failed),
            (_LV, '', failed),
            ('', _LV, failed),
            # what libvirt takes for a key where it knows none
            (_PATH, _PATH, failed),
            # and a name of a vendor's own making
            ('1600140507adf2e1a', '1600140507adf2e1a', failed),
        ):
            with self.subTest(mark=mark, other=other):
                self.assertEqual(expected, self.verdict(mark, other))

    def test_a_volume_that_was_made_anew_is_another_one(self):
        disk = documents.Disk('vda', 'block', _PATH)
        here, there = (_Host(_Volume(_PATH, _LV)) for _ in range(2))
        there.found = (_Volume(_PATH, _OTHER_LV),)
        check = _checks(disk, here, there)['block devices']
        self.assertIn('another device', check.reason)

    def test_who_trusts_paths_has_what_cannot_be_told_taken_for_the_same(
        self,
    ):
        self.assertEqual(
            events.Verdict.UNKNOWN, self.verdict('', '', trust=True)
        )
        self.assertEqual(
            events.Verdict.FAILED, self.verdict(_LV, _OTHER_LV, trust=True)
        )

    def test_a_refusal_says_which_device_and_what_to_do(self):
        disk = documents.Disk('vda', 'block', _PATH)
        check = _checks(disk, _Host(), _Host())['block devices']
        self.assertIn('vda (/dev/vg/web)', check.reason)
        self.assertIn('trust_disk_paths', check.remedy)


class VolumeTest(unittest.TestCase):
    """Disks that are given as volumes of a pool."""

    disk = documents.Disk('vda', 'volume', 'web', pool='vg')

    def test_a_volume_is_looked_at_as_what_it_is(self):
        block = _Volume(_PATH, _LV)
        other = _Volume(_PATH, _OTHER_LV)
        served = _Volume('rbd/web', 'rbd/web', libvirt.VIR_STORAGE_VOL_NETWORK)
        for here, there, name, expected in (
            (block, block, 'block devices', events.Verdict.PASSED),
            (block, other, 'block devices', events.Verdict.FAILED),
            (served, served, 'storage', events.Verdict.PASSED),
        ):
            with self.subTest(here=here, there=there):
                found = _checks(self.disk, _Host(here), _Host(there))
                self.assertEqual(expected, found[name].verdict)

    def test_a_volume_that_the_pools_do_not_agree_on_is_not_taken(self):
        elsewhere = _Volume('/dev/other/web', _LV)
        for there in (_Host(), _Host(elsewhere)):
            found = _checks(self.disk, _Host(_Volume(_PATH, _LV)), there)
            self.assertEqual(
                events.Verdict.FAILED, found['block devices'].verdict
            )

    def test_pools_of_one_name_that_serve_other_images_do_not_agree(self):
        served = libvirt.VIR_STORAGE_VOL_NETWORK
        ours = _Volume('rbd/web', 'rbd/web', served)
        for theirs in (
            _Volume('ssd/web', 'ssd/web', served),
            _Volume('rbd/web', 'rbd/web', libvirt.VIR_STORAGE_VOL_FILE),
        ):
            with self.subTest(theirs=theirs):
                found = _checks(self.disk, _Host(ours), _Host(theirs))
                self.assertEqual(
                    events.Verdict.FAILED, found['block devices'].verdict
                )
