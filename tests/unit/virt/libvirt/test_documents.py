import unittest

from kvm_balancer.virt.libvirt import backing
from kvm_balancer.virt.libvirt import documents

_DOMAIN = """
<domain type='kvm' id='7'>
  <name>web-1</name>
  <uuid>bdf1e3bf-ce17-40ca-8b24-16c0f93ed9bf</uuid>
  <metadata>{metadata}</metadata>
  <memory unit='KiB'>2097152</memory>
  <vcpu placement='static' current='2'>4</vcpu>
  <sysinfo type='smbios'><system>
    <entry name='manufacturer'>OpenStack Foundation</entry>
    <entry name='product'>{product}</entry>
  </system></sysinfo>
  <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>
  <cpu mode='custom'><model>Skylake-Server</model></cpu>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <source file='/srv/web.img'/><target dev='vda'/>
    </disk>
    <disk type='network' device='disk'>
      <source protocol='rbd' name='pool/web'/><target dev='vdb'/>
    </disk>
    <disk type='block' device='disk'>
      <source dev='/dev/sdb'/><target dev='vdc'/><shareable/>
    </disk>
    <disk type='file' device='cdrom'><target dev='sda'/><readonly/></disk>
    <interface type='bridge'><source bridge='br0'/></interface>
    <interface type='hostdev'><source/></interface>
    <hostdev mode='subsystem' type='pci'/>
    <filesystem type='mount'><target dir='share'/></filesystem>
  </devices>
</domain>
"""


def _domain(metadata='', product=''):
    return documents.read_domain(
        _DOMAIN.format(metadata=metadata, product=product)
    )


