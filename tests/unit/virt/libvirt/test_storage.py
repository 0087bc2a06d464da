"""Which disks both ends have, and which are copied, with hosts of paper."""

import contextlib
import dataclasses
import re
import unittest
from unittest import mock

import libvirt

from kvm_balancer.migration import events
from kvm_balancer.migration import request
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import departure
from kvm_balancer.virt.libvirt import documents
from kvm_balancer.virt.libvirt import failures
from kvm_balancer.virt.libvirt import filesystems
from kvm_balancer.virt.libvirt import identity
from kvm_balancer.virt.libvirt import storage
from tests.fixtures import facts

_MIB = 2**20
_LOCAL = documents.Disk('vda', 'file', '/var/img/web.qcow2', format='qcow2')
_MOUNTS = '22 1 8:1 / / rw - ext4 /dev/sda1 rw\n'
_SHARED_MOUNTS = _MOUNTS + '23 22 0:20 / /srv rw - nfs4 nas:/ rw\n'
_PASSED = events.Verdict.PASSED
_FAILED = events.Verdict.FAILED
_UNKNOWN = events.Verdict.UNKNOWN


def _error(code):
    error = libvirt.libvirtError('refused')
    error.err = (code, 0, 'refused', 2, '', '', '', -1, -1)
    return error


class _Volume:
    """An image; those of one name hold the same unless they are sized."""

    def __init__(self, files, name):
        self._files = files
        self._name = name

    def info(self):
        sized = isinstance(self._files, dict)
        return [0, self._files[self._name] if sized else _MIB, 0]

    def delete(self, _):
        if isinstance(self._files, dict):
            del self._files[self._name]
        else:
            self._files.remove(self._name)


class _Pool:
    def __init__(self, files, free):
        self._files = files
        self._free = free

    def refresh(self, _):
        """Nothing is ever stale on paper."""

    def info(self):
        return [2, 0, 0, self._free]

    def createXML(self, xml, _):
        name = re.search('<name>(.*)</name>', xml).group(1)
        if isinstance(self._files, dict):
            self._files[name] = 0
        else:
            self._files.add(name)

    def storageVolLookupByName(self, name):
        if name not in self._files:
            raise _error(libvirt.VIR_ERR_NO_STORAGE_VOL)
        return _Volume(self._files, name)


class _Host(connection.Connection):
    """A host of which only the storage pools are there.

    :param pools: of each directory, the names of the files that are in it
    """

    def __init__(self, pools=None, free=2**40):
        self._pools = pools or {}
        self._free = free

    def call(self, function):
        try:
            return function(self)
        except libvirt.libvirtError as error:
            raise failures.translate(error, 'test', alive=True) from None

    def storagePoolLookupByTargetPath(self, path):
        if path not in self._pools:
            raise _error(libvirt.VIR_ERR_NO_STORAGE_POOL)
        return _Pool(self._pools[path], self._free)

    def storageVolLookupByPath(self, path):
        place, _, name = path.rpartition('/')
        if place not in self._pools:
            raise _error(libvirt.VIR_ERR_NO_STORAGE_VOL)
        return _Volume(self._pools[place], name)

    def getAllDomainStats(self, *_):
        return []


def _survey(
    disk, here=None, there=None, copying=False, mounts='', free=2**40, **more
):
    trust = more.pop('trust', False)
    disks = (disk, *more.pop('beside', ()))
    subject = departure.Subject(
        facts=dataclasses.replace(facts.WEB, disks=disks),
        end=events.End(events.EndState.RUNNING),
        snapshots=0,
        block_jobs=(),
        host=identity.HostIdentity('here', '', 7_002_000, 9_000_000),
        sizes={one.target: (100 * _MIB, 40 * _MIB) for one in disks},
    )
    with contextlib.ExitStack() as stack:
        stack.enter_context(
            mock.patch.object(filesystems, 'mounts', lambda: mounts)
        )
        return storage.survey(
            _Host(here),
            _Host(there, free),
            subject,
            request.Options(copy_storage=copying, trust_disk_paths=trust),
            bool(mounts),
        )


