import dataclasses
import unittest

import hypothesis
from hypothesis import strategies as st

from kvm_balancer.migration import request
from kvm_balancer.migration.options import scopes
from kvm_balancer.migration.options import strictness

_SAFE = {
    'auto_converge': st.booleans(),
    'auto_converge_initial_percent': st.integers(0, 99),
    'auto_converge_increment_percent': st.integers(0, 99),
    'max_throttle_percent': st.integers(0, 99),
    'post_copy': st.booleans(),
    'post_copy_by_instance': st.booleans(),
    'post_copy_patience': st.floats(1.0, 1000.0),
    'max_downtime_ms': st.integers(1, 2000),
    'bandwidth_mib_s': st.integers(0, 100),
    'time_limit_seconds': st.integers(0, 100),
    'tls': st.booleans(),
    'parallel_connections': st.integers(0, 4),
}
_OVERRIDES = st.fixed_dictionaries({}, optional=_SAFE)
_NAMES = ('a', 'b', 'c')
_SCOPES = st.builds(
    scopes.Scopes,
    zones=st.dictionaries(st.sampled_from(_NAMES), _OVERRIDES),
    aggregates=st.dictionaries(st.sampled_from(_NAMES), _OVERRIDES),
)
_PLACES = st.builds(
    scopes.Place,
    zone=st.sampled_from(('', *_NAMES)),
    aggregates=st.lists(st.sampled_from(_NAMES), unique=True).map(tuple),
)


def _options(**values):
    return dataclasses.replace(request.Options(), **values)


def _at(*aggregates, zone='', host=''):
    return scopes.Place(host, zone, aggregates)


class ScopesTest(unittest.TestCase):
    def test_who_is_narrower_has_the_say(self):
        found = scopes.Scopes(
            _options(max_downtime_ms=500),
            zones={'az1': {'max_downtime_ms': 300, 'tls': True}},
            aggregates={'ssd': {'max_downtime_ms': 900}},
        )
        for place, downtime_ms, tls in (
            (_at(), 500, False),
            (_at(zone='az2'), 500, False),
            (_at(zone='az1'), 300, True),
            (_at('ssd'), 900, False),
            (_at('ssd', zone='az1'), 900, True),
        ):
            with self.subTest(place=place):
                options = found.here(place)
                self.assertEqual(
                    (downtime_ms, tls), (options.max_downtime_ms, options.tls)
                )

    def test_the_stricter_aggregate_of_a_host_is_heeded(self):
        found = scopes.Scopes(
            aggregates={
                'a': {'max_throttle_percent': 60, 'parallel_connections': 2},
                'b': {'max_throttle_percent': 20, 'parallel_connections': 4},
            }
        )
        options = found.here(_at('b', 'a'))
        self.assertEqual(20, options.max_throttle_percent)
        # not a matter of safety: the first by name
        self.assertEqual(2, options.parallel_connections)

    def test_more_is_granted_where_both_ends_grant_it(self):
        found = scopes.Scopes(
            aggregates={'pc': {'post_copy': True}},
            zones={'calm': {'max_throttle_percent': 0}},
        )
        one, other = _at('pc', host='h1'), _at(host='h2')
        self.assertTrue(found.between(one, one).options.post_copy)
        for ends in ((one, other), (other, one)):
            resolved = found.between(*ends)
            self.assertFalse(resolved.options.post_copy)
            self.assertEqual(
                (
                    'post_copy stays false: aggregate pc of h1 says true, '
                    'the other end does not',
                ),
                resolved.changes,
            )

    def test_less_is_heeded_from_either_end_and_told(self):
        found = scopes.Scopes(aggregates={'db': {'max_downtime_ms': 50}})
        resolved = found.between(_at(host='h1'), _at('db', host='h2'))
        self.assertEqual(50, resolved.options.max_downtime_ms)
        self.assertEqual(
            (
                'max_downtime_ms is 50, as aggregate db of h2 says, and not '
                '500',
            ),
            resolved.changes,
        )

    def test_no_limit_and_no_method_are_told_as_that(self):
        said = {'time_limit_seconds': 60.0, 'compression': 'xbzrle'}
        found = scopes.Scopes(aggregates={'db': said})
        self.assertEqual(
            (
                'time_limit_seconds is 60.0, as aggregate db says, and not '
                'unlimited',
                'compression is xbzrle, as aggregate db says, and not none',
            ),
            found.between(_at('db'), _at()).changes,
        )

    def test_the_source_says_how_the_stream_is_carried(self):
        found = scopes.Scopes(
            aggregates={
                'fast': {'parallel_connections': 4},
                'thin': {'compression': 'xbzrle'},
            }
        )
        options = found.between(_at('fast'), _at('thin')).options
        self.assertEqual(
            (4, ''), (options.parallel_connections, options.compression)
        )

    @hypothesis.given(_SCOPES, _PLACES, _PLACES)
    def test_a_migration_is_never_less_strict_than_either_end(
        self, found, one, other
    ):
        """And who is asked first makes no difference to safety."""
        options = found.between(one, other).options
        back = found.between(other, one).options
        for name, stricter in strictness.STRICTER.items():
            value = getattr(options, name)
            self.assertEqual(value, getattr(back, name))
            for place in (one, other):
                here = getattr(found.here(place), name)
                self.assertEqual(value, stricter(value, here))

    @hypothesis.given(_SCOPES, _PLACES, _PLACES)
    def test_every_difference_is_told_in_a_line(self, found, one, other):
        resolved = found.between(one, other)
        for field in dataclasses.fields(request.Options):
            now = getattr(resolved.options, field.name)
            if now != getattr(found.defaults, field.name):
                said = strictness.said(field.name, now)
                self.assertTrue(
                    any(
                        line.startswith(f'{field.name} is {said}, as ')
                        for line in resolved.changes
                    )
                )