class ReadDomainTest(unittest.TestCase):
    def test_what_a_domain_is_made_of(self):
        facts = _domain()
        self.assertEqual('web-1', facts.name)
        self.assertEqual('bdf1e3bf-ce17-40ca-8b24-16c0f93ed9bf', facts.uuid)
        self.assertEqual('kvm', facts.virt_type)
        self.assertEqual(('x86_64', 'pc-q35-7.2'), (facts.arch, facts.machine))
        self.assertEqual(2.0, facts.vcpus)
        self.assertEqual(2048.0, facts.memory_mib)
        self.assertIn('Skylake-Server', facts.cpu)
        self.assertEqual(('br0',), facts.bridges)
        self.assertEqual(
            ('pci subsystem', 'hostdev interface'), facts.pass_through
        )
        self.assertEqual(('share',), facts.file_systems)
        self.assertEqual(
            (
                documents.Disk('vda', 'file', '/srv/web.img'),
                documents.Disk('vdb', 'network', 'pool/web'),
                documents.Disk('vdc', 'block', '/dev/sdb', shareable=True),
                documents.Disk('sda', 'file', '', read_only=True),
            ),
            facts.disks,
        )

    def test_wishes_stand_in_metadata_of_our_own(self):
        ours = 'https://kvm-balancer.org/xmlns/1'
        wish = '<{}post_copy> false </{}post_copy><!-- why -->'
        cases = (
            (
                f'<instance xmlns="{ours}"><migration>'
                f'{wish.format("", "")}</migration></instance>'
            ),
            (
                f'<b:instance xmlns:b="{ours}"><b:migration>'
                f'{wish.format("b:", "b:")}</b:migration></b:instance>'
            ),
        )
        for metadata in cases:
            with self.subTest(metadata):
                self.assertEqual(
                    (('post_copy', 'false'),), _domain(metadata).asks
                )
        other = '<x xmlns="urn:x"><migration><a/></migration></x>'
        self.assertEqual((), _domain(other).asks)

    def test_of_several_words_one_that_declines_is_enough(self):
        ours = 'https://kvm-balancer.org/xmlns/1'
        for words, consent in (
            (('true',), True),
            (('true', 'false'), False),
            (('false', 'true'), False),
            ((), None),
        ):
            said = ''.join(f'<manage>{one}</manage>' for one in words)
            facts = _domain(f'<instance xmlns="{ours}">{said}</instance>')
            with self.subTest(words):
                self.assertIs(consent, facts.marks.consent)

    def test_networks_are_told_from_bridges(self):
        facts = documents.read_domain(
            """<domain><devices>
            <interface type='network'>
              <source network='default' bridge='virbr0'/></interface>
            <interface type='bridge'><source bridge='br0'/></interface>
            <interface type='direct'><source dev='eth1'/></interface>
            </devices></domain>"""
        )
        self.assertEqual(('br0', 'eth1'), facts.bridges)
        self.assertEqual(('default',), facts.networks)

    def test_every_image_that_a_disk_is_laid_over(self):
        found = documents.read_domain(
            "<domain><devices><disk type='network'>"
            "<driver type='qcow2'/><source protocol='rbd' name='pool/x'/>"
            "<backingStore type='file'><format type='qcow2'/>"
            "<source file='/base/web.qcow2'/>"
            "<backingStore type='block'><format type='raw'/>"
            "<source dev='/dev/vg/base'/><backingStore/></backingStore>"
            "</backingStore><target dev='vda'/></disk>"
            "<disk type='volume'><source pool='images' volume='y'/>"
            "<target dev='vdb'/></disk></devices></domain>"
        )
        base = documents.Backing('block', '/dev/vg/base', 'raw')
        over = documents.Backing('file', '/base/web.qcow2', 'qcow2', base)
        disk, volume = found.disks
        self.assertEqual(over, disk.backing)
        self.assertEqual(('images', 'y'), (volume.pool, volume.source))

    def test_what_its_memory_is_made_of(self):
        huge = "<hugepages><page size='2' unit='MiB'{}/></hugepages>"
        nvdimm = "<devices><memory model='nvdimm'/></devices>"
        cases = (
            ('', '', backing.Backing()),
            ('<hugepages/>', '', backing.Backing(huge=True)),
            (huge.format(''), '', backing.Backing(True, (2048,))),
            (
                huge.format(" nodeset='0'"),
                '',
                backing.Backing(True, (2048,), partial=True),
            ),
            ("<source type='file'/>", '', backing.Backing(file=True)),
            ("<source type='memfd'/>", '', backing.Backing()),
            ('', nvdimm, backing.Backing(persistent=True)),
        )
        for memory, devices, expected in cases:
            with self.subTest(memory=memory, devices=devices):
                facts = documents.read_domain(
                    f'<domain><memoryBacking>{memory}</memoryBacking>'
                    f'{devices}</domain>'
                )
                self.assertEqual(expected, facts.memory)

    def test_what_libvirt_keeps_on_its_host(self):
        cpu = "<cpu><feature policy='require' name='invtsc'/></cpu>"
        clock = "<clock><timer name='tsc' frequency='2000000'/></clock>"
        video = (
            "<devices><video><model type='virtio'>"
            "<acceleration accel3d='{}'/></model></video></devices>"
        )
        shmem = "<devices><shmem name='a' role='{}'/></devices>"
        cases = (
            ('', 0),
            (cpu, 1),
            (cpu + clock, 0),
            (shmem.format('peer'), 1),
            (shmem.format('master'), 0),
            ('<devices><disk><transient/></disk></devices>', 1),
            ("<launchSecurity type='sev'/>", 1),
            ("<devices><memory model='virtio-pmem'/></devices>", 1),
            ("<devices><memory model='dimm'/></devices>", 0),
            (video.format('yes'), 1),
            (video.format('no'), 0),
            ("<features><hyperv mode='passthrough'/></features>", 1),
            ("<features><hyperv mode='custom'/></features>", 0),
        )
        for text, expected in cases:
            with self.subTest(text):
                facts = documents.read_domain(f'<domain>{text}</domain>')
                self.assertEqual(expected, len(facts.bound))

    def test_devices_of_the_host_that_it_holds(self):
        tpm = "<tpm model='tpm-tis'><backend type='{}'>{}</backend></tpm>"
        device = "<device path='/dev/tpm0'/>"
        cases = (
            ("<hostdev mode='subsystem' type='pci'/>", ('pci subsystem',)),
            ("<interface type='hostdev'/>", ('hostdev interface',)),
            ("<interface type='vdpa'/>", ('vdpa interface',)),
            ("<interface type='bridge'/>", ()),
            (tpm.format('passthrough', device), ('TPM /dev/tpm0',)),
            (tpm.format('emulator', ''), ()),
            ("<smartcard mode='host'/>", ('smartcard host',)),
            ("<smartcard mode='passthrough' type='spicevmc'/>", ()),
        )
        for text, expected in cases:
            with self.subTest(text):
                facts = documents.read_domain(
                    f'<domain><devices>{text}</devices></domain>'
                )
                self.assertEqual(expected, facts.pass_through)

    def test_memory_in_any_unit_of_libvirt(self):
        for unit, expected in (
            ('KiB', 1.0),
            ('MiB', 1024.0),
            ('M', 1024.0),
            ('GiB', 1024.0**2),
            ('b', 1 / 1024),
        ):
            text = f"<domain><memory unit='{unit}'>1024</memory></domain>"
            with self.subTest(unit):
                facts = documents.read_domain(text)
                self.assertEqual(expected, facts.memory_mib)

    def test_marks_of_owners(self):
        nova = 'http://openstack.org/xmlns/libvirt/nova'
        ours = 'https://kvm-balancer.org/xmlns/1'
        cases = (
            ('', '', (False, None)),
            (f'<n:instance xmlns:n="{nova}/1.1"/>', '', (True, None)),
            (f'<n:instance xmlns:n="{nova}/2.0"/>', '', (True, None)),
            (
                f'<x xmlns="urn:x"><y xmlns="{nova}/1.0"/></x>',
                '',
                (True, None),
            ),
            (
                f'<instance xmlns="{ours}"><manage>true</manage></instance>',
                '',
                (False, True),
            ),
            (
                f'<instance xmlns="{ours}"><manage> No </manage></instance>',
                '',
                (False, False),
            ),
            ('<manage>true</manage>', '', (False, None)),
        )
        for metadata, product, expected in cases:
            with self.subTest(metadata):
                marks = _domain(metadata, product).marks
                self.assertEqual(expected, (marks.nova, marks.consent))

    def test_product_of_the_smbios(self):
        self.assertEqual(
            'OpenStack Nova', _domain(product='OpenStack Nova').marks.product
        )


class ReadCapabilitiesTest(unittest.TestCase):
    def test_host_and_its_cpu(self):
        found = documents.read_capabilities(
            '<capabilities><host><uuid>u</uuid><cpu><arch>x86_64</arch>'
            '<model>EPYC</model></cpu></host></capabilities>'
        )
        self.assertEqual(('u', 'EPYC'), (found.uuid, found.cpu_model))
        self.assertTrue(found.cpu.startswith('<cpu><arch>'), found.cpu)
