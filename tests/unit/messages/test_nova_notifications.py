"""Nova's notifications, as a real Nova sent them."""

import contextlib
import json
import pathlib
import unittest

import hypothesis
from hypothesis import strategies

from kvm_balancer import errors
from kvm_balancer.messages import nova_notifications as notifications

SAMPLES = pathlib.Path(__file__).resolve().parents[2] / 'data' / 'nova'
JSON = strategies.recursive(
    strategies.none()
    | strategies.booleans()
    | strategies.floats()
    | strategies.text(max_size=5),
    lambda inner: (
        strategies.lists(inner, max_size=3)
        | strategies.dictionaries(
            strategies.sampled_from(
                (
                    'nova_object.data',
                    'host',
                    'metrics',
                    'name',
                    'value',
                    'uuid',
                )
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def read(name):
    document = json.loads((SAMPLES / f'{name}.json').read_text())
    return notifications.read(
        document['event_type'],
        document['payload'],
        document['metadata']['timestamp'],
    )


class DecodeTest(unittest.TestCase):
    def test_with_an_envelope_and_without_it_is_the_same(self):
        plain = {
            'event_type': 'instance.lock',
            'payload': {'nova_object.data': {'uuid': 'u1'}},
        }
        wrapped = {'oslo.version': '2.0', 'oslo.message': json.dumps(plain)}
        for document in (plain, wrapped):
            self.assertEqual(
                notifications.ServerChanged('u1'),
                notifications.decode(json.dumps(document).encode()),
            )

    @hypothesis.given(
        strategies.binary(max_size=20)
        | JSON.map(lambda found: json.dumps(found).encode())
        | strategies.text(max_size=20).map(
            lambda text: json.dumps({'oslo.message': text}).encode()
        )
    )
    def test_whatever_comes_is_read_or_refused(self, body):
        with contextlib.suppress(errors.DocumentError):
            notifications.decode(body)


class ReadTest(unittest.TestCase):
    def test_both_formats_tell_the_same_of_a_host(self):
        """One tells percents, the other shares of one."""
        versioned = read('versioned.metrics.update')
        legacy = read('legacy.compute.metrics.update')
        self.assertEqual('cmp2', versioned.host)
        self.assertEqual('cmp2', legacy.host)
        self.assertAlmostEqual(
            versioned.cpu_share, legacy.cpu_share, delta=0.01
        )
        self.assertLess(abs(versioned.at - legacy.at), 2.0)

    def test_news_of_servers_names_them(self):
        for name in (
            'versioned.instance.update',
            'legacy.compute.instance.live_migration.post.dest.end',
            'versioned.instance.live_migration_post_dest.end',
        ):
            with self.subTest(name):
                found = read(name)
                self.assertIsInstance(found, notifications.ServerChanged)
                self.assertEqual(36, len(found.id))

    def test_news_of_services_is_news(self):
        self.assertEqual(
            notifications.ComputesChanged(), read('versioned.service.update')
        )

    def test_kinds_are_told_by_their_names(self):
        data = {'nova_object.data': {'uuid': 'vm'}}
        for event, payload, wanted in (
            ('aggregate.add_host.end', {}, notifications.AggregatesChanged()),
            (
                'server_group.add_member',
                {},
                notifications.GroupsChanged(),
            ),
            ('servergroup.delete', {}, notifications.GroupsChanged()),
            ('instance.delete.end', data, notifications.ServerChanged('vm')),
            ('instance.delete.start', data, None),
            ('instance.exists', data, None),
            ('volume.usage', data, None),
            ('instance.update', {}, None),
            ('instance.update', 'no object', None),
        ):
            with self.subTest(event):
                self.assertEqual(wanted, notifications.read(event, payload))

    def test_a_share_that_cannot_be_is_missing_and_not_zero(self):
        for value in (None, 'x', -1.0, 101.0, float('nan')):
            with self.subTest(value=value):
                found = notifications.read(
                    'metrics.update',
                    {
                        'nova_object.data': {
                            'host': 'h',
                            'metrics': [
                                {
                                    'nova_object.data': {
                                        'name': 'cpu.percent',
                                        'value': value,
                                    }
                                }
                            ],
                        }
                    },
                )
                self.assertIsNone(found.cpu_share)

    @hypothesis.given(
        strategies.sampled_from(
            (
                'metrics.update',
                'compute.metrics.update',
                'instance.update',
                'compute.instance.update',
            )
        ),
        JSON,
    )
    def test_rubbish_does_no_harm(self, event, payload):
        notifications.read(event, payload, 'rubbish')