class SharedTest(unittest.TestCase):
    def verdict(self, *arguments, **options):
        found = _survey(*arguments, **options)
        self.assertEqual((), found.copies)
        return found.checks[0].verdict

    def test_what_the_network_serves_is_everywhere(self):
        disk = documents.Disk('vda', 'network', 'pool/x')
        self.assertEqual(_PASSED, self.verdict(disk))

    def test_a_probe_tells_whether_a_directory_is_the_same(self):
        """One set of files that both have, and then one each."""
        files = {'web.qcow2'}
        both = {'/var/img': files}
        found = self.verdict(_LOCAL, both, both, copying=True)
        self.assertEqual(_PASSED, found)
        self.assertEqual({'web.qcow2'}, files)
        apart = {'/var/img': {'web.qcow2'}}
        self.assertEqual(_FAILED, self.verdict(_LOCAL, both, apart))
        self.assertEqual({'web.qcow2'}, files)

    def test_without_pools_the_file_system_tells_what_it_can(self):
        shared = documents.Disk('vda', 'file', '/srv/x.img')
        for disk, mounts, expected in (
            (shared, _SHARED_MOUNTS, _UNKNOWN),
            (shared, _MOUNTS, _FAILED),
            (shared, '', _UNKNOWN),
            (documents.Disk('vda', 'nvme', 'x'), _MOUNTS, _FAILED),
            (documents.Disk('vda', 'nvme', 'x'), '', _FAILED),
        ):
            with self.subTest(disk=disk, mounts=mounts):
                self.assertEqual(expected, self.verdict(disk, mounts=mounts))

    def test_a_copy_of_what_is_only_read_does_as_well(self):
        disk = documents.Disk('hdc', 'file', '/iso/x.iso', read_only=True)
        for files, expected in (({'x.iso'}, _PASSED), (set(), _FAILED)):
            there = {'/iso': files}
            self.assertEqual(expected, self.verdict(disk, None, there))
        self.assertEqual(_UNKNOWN, self.verdict(disk, mounts=_MOUNTS))


class LayerTest(unittest.TestCase):
    """What an image is laid over that both hosts reach."""

    base = documents.Backing('file', '/base/debian.img', 'raw')

    def survey(self, backing, here=None, there=None, trust=False, **options):
        disk = documents.Disk('vda', 'network', 'pool/x', backing=backing)
        found = _survey(disk, here, there, trust=trust, **options)
        return {one.name: one.verdict for one in found.checks}

    def verdict(self, *arguments, **options):
        return self.survey(*arguments, **options)['backing files']

    def test_nothing_is_asked_of_what_is_laid_over_nothing(self):
        self.assertEqual({'storage': _PASSED}, self.survey(None))

    def test_a_layer_that_both_have_passes(self):
        both = {'/base': {'debian.img'}}
        self.assertEqual(_PASSED, self.verdict(self.base, both, both))
        served = documents.Backing('network', 'pool/debian', 'raw')
        self.assertEqual(_PASSED, self.verdict(served))

    def test_a_layer_of_each_host_is_not_taken_for_the_same(self):
        """By the sizes of the two, and whether paths are trusted."""
        ours = {'/base': {'debian.img': 4}}
        for there, plain, trusted in (
            ({'/base': {'debian.img': 4}}, _FAILED, _UNKNOWN),
            ({'/base': {'debian.img': 5}}, _FAILED, _FAILED),
            ({'/base': {}}, _FAILED, _FAILED),
            ({}, _FAILED, _UNKNOWN),
        ):
            for trust, expected in ((False, plain), (True, trusted)):
                with self.subTest(there=there, trust=trust):
                    found = self.verdict(self.base, ours, there, trust)
                    self.assertEqual(expected, found)

    def test_every_layer_is_looked_at(self):
        over = documents.Backing('network', 'pool/top', 'qcow2', self.base)
        apart = {'/base': {'debian.img': 4}}, {'/base': {'debian.img': 4}}
        self.assertEqual(_FAILED, self.verdict(over, *apart))
        device = documents.Backing('block', '/dev/vg/base', 'raw')
        found = self.survey(dataclasses.replace(over, backing=device))
        self.assertEqual(_FAILED, found['block devices'])

    def test_a_layer_of_a_kind_that_is_not_known_is_never_passed(self):
        for kind in ('volume', 'nvme', 'dir', 'vhostuser', ''):
            layer = documents.Backing(kind, 'debian', 'raw')
            over = documents.Backing('network', 'pool/top', 'qcow2', layer)
            for trust, expected in ((False, _FAILED), (True, _UNKNOWN)):
                with self.subTest(kind=kind, trust=trust):
                    found = self.verdict(over, trust=trust)
                    self.assertEqual(expected, found)

    def test_a_layer_on_a_shared_file_system_is_as_a_disk_there(self):
        served = documents.Backing('file', '/srv/debian.img', 'raw')
        found = self.verdict(served, mounts=_SHARED_MOUNTS)
        self.assertEqual(_UNKNOWN, found)

    def test_a_layer_that_is_not_known_to_be_shared_is_copied_along(self):
        over = documents.Backing('network', 'pool/top', 'qcow2', self.base)
        disk = dataclasses.replace(_LOCAL, backing=over)
        here = {'/var/img': {'web.qcow2'}, '/base': {'debian.img'}}
        there = {'/var/img': set(), '/base': {'debian.img'}}
        (copy,) = _survey(disk, here, there, True).copies
        self.assertIsNone(copy.backing)


