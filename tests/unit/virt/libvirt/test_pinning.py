"""What a domain is pinned to is read, and held against a destination."""

import unittest

from kvm_balancer.migration import events
from kvm_balancer.virt.libvirt import documents
from kvm_balancer.virt.libvirt import failures
from kvm_balancer.virt.libvirt import pinning

_Verdict = events.Verdict

_NUMA = """
<capabilities><host><topology><cells num='2'>
  <cell id='0'><cpus num='1'><cpu id='0'/></cpus></cell>
  <cell id='2'><cpus num='1'><cpu id='1'/></cpus></cell>
</cells></topology></host></capabilities>"""


def _pins(xml):
    return documents.read_domain(f'<domain>{xml}</domain>').pins


class _There:
    """A destination of which some CPUs are online."""

    def __init__(self, online):
        self._online = online

    def call(self, function):
        if self._online is None:
            raise failures.Refused('not here', 3, 10)
        return function(self)

    def getCPUMap(self):
        online = [one in self._online for one in range(8)]
        return len(online), online, sum(online)


class ReadTest(unittest.TestCase):
    def test_cpus_of_the_host_wherever_they_are_named(self):
        table = (
            ("<vcpu placement='static'>2</vcpu>", set()),
            ("<vcpu cpuset='0-3,^2,8'>2</vcpu>", {0, 1, 3, 8}),
            ("<cputune><vcpupin vcpu='0' cpuset='4'/></cputune>", {4}),
            ("<cputune><emulatorpin cpuset='5-6'/></cputune>", {5, 6}),
            (
                '<cputune><iothreadpin iothread="1" cpuset="7"/>'
                "<vcpupin vcpu='1' cpuset='7'/></cputune>",
                {7},
            ),
        )
        for xml, expected in table:
            with self.subTest(xml):
                self.assertEqual(pinning.Pins(frozenset(expected)), _pins(xml))

    def test_nodes_of_the_host_and_not_cells_of_its_own(self):
        table = (
            ("<numatune><memory mode='strict' placement='auto'/>", set()),
            ("<numatune><memory mode='strict' nodeset='0-1'/>", {0, 1}),
            ("<numatune><memnode cellid='0' nodeset='3'/>", {3}),
        )
        for xml, expected in table:
            with self.subTest(xml):
                found = _pins(f'{xml}</numatune>')
                self.assertEqual(expected, found.nodes)
        found = _pins("""
            <memoryBacking><hugepages><page size='2' nodeset='5'/></hugepages>
            </memoryBacking><devices><memory model='dimm'>
            <source><nodemask>1-2</nodemask></source></memory></devices>""")
        self.assertEqual({1, 2}, found.nodes)

    def test_nodes_of_a_host(self):
        self.assertEqual((0, 2), documents.read_capabilities(_NUMA).nodes)


class CheckTest(unittest.TestCase):
    def check(self, pins, online=(0, 1, 2, 3), nodes=(0, 1)):
        return pinning.checks(_There(online), pins, nodes)

    def test_one_that_is_pinned_to_nothing_is_not_asked_about(self):
        self.assertEqual([], self.check(pinning.Pins(), online=None))

    def test_the_destination_has_all_of_it_or_it_does_not_go(self):
        table = (
            ({0, 3}, {1}, _Verdict.PASSED, ''),
            ({0, 4}, (), _Verdict.FAILED, 'CPU 4 online'),
            ({3, 5, 6, 7, 9}, (), _Verdict.FAILED, 'CPU 5-7, 9 online'),
            ((), {1, 2}, _Verdict.FAILED, 'NUMA node 2'),
            ({5}, {2}, _Verdict.FAILED, 'CPU 5 online, NUMA node 2'),
        )
        for cpus, nodes, verdict, reason in table:
            with self.subTest(cpus=cpus, nodes=nodes):
                pins = pinning.Pins(frozenset(cpus), frozenset(nodes))
                (found,) = self.check(pins)
                self.assertEqual(verdict, found.verdict)
                self.assertTrue(found.reason.endswith(reason), found)
                self.assertEqual(bool(reason), bool(found.remedy))

    def test_what_is_not_told_is_not_known_and_hides_no_failure(self):
        cpus, both = frozenset({0}), pinning.Pins(frozenset({0}), {9})
        for pins, online, nodes, verdict in (
            (pinning.Pins(cpus), None, (0,), _Verdict.UNKNOWN),
            (pinning.Pins(nodes=cpus), (0,), (), _Verdict.UNKNOWN),
            (both, None, (0,), _Verdict.FAILED),
        ):
            with self.subTest(pins=pins):
                (found,) = self.check(pins, online, nodes)
                self.assertEqual(verdict, found.verdict)
                self.assertTrue(found.reason and found.remedy)
