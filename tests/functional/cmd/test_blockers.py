"""What keeps an instance on its host, provoked on real libvirt and QEMU."""

import os
import subprocess
import unittest
import uuid

import libvirt
import msgspec

from tests.functional.cmd import checking
from tests.functional.libvirt import guests
from tests.functional.libvirt import hosts


class BlockersTest(unittest.TestCase):
    def setUp(self):
        self.ground = hosts.LibvirtGround()
        self.addCleanup(self.ground.close)

    def check(self, instance, *options):
        """Return the checks that failed, by name."""
        code, out, err = checking.check_only(
            self.ground, instance, '-f', 'json', *options
        )
        self.assertEqual('', err)
        found = {
            one['check']: one
            for one in msgspec.json.decode(out)
            if one['verdict'] == 'failed'
        }
        self.assertEqual(1 if found else 0, code)
        for one in found.values():
            self.assertTrue(one['reason'] and one['remedy'], one)
        return found

    def define(self, change):
        """Define, and do not start, a guest with a changed definition."""
        uid, xml = guests.definition(self.ground.lab.directory / 'calm.bin')
        handle = libvirt.open(self.ground.here.uri)
        self.addCleanup(handle.close)
        made = handle.defineXML(change(xml))
        self.addCleanup(made.undefine)
        return uid

    def test_a_snapshot_and_libvirt_refuses_it_too(self):
        path = self.ground.lab.directory / f'{uuid.uuid4()}.qcow2'
        subprocess.run(
            ['qemu-img', 'create', '-q', '-f', 'qcow2', path, '1M'],
            check=True,
        )
        uid = self.ground.start('calm', devices=_disk(path, 'qcow2'))
        domain = self.ground.domain(uid)
        taken = domain.snapshotCreateXML('<domainsnapshot/>')
        self.assertIn('snapshots', self.check(uid))
        with self.assertRaises(libvirt.libvirtError) as raised:
            domain.migrateToURI3(
                self.ground.there.uri,
                {},
                libvirt.VIR_MIGRATE_PEER2PEER | libvirt.VIR_MIGRATE_LIVE,
            )
        self.assertIn('snapshot', str(raised.exception))
        taken.delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)
        self.assertNotIn('snapshots', self.check(uid))

    def test_a_running_block_job(self):
        path = self.ground.lab.directory / f'{uuid.uuid4()}.img'
        path.write_bytes(bytes(64 * 2**20))
        uid = self.ground.start('calm', devices=_disk(path, 'raw'))
        domain = self.ground.domain(uid)
        copy = path.with_suffix('.copy')
        domain.blockCopy(
            'vda',
            f"<disk type='file'><source file='{copy}'/>"
            "<driver type='raw'/></disk>",
            {},
            libvirt.VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB,
        )
        self.addCleanup(copy.unlink, missing_ok=True)
        self.assertIn('block jobs', self.check(uid))
        domain.blockJobAbort('vda', 0)
        self.assertNotIn('block jobs', self.check(uid))

    def test_devices_of_the_host_and_directories_shared_with_it(self):
        uid = self.define(
            lambda xml: xml.replace(
                '</devices>',
                """
                <hostdev mode='subsystem' type='pci' managed='yes'><source>
                  <address domain='0' bus='6' slot='2' function='0'/>
                </source></hostdev>
                <filesystem type='mount'>
                  <source dir='/srv'/><target dir='srv'/>
                </filesystem></devices>""",
            )
        )
        found = self.check(uid)
        self.assertLessEqual({'state', 'devices', 'file systems'}, set(found))
        self.assertIn('pci', found['devices']['reason'])

    def test_a_cpu_that_the_destination_has_not(self):
        """And which of its features: no machine has this one any more."""
        uid = self.define(
            lambda xml: xml.replace("type='qemu'", "type='kvm'").replace(
                '</cpu>', "<feature policy='require' name='3dnow'/></cpu>"
            )
        )
        self.assertIn('3dnow', self.check(uid)['cpu']['reason'])

    def test_a_name_or_uuid_that_is_taken_there(self):
        uid = self.define(lambda xml: xml)
        name = self.ground.domain(uid).name()
        handle = libvirt.open(self.ground.there.uri)
        self.addCleanup(handle.close)
        for xml in (
            self.ground.domain(uid).XMLDesc().replace(uid, str(uuid.uuid4())),
            self.ground.domain(uid).XMLDesc().replace(name, f'{name}-too'),
        ):
            made = handle.defineXML(xml)
            found = self.check(uid)
            made.undefine()
            self.assertIn('identity', found)
            self.assertIn('already', found['identity']['reason'])
        self.assertNotIn('identity', self.check(uid))

    def test_a_bridge_that_the_destination_has_not(self):
        bridge = f'kb{os.getpid()}'
        link = ['ip', 'link', 'add', bridge, 'type', 'bridge']
        uid = self.define(
            lambda xml: xml.replace(
                '</devices>',
                f"""
                <interface type='bridge'><source bridge='{bridge}'/>
                </interface></devices>""",
            )
        )
        self.assertIn(bridge, self.check(uid)['networks']['reason'])
        self.ground.there.run(link)
        self.assertNotIn('networks', self.check(uid))

    def test_an_end_that_does_not_answer(self):
        """Nor is there: each is a check that failed, not an error."""
        uid = self.define(lambda xml: xml)
        nobody = 'qemu+tcp://127.0.0.1:1/system'
        for end, check in (
            ('--source', 'source'),
            ('--destination', 'destination'),
        ):
            found = self.check(uid, end, nobody)
            self.assertIn('does not answer', found[check]['reason'])
        found = self.check('nobody')
        self.assertIn('no instance', found['source']['reason'])

    def test_huge_pages_that_the_destination_has_not(self):
        uid = self.define(
            lambda xml: xml.replace(
                '<vcpu>',
                '<memoryBacking><hugepages/></memoryBacking><vcpu>',
            )
        )
        self.assertIn('hugepages', self.check(uid))

    def test_memory_that_the_destination_has_not(self):
        uid = self.define(
            lambda xml: xml.replace(
                "<memory unit='MiB'>64<", "<memory unit='TiB'>1<"
            )
        )
        self.assertIn('memory', self.check(uid))

    def test_a_source_whose_own_libvirt_does_not_reach_the_destination(self):
        """Even where this command reaches both."""
        uid = self.ground.calm()
        address = self.ground.there.address
        rule = ['blackhole', f'{address}/32']
        self.ground.here.run(['ip', 'route', 'add', *rule])
        self.addCleanup(self.ground.here.run, ['ip', 'route', 'del', *rule])
        found = self.check(uid)
        self.assertEqual({'path'}, set(found))
        self.assertIn('does not reach', found['path']['reason'])

    def test_disks_that_libvirt_itself_holds_for_local(self):
        """On a file system that both hosts see, and libvirt does not know."""
        place = self.ground.lab.directory / f'{uuid.uuid4()}'
        place.mkdir()
        path = place / 'web.raw'
        path.write_bytes(bytes(2**20))
        for host in (self.ground.here, self.ground.there):
            handle = libvirt.open(host.uri)
            self.addCleanup(handle.close)
            pool = handle.storagePoolCreateXML(
                f"<pool type='dir'><name>{place.name}</name>"
                f'<target><path>{place}</path></target></pool>'
            )
            self.addCleanup(pool.destroy)
        uid = self.ground.start('calm', devices=_disk(path, 'raw'))
        found = self.check(uid)
        self.assertEqual({'path'}, set(found))
        self.assertIn('unsafe', found['path']['reason'])
        self.assertIn('shared_filesystems', found['path']['remedy'])
        # an image that both have, over one of which no pool tells
        base = place / 'base' / 'web.raw'
        base.parent.mkdir()
        base.write_bytes(bytes(2**20))
        over = place / 'over.qcow2'
        subprocess.run(
            [
                *('qemu-img', 'create', '-q', '-f', 'qcow2'),
                *('-b', base, '-F', 'raw', over),
            ],
            check=True,
        )
        uid = self.ground.start('calm', devices=_disk(over, 'qcow2'))
        found = self.check(uid)
        self.assertEqual({'backing files'}, set(found))
        self.assertIn(str(base), found['backing files']['reason'])
        found = self.check(uid, '--trust-disk-paths')
        self.assertEqual({'path'}, set(found))


def _disk(path, kind):
    return f"""
    <disk type='file' device='disk'><driver name='qemu' type='{kind}'/>
      <source file='{path}'/><target dev='vda' bus='virtio'/>
    </disk>"""
