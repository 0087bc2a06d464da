"""Samples on the wire: JSON bytes, the instances as columns.

What cannot be read is refused with a cause under which it is counted and one
line that names host and field; what was read is checked in
:mod:`.sample_checks`.
"""

import json

import msgspec

from kvm_balancer import errors
from kvm_balancer.messages import sample_checks
from kvm_balancer.messages import schema
from kvm_balancer.model import refusal
from kvm_balancer.model import sample

SCHEMA = 'kvm-balancer/sample/1'

#: Far above what 4,000 instances on one host need.
_MAX_BYTES = 4 * 1024 * 1024


class _Wire(msgspec.Struct, frozen=True, gc=False):
    """The keys of the JSON object."""

    schema: str
    host: str
    boot: str
    sequence: int
    taken_at: float
    interval_seconds: float
    facts: sample.HostFacts
    usage: sample.HostUsage
    instances: sample.InstanceUsages = sample.InstanceUsages()


_decoder = msgspec.json.Decoder(_Wire)


def encode_sample(reading: sample.Sample) -> bytes:
    """Return *reading* as the JSON that travels."""
    return msgspec.json.encode(
        _Wire(
            SCHEMA,
            reading.host,
            reading.boot,
            reading.sequence,
            reading.taken_at,
            reading.interval_seconds,
            reading.facts,
            reading.usage,
            reading.instances,
        )
    )


def decode_sample(body: bytes) -> sample.Sample:
    """Read a sample, and make sure that it can be counted with.

    :raises SampleRefused: with a cause of :class:`.refusal.Cause` and one
        line that names host and field
    """
    if len(body) > _MAX_BYTES:
        raise sample_checks.refused(
            refusal.Cause.TOO_LARGE,
            '',
            f'{len(body)} bytes, at most {_MAX_BYTES} are taken',
        )
    try:
        wire = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _explain(body, str(error)) from None
    if not schema.fits(wire.schema, SCHEMA):
        raise _wrong_schema(wire.schema, wire.host)
    return sample_checks.checked(
        sample.Sample(
            wire.host,
            wire.boot,
            wire.sequence,
            wire.taken_at,
            wire.interval_seconds,
            wire.facts,
            wire.usage,
            wire.instances,
        )
    )


def _wrong_schema(found: object, host: str) -> errors.SampleRefused:
    return sample_checks.refused(
        refusal.Cause.SCHEMA,
        host,
        f'schema {schema.brief(found)}, expected {SCHEMA}: the executor may '
        'be of another release',
    )


def _explain(body: bytes, error: str) -> errors.SampleRefused:
    """Find out what a body that could not be read is; speed is no matter.

    Python's reader takes NaN and Infinity, and so can tell who sent them.
    """
    try:
        plain = json.loads(body)
    except (ValueError, RecursionError):
        return sample_checks.refused(refusal.Cause.MALFORMED, '', error)
    if not isinstance(plain, dict):
        return sample_checks.refused(refusal.Cause.MALFORMED, '', error)
    host = plain.get('host')
    host = host if isinstance(host, str) else ''
    if not schema.fits(plain.get('schema'), SCHEMA):
        return _wrong_schema(plain.get('schema'), host)
    if 'malformed' in error:
        return sample_checks.refused(
            refusal.Cause.NOT_A_NUMBER, host, 'holds NaN or an infinity'
        )
    if 'out of range' in error:
        return sample_checks.refused(refusal.Cause.ABSURD, host, error)
    if 'Expected `float`, got `null`' in error:
        return sample_checks.refused(refusal.Cause.NOT_A_NUMBER, host, error)
    return sample_checks.refused(refusal.Cause.WRONG_TYPE, host, error)
