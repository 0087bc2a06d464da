"""Samples are checked on receipt."""

import dataclasses
import json
import unittest

import hypothesis
from hypothesis import strategies

from kvm_balancer import errors
from kvm_balancer.messages import sample as messages
from kvm_balancer.model import refusal
from tests.unit.messages import readings

Cause = refusal.Cause


def damaged(path, value, host='host-1'):
    """Return the JSON of a sample with one key set otherwise, or gone."""
    plain = json.loads(messages.encode_sample(readings.reading(host=host)))
    place = plain
    *way, last = path.split('.')
    for key in way:
        place = place[key]
    if value is KeyError:
        del place[last]
    else:
        place[last] = value
    return json.dumps(plain).encode()


#: what is set, to what, the cause, and words of the line
REFUSALS = (
    ('schema', 'kvm-balancer/sample/2', Cause.SCHEMA, 'sample/2'),
    ('schema', 7, Cause.SCHEMA, '7'),
    ('schema', KeyError, Cause.SCHEMA, 'None'),
    ('host', '', Cause.ABSURD, 'host'),
    ('host', 'a\nb', Cause.ABSURD, 'host'),
    ('host', 'x' * 300, Cause.ABSURD, 'host'),
    ('host', 3, Cause.WRONG_TYPE, '$.host'),
    ('boot', 'x' * 5000, Cause.ABSURD, 'boot'),
    ('sequence', 0, Cause.NEGATIVE, 'sequence'),
    ('sequence', 'one', Cause.WRONG_TYPE, 'sequence'),
    ('sequence', 2**70, Cause.ABSURD, 'sequence'),
    ('taken_at', float('nan'), Cause.NOT_A_NUMBER, 'NaN'),
    ('taken_at', float('inf'), Cause.NOT_A_NUMBER, 'infinity'),
    ('taken_at', -5.0, Cause.NEGATIVE, 'taken_at'),
    ('taken_at', 1e12, Cause.ABSURD, 'taken_at'),
    ('interval_seconds', -1.0, Cause.NEGATIVE, 'interval_seconds'),
    ('facts.cpus', 0, Cause.ABSURD, 'facts.cpus'),
    ('facts.cpus', KeyError, Cause.WRONG_TYPE, 'cpus'),
    ('facts.memory_mib', -1, Cause.NEGATIVE, 'facts.memory_mib'),
    ('facts.memory_mib', 1e300, Cause.ABSURD, 'facts.memory_mib'),
    ('facts.max_incoming', -1, Cause.NEGATIVE, 'facts.max_incoming'),
    ('facts.state', 'on fire', Cause.WRONG_TYPE, 'facts.state'),
    ('facts.zone', 'z' * 5000, Cause.ABSURD, 'facts.zone'),
    ('facts.aggregates', ['a'] * 300, Cause.TOO_LARGE, 'facts.aggregates'),
    ('facts.aggregates', 'ssd', Cause.WRONG_TYPE, 'aggregates'),
    ('usage', KeyError, Cause.WRONG_TYPE, 'usage'),
    ('usage.cpu_usage', None, Cause.NOT_A_NUMBER, 'cpu_usage'),
    ('usage.cpu_overhead', -0.1, Cause.NEGATIVE, 'usage.cpu_overhead'),
    ('usage.pressure.cpu_some', -1, Cause.NEGATIVE, 'pressure.cpu_some'),
    ('instances.id', ['a'], Cause.UNEQUAL_COLUMNS, 'instances.name'),
    ('instances.id', ['a', 'a'], Cause.DUPLICATE_INSTANCE, "'a' twice"),
    ('instances.id', ['a', ''], Cause.ABSURD, 'empty'),
    ('instances.id', ['a', 'b' * 300], Cause.ABSURD, 'instances.id'),
    ('instances.cpu_usage', [1], Cause.UNEQUAL_COLUMNS, 'cpu_usage'),
    ('instances.cpu_usage', [1, -2], Cause.NEGATIVE, 'cpu_usage[1]'),
    ('instances.cpu_usage', [1, None], Cause.NOT_A_NUMBER, 'cpu_usage[1]'),
    ('instances.cpu_usage', [1, 'x'], Cause.WRONG_TYPE, 'cpu_usage[1]'),
    ('instances.vcpus', [1, 1e200], Cause.ABSURD, 'vcpus[1]'),
    ('instances.vcpus', [], Cause.UNEQUAL_COLUMNS, 'vcpus'),
    ('instances.asks', [[]], Cause.UNEQUAL_COLUMNS, 'instances.asks has 1'),
    ('instances.asks', [[], 'x'], Cause.WRONG_TYPE, 'asks[1]'),
    ('instances.asks', [[], [['a', 'b']] * 33], Cause.TOO_LARGE, 'asks[1]'),
    ('instances.asks', [[], [['a' * 2000, '']]], Cause.ABSURD, 'asks[1]'),
)


