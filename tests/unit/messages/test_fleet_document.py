"""Fleets in and out of their public format."""

import json
import unittest

import hypothesis
import numpy as np

from kvm_balancer import errors
from kvm_balancer.messages import fleet_document
from kvm_balancer.model import fleet as columns
from tests.fixtures import fleets

_LEFT_OUT = object()


def document(**changes):
    """A document with two hosts, one instance and a group, and changes."""
    found = {
        'schema': 'kvm-balancer/fleet/1',
        'hosts': [
            {'name': 'a', 'cpus': 10, 'memory_mib': 65536},
            {'name': 'b', 'cpus': 10, 'memory_mib': 65536},
        ],
        'instances': [
            {
                'id': 'x',
                'host': 'a',
                'vcpus': 2,
                'memory_mib': 1024,
                'groups': ['g'],
            }
        ],
        'groups': [{'name': 'g', 'policy': 'anti-affinity'}],
    }
    for path, value in changes.items():
        *way, last = path.split('__')
        inner = found
        for key in way:
            inner = inner[int(key) if key.isdigit() else key]
        if value is _LEFT_OUT:
            del inner[last]
        else:
            inner[int(last) if last.isdigit() else last] = value
    return found


def decode(found):
    return fleet_document.decode(json.dumps(found))


class TestDecode(unittest.TestCase):
    """What is read, and what is refused with which words."""

    def test_what_an_instance_asks_of_its_migrations_is_kept(self):
        """JSON's own words become those of metadata, and back."""
        asked = {
            'post_copy': True,
            'max_downtime_ms': 50,
            'time_limit_seconds': 60.0,
            'compression': 'none',
        }
        text = json.dumps(document(instances__0__migration=asked))
        fleet = fleet_document.decode(text)
        self.assertEqual(
            (
                ('post_copy', 'true'),
                ('max_downtime_ms', '50'),
                ('time_limit_seconds', '60'),
                ('compression', 'none'),
            ),
            fleet.wishes[fleet.instances.wish[0]],
        )
        written = json.loads(fleet_document.encode(fleet))
        self.assertEqual(asked, written['instances'][0]['migration'])

    def test_the_required_fields_are_enough(self):
        fleet = decode(document())
        self.assertEqual(('a', 'b'), fleet.hosts.name)
        self.assertEqual(('x',), fleet.instances.name)
        self.assertEqual(16.0, fleet.hosts.cpu_allocation_ratio[0])
        self.assertEqual(1120.0, fleet.hosts.migration_mib_s[0])
        self.assertEqual(1024.0, fleet.instances.memory_usage_mib[0])
        self.assertTrue(fleet.instances.movable[0])

    def test_unknown_keys_are_ignored(self):
        fleet = decode(document(hosts__0___='a comment', news={'a': 1}))
        self.assertEqual(2, len(fleet.hosts))

    def test_times_states_and_policies_have_words(self):
        fleet = decode(
            document(
                taken_at='2026-11-23T03:00:00Z',
                hosts__0__state='draining',
                groups__0__policy='soft-affinity',
            )
        )
        self.assertEqual(1795402800.0, fleet.taken_at)
        self.assertEqual(columns.HostState.DRAINING, fleet.hosts.state[0])
        self.assertEqual(
            columns.GroupPolicy.SOFT_AFFINITY, fleet.groups.policy[0]
        )

    REFUSED = (
        (
            {'schema': 'kvm-balancer/plan/1'},
            "schema: is 'kvm-balancer/plan/1', must be 'kvm-balancer/fleet/1'",
        ),
        (
            {'hosts': _LEFT_OUT},
            'not a fleet document: Object missing required field `hosts`',
        ),
        (
            {'hosts__1__cpus': _LEFT_OUT},
            'hosts[1] b: Object missing required field `cpus`',
        ),
        (
            {'hosts__1__cpus': 'many'},
            'hosts[1] b: cpus: Expected `float`, got `str`',
        ),
        (
            {'hosts__1__cpus': 0},
            'hosts[1] b: cpus: is 0.0, must be a number, more than 0',
        ),
        (
            {'hosts__1__disk_gib': -1},
            'hosts[1] b: disk_gib: is -1.0, must be a number, 0 or more',
        ),
        (
            {'instances__0__cpu_usage': float('nan')},
            'instances[0] x: cpu_usage: is nan, must be a number, 0 or more',
        ),
        (
            {'instances__0__memory_usage_mib': float('inf')},
            'instances[0] x: memory_usage_mib: is inf, must be a number, '
            'at most 1e+15',
        ),
        (
            {'instances__0__host': 'c'},
            "instances[0] x: host: there is no host 'c'",
        ),
        (
            {'instances__0__groups': ['h']},
            "instances[0] x: groups: there is no group 'h'",
        ),
        (
            {'instances__0__movable': 1},
            'instances[0] x: movable: Expected `bool`, got `int`',
        ),
        ({'hosts__1__name': 'a'}, 'hosts[1] a: name: is there twice'),
        ({'hosts__1__name': ''}, 'hosts[1]: name: is empty'),
        (
            {'hosts__0__state': 'off'},
            "hosts[0] a: state: is 'off', must be one of enabled, disabled, "
            'draining',
        ),
        (
            {'hosts__0__memory_reserved_mib': 65536},
            'hosts[0] a: memory_reserved_mib: is 65536, and leaves nothing '
            'of 65536 MiB',
        ),
        (
            {'groups__0__policy': 'apart'},
            "groups[0] g: policy: is 'apart', must be one of affinity, "
            'anti-affinity, soft-affinity, soft-anti-affinity',
        ),
        (
            {'groups__0__max_per_host': 0},
            'groups[0] g: max_per_host: is 0, must be at least 1',
        ),
        (
            {'taken_at': 'yesterday'},
            "taken_at: is 'yesterday', must be a time such as "
            '2026-11-23T03:00:00Z',
        ),
        (
            {'hosts__0': None},
            'hosts[0]: Expected `object`, got `null`',
        ),
    )

    def test_what_is_wrong_is_named(self):
        for changes, text in self.REFUSED:
            with self.subTest(text):
                with self.assertRaises(errors.DocumentError) as caught:
                    decode(document(**changes))
                self.assertEqual(text, str(caught.exception))

    def test_what_is_no_json_is_refused(self):
        for text in (b'', b'{', b'[]', b'\xff\xfe', b'null'):
            with self.subTest(text), self.assertRaises(errors.DocumentError):
                fleet_document.decode(text)

    @hypothesis.settings(max_examples=200)
    @hypothesis.given(
        hypothesis.strategies.integers(0, 2000),
        hypothesis.strategies.binary(max_size=4),
    )
    def test_damage_is_refused_or_harmless(self, at, damage):
        text = json.dumps(document()).encode()
        try:
            fleet = fleet_document.decode(text[:at] + damage + text[at + 1 :])
        except errors.DocumentError as error:
            self.assertNotIn('\n', str(error))
        else:
            self.assertTrue(np.isfinite(fleet.cpu_load).all())


class TestRoundTrip(unittest.TestCase):
    """A fleet that was written is read back as it was."""

    @hypothesis.settings(max_examples=50)
    @hypothesis.given(fleets.small())
    def test_small_fleets(self, fleet):
        text = fleet_document.encode(fleet)
        again = fleet_document.decode(text)
        self.assertEqual(text, fleet_document.encode(again))
        self.assertEqual(fleet.instances.id, again.instances.id)
        for name in ('cpu_usage', 'memory_mib', 'host', 'movable'):
            self.assertEqual(
                getattr(fleet.instances, name).tolist(),
                getattr(again.instances, name).tolist(),
            )


if __name__ == '__main__':
    unittest.main()