class CopyTest(unittest.TestCase):
    def setUp(self):
        super().setUp()
        self.here = {'/var/img': {'web.qcow2'}, '/base': {'debian.img'}}
        self.there = {'/var/img': set(), '/base': {'debian.img'}}

    def survey(self, disk=_LOCAL, **options):
        return _survey(disk, self.here, self.there, True, **options)

    def refused(self, **options):
        (check,) = self.survey(**options).checks
        self.assertEqual(_FAILED, check.verdict)
        self.assertTrue(check.remedy)
        return check.reason

    def test_only_who_asks_for_it_has_disks_copied(self):
        (check,) = _survey(_LOCAL, self.here, self.there).checks
        self.assertEqual(_FAILED, check.verdict)
        self.assertIn('copy_storage', check.remedy)
        found = self.survey()
        self.assertEqual({_PASSED}, {check.verdict for check in found.checks})
        (copy,) = found.copies
        self.assertEqual(
            ('vda', 'qcow2', 100 * _MIB, 40 * _MIB, None),
            (
                copy.target,
                copy.format,
                copy.capacity_bytes,
                copy.allocated_bytes,
                copy.backing,
            ),
        )

    def test_of_several_disks_only_the_local_ones_are_copied(self):
        beside = (documents.Disk('vdb', 'network', 'pool/x'),)
        found = self.survey(beside=beside)
        self.assertEqual(['vda'], [one.target for one in found.copies])

    def test_a_file_that_is_there_is_never_written_over(self):
        self.there['/var/img'].add('web.qcow2')
        self.assertIn('another file of that name', self.refused())

    def test_an_image_needs_a_pool_to_be_made_in(self):
        del self.there['/var/img']
        reason = self.refused(mounts=_MOUNTS)
        self.assertIn('no active storage pool', reason)

    def test_what_others_write_to_as_well_cannot_be_copied(self):
        shared = dataclasses.replace(_LOCAL, shareable=True)
        self.assertIn('local disk vda', self.refused(disk=shared))

    def test_the_images_have_to_fit(self):
        for free_mib, expected in (
            (39, _FAILED),
            (41, _UNKNOWN),
            (101, _PASSED),
        ):
            found = self.survey(free=free_mib * _MIB)
            with self.subTest(free_mib):
                self.assertEqual('disk space', found.checks[1].name)
                self.assertEqual(expected, found.checks[1].verdict)

    def test_over_a_backing_file_that_both_have_only_the_top_is_copied(self):
        base = documents.Backing('file', '/base/debian.img', 'raw')
        layered = dataclasses.replace(_LOCAL, backing=base)
        (copy,) = self.survey(layered).copies
        self.assertIsNone(copy.backing)
        self.there['/base'] = self.here['/base']
        (copy,) = self.survey(layered).copies
        self.assertEqual(base, copy.backing)

    def test_whole_and_top_do_not_go_together(self):
        shared = documents.Backing('network', 'pool/debian', 'raw')
        local = documents.Backing('file', '/base/debian.img', 'raw')
        reason = self.refused(
            disk=dataclasses.replace(_LOCAL, backing=shared),
            beside=(dataclasses.replace(_LOCAL, target='vdb', backing=local),),
        )
        self.assertIn('of vdb it has not', reason)


class LocalTest(unittest.TestCase):
    def test_whoever_arrives_is_not_asked_for_its_disks(self):
        arrives = (
            libvirt.VIR_DOMAIN_PAUSED,
            libvirt.VIR_DOMAIN_PAUSED_MIGRATION,
        )
        runs = libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_BOOTED
        for state, asked, mib in ((arrives, False, 0.0), (runs, True, 3.0)):
            domain = mock.Mock()
            domain.state.return_value = list(state)
            domain.blockInfo.return_value = [4 * _MIB, 3 * _MIB, 4 * _MIB]
            found = storage.local_mib(
                domain,
                dataclasses.replace(facts.WEB, disks=(_LOCAL,)),
                local=False,
            )
            self.assertEqual((mib, asked), (found, domain.blockInfo.called))