class TestDecode(unittest.TestCase):
    """What comes back, and what does not."""

    def test_a_sample_comes_back_as_it_was_sent(self):
        """What was encoded is decoded to the same."""
        sent = readings.reading(aggregates=('ssd', 'nvme'), zone='az1')
        body = messages.encode_sample(sent)
        self.assertEqual(sent, messages.decode_sample(body))

    def test_damage_is_refused_with_its_cause_and_names_host_and_field(self):
        """Each kind of damage has its cause and one line."""
        for path, value, cause, words in REFUSALS:
            with (
                self.subTest(path=path, value=str(value)[:40]),
                self.assertRaises(errors.SampleRefused) as caught,
            ):
                messages.decode_sample(damaged(path, value))
            refused = caught.exception
            self.assertEqual(cause, refused.cause)
            self.assertIn(words, str(refused))
            self.assertNotIn('\n', str(refused))
            self.assertLess(len(str(refused)), 400)
            if path != 'host':
                self.assertIn('host-1', str(refused))

    def test_what_is_no_json_is_malformed(self):
        """Noise has a cause as well."""
        for body in (b'', b'\xff\xfe', b'{"host": ', b'[1]', b'"x"', b'null'):
            with (
                self.subTest(body=body),
                self.assertRaises(errors.SampleRefused) as caught,
            ):
                messages.decode_sample(body)
            self.assertEqual(Cause.MALFORMED, caught.exception.cause)

    def test_deep_nesting_is_refused(self):
        """A body made to exhaust the stack does not."""
        with self.assertRaises(errors.SampleRefused):
            messages.decode_sample(b'[' * 100_000)

    def test_a_huge_body_is_refused_unread(self):
        """A body beyond the limit is not even parsed."""
        with self.assertRaises(errors.SampleRefused) as caught:
            messages.decode_sample(b' ' * 5_000_000)
        self.assertEqual(Cause.TOO_LARGE, caught.exception.cause)

    def test_a_later_minor_version_is_read(self):
        """Unknown keys and a minor version are no damage."""
        plain = json.loads(damaged('schema', 'kvm-balancer/sample/1.7'))
        plain['mood'] = 'fine'
        plain['facts']['colour'] = 'red'
        plain['instances']['happiness'] = [1, 2]
        body = json.dumps(plain).encode()
        self.assertEqual(readings.reading(), messages.decode_sample(body))

    def test_columns_that_an_older_sender_lacks_are_zero(self):
        """Optional columns may be left out."""
        read = messages.decode_sample(
            damaged('instances.dirty_rate_mib_s', KeyError)
        )
        self.assertEqual((0.0, 0.0), read.instances.dirty_rate_mib_s)

    def test_unknown_words_are_read_as_the_careful_ones(self):
        """An unknown state or owner counts as load and is never moved."""
        read = messages.decode_sample(
            damaged('instances.state', ['running', 'dreaming'])
        )
        self.assertEqual(('running', 'other'), read.instances.state)
        read = messages.decode_sample(
            damaged('instances.owner', ['martian', 'nova'])
        )
        self.assertEqual(('none', 'nova'), read.instances.owner)

    def test_why_instances_are_nobodys_travels_where_it_is_told(self):
        """An older sender leaves it out; a later one may have other words."""
        self.assertEqual(
            (),
            messages.decode_sample(
                damaged('instances.withheld', KeyError)
            ).instances.withheld,
        )
        for sent, read in (
            (['host', ''], ('host', '')),
            (['name', 'martian'], ('name', '')),
        ):
            body = damaged('instances.withheld', sent)
            self.assertEqual(
                read, messages.decode_sample(body).instances.withheld
            )
        with self.assertRaises(errors.SampleRefused) as caught:
            messages.decode_sample(damaged('instances.withheld', ['host']))
        self.assertEqual(Cause.UNEQUAL_COLUMNS, caught.exception.cause)

    @hypothesis.given(strategies.data())
    def test_flipped_bytes_never_raise_anything_else(self, data):
        """Whatever happens to the bytes: a sample, or SampleRefused."""
        body = bytearray(messages.encode_sample(readings.reading()))
        for _ in range(data.draw(strategies.integers(1, 4))):
            place = data.draw(strategies.integers(0, len(body) - 1))
            body[place] = data.draw(strategies.integers(0, 255))
        try:
            read = messages.decode_sample(bytes(body))
        except errors.SampleRefused as refused:
            self.assertIn(refused.cause, list(Cause))
            self.assertNotIn('\n', str(refused))
            return
        *columns, asks, withheld = dataclasses.astuple(read.instances)
        self.assertEqual(1, len({len(column) for column in columns}))
        for column in (asks, withheld):
            self.assertIn(len(column), (0, len(read.instances.id)))
