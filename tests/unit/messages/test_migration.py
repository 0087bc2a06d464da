"""Commands, progress and outcomes survive their way over the bus."""

import json
import unittest

from kvm_balancer import errors
from kvm_balancer.messages import migration as messages
from kvm_balancer.migration import events
from kvm_balancer.migration import request
from kvm_balancer.migration.lifecycle import states
from kvm_balancer.model import outcome
from kvm_balancer.model import plan

PREDICTION = plan.Prediction(
    *(2.0, 30.0, 2048.0, plan.Mode.POST_COPY),
    without_post_copy=plan.Prediction(9.0, 300.0, 8192.0),
)
REQUEST = request.Request(
    'm-1',
    'i-1',
    'host-1',
    'host-2',
    'qemu+tls://host-2/system',
    1000.0,
    options=request.Options(post_copy=True, profile=request.Profile.DRAIN),
    predicted=PREDICTION,
    plan_id='p-1',
)
OUTCOME = outcome.Outcome(
    'm-1',
    'i-1',
    'host-1',
    'host-2',
    outcome.OutcomeKind.COMPLETED,
    plan.Mode.PRE_COPY,
    'both ends agree',
    1000.0,
    1002.5,
    2500.0,
    None,
    2100.5,
    3,
    0,
    PREDICTION,
    (outcome.StoryLine(1000.0, 'requested', 'by plan p-1'),),
)
SETTLE = messages.Settle('m-1', True, 'ann at host-9: seen on host-3')
CANCEL = messages.Cancel('m-1', 'the operator said so')
PROGRESS = messages.Progress(
    'm-1',
    'i-1',
    'host-1',
    'host-2',
    1001.0,
    states.State.PRE_COPY,
    events.Statistics(remaining_mib=12.5, iteration=2),
    'second pass',
)

MESSAGES = (
    (messages.encode_request, messages.decode_request, REQUEST),
    (messages.encode_cancel, messages.decode_cancel, CANCEL),
    (messages.encode_settle, messages.decode_settle, SETTLE),
    (messages.encode_progress, messages.decode_progress, PROGRESS),
    (messages.encode_outcome, messages.decode_outcome, OUTCOME),
)


class TestMigrationMessages(unittest.TestCase):
    """What is sent comes back; what does not fit is refused."""

    def test_each_message_comes_back_through_json(self):
        """A payload is plain types, and is read to what was sent."""
        for encode, decode, noun in MESSAGES:
            with self.subTest(type(noun).__name__):
                payload = json.loads(json.dumps(encode(noun)))
                self.assertEqual(noun, decode(payload))

    def test_unknown_keys_and_minor_versions_are_read(self):
        """A later minor version adds keys, and no more."""
        for encode, decode, noun in MESSAGES:
            with self.subTest(type(noun).__name__):
                payload = encode(noun)
                payload['schema'] += '.3'
                payload['new'] = {'key': 1}
                self.assertEqual(noun, decode(payload))

    def test_another_major_version_is_refused(self):
        """The line names both versions."""
        for encode, decode, noun in MESSAGES:
            payload = encode(noun)
            wanted = payload['schema']
            payload['schema'] = wanted[:-1] + '2'
            with (
                self.subTest(type(noun).__name__),
                self.assertRaises(errors.DocumentError) as caught,
            ):
                decode(payload)
            self.assertIn(wanted, str(caught.exception))
            self.assertIn(payload['schema'], str(caught.exception))

    def test_what_names_nothing_is_refused(self):
        """One line that names the field."""
        table = (
            (messages.encode_cancel(CANCEL), messages.decode_cancel, 1),
            (messages.encode_settle(SETTLE), messages.decode_settle, 1),
            (messages.encode_request(REQUEST), messages.decode_request, 4),
        )
        fields = ('migration_id', 'instance', 'source', 'destination')
        for payload, decode, count in table:
            for field in fields[:count]:
                with (
                    self.subTest(payload['schema'], field=field),
                    self.assertRaisesRegex(
                        errors.DocumentError, f'{field} is empty'
                    ),
                ):
                    decode({**payload, field: ' '})
        self.assertEqual('m', messages.decode_id('m'))
        for wrong in ('', ' ', None, 7, ['m']):
            with self.assertRaisesRegex(errors.DocumentError, 'is not the id'):
                messages.decode_id(wrong)

    def test_damage_is_refused_on_one_line_that_names_the_field(self):
        """Missing, of another type, or not a number."""
        table = (
            ('total_ms', 'soon', 'total_ms'),
            ('total_ms', float('nan'), 'total_ms'),
            ('outcome', 'so-so', 'outcome'),
            ('predicted', {'seconds': float('inf')}, 'predicted.seconds'),
            ('story', [{'at': 1}], 'story'),
        )
        for key, value, words in table:
            payload = messages.encode_outcome(OUTCOME) | {key: value}
            with (
                self.subTest(key, value=value),
                self.assertRaises(errors.DocumentError) as caught,
            ):
                messages.decode_outcome(payload)
            self.assertIn(words, str(caught.exception))
            self.assertNotIn('\n', str(caught.exception))

    def test_what_is_no_object_is_refused(self):
        """A payload is an object."""
        for payload in (None, 7, 'x', [1]):
            with (
                self.subTest(payload=payload),
                self.assertRaises(errors.DocumentError),
            ):
                messages.decode_request(payload)
