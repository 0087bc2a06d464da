import dataclasses
import unittest

import hypothesis
from hypothesis import strategies as st

from kvm_balancer import errors
from kvm_balancer.migration import request
from kvm_balancer.migration.options import wishes

#: option, ours, what the metadata asks for, what comes of it
CASES = (
    ('max_downtime_ms', 500, '100', 100),
    ('max_downtime_ms', 500, '5000', 500),
    ('max_throttle_percent', 99, ' 30 ', 30),
    ('max_throttle_percent', 20, '99', 20),
    ('auto_converge', True, 'false', False),
    ('auto_converge', False, 'true', False),
    ('auto_converge_initial_percent', 0, '5', 5),
    ('auto_converge_initial_percent', 0, '20', 0),
    ('auto_converge_initial_percent', 0, '50', 0),
    ('auto_converge_initial_percent', 50, '40', 40),
    ('auto_converge_initial_percent', 50, '0', 0),
    ('auto_converge_initial_percent', 10, '0', 10),
    ('auto_converge_increment_percent', 0, '5', 5),
    ('auto_converge_increment_percent', 0, '30', 0),
    ('auto_converge_increment_percent', 30, '0', 0),
    ('auto_converge_increment_percent', 5, '10', 5),
    ('post_copy', True, 'false', False),
    ('post_copy', False, 'true', False),
    ('post_copy', True, 'true', True),
    ('bandwidth_mib_s', 0, '100', 100),
    ('bandwidth_mib_s', 50, '100', 50),
    ('bandwidth_mib_s', 50, '0', 50),
    ('time_limit_seconds', 0.0, '60', 60.0),
    ('time_limit_seconds', 30.0, '60', 30.0),
    ('time_limit_seconds', 0.0, '0', 0.0),
    ('post_copy_patience', 1.05, '4', 4.0),
    ('post_copy_patience', 4.0, '1.5', 4.0),
    ('tls', False, 'true', True),
    ('tls', True, '0', True),
    ('copy_storage', False, 'true', False),
    ('copy_storage', True, 'false', False),
    ('storage_time_limit_seconds', 60.0, '0', 60),
    ('storage_time_limit_seconds', 0.0, '30', 30),
    ('storage_time_limit_seconds', 60.0, '30', 30),
    ('storage_time_limit_seconds', 30.0, '60', 30),
    ('keep_source_disks', False, 'true', True),
    ('keep_source_disks', True, 'false', True),
    ('parallel_connections', 2, '4', 4),
    ('parallel_connections', 2, '0', 0),
    ('compression', '', 'xbzrle', 'xbzrle'),
    ('compression', 'xbzrle', 'none', ''),
)

BAD = (
    ('max_downtime_ms', '0'),
    ('max_downtime_ms', '1.5'),
    ('max_downtime_ms', '-1'),
    ('max_downtime_ms', ''),
    ('max_throttle_percent', '100'),
    ('max_throttle_percent', '٣'),
    ('auto_converge_initial_percent', '100'),
    ('auto_converge_initial_percent', '-1'),
    ('auto_converge_increment_percent', '2.5'),
    ('auto_converge_increment_percent', 'slow'),
    ('time_limit_seconds', '-1'),
    ('time_limit_seconds', '1e3'),
    ('post_copy', 'maybe'),
    ('post_copy_patience', '0.9'),
    ('post_copy_patience', 'nan'),
    ('post_copy_patience', '1e9'),
    ('profile', 'drain'),
    ('post_copy_by_instance', 'true'),
)


class TestMerge(unittest.TestCase):
    def test_no_limit_and_no_method_are_told_as_that(self):
        for asked, expected in (
            (
                ('bandwidth_mib_s', '100'),
                'bandwidth_mib_s is 100, as its metadata asks, and not '
                'unlimited',
            ),
            (
                ('compression', 'xbzrle'),
                'compression is xbzrle, as its metadata asks, and not none',
            ),
            (
                ('auto_converge_initial_percent', '5'),
                'auto_converge_initial_percent is 5, as its metadata asks, '
                "and not the hypervisor's own",
            ),
        ):
            with self.subTest(asked=asked):
                merged = wishes.merge(request.Options(), (asked,))
                self.assertEqual((expected,), merged.changes)

    def test_the_stricter_wins_where_safety_is_concerned(self):
        for name, ours, text, expected in CASES:
            with self.subTest(name=name, ours=ours, text=text):
                options = request.Options(**{name: ours})
                merged = wishes.merge(options, ((name, text),))
                self.assertEqual(
                    dataclasses.replace(options, **{name: expected}),
                    merged.options,
                )

    def test_what_was_changed_or_not_granted_is_told(self):
        options = request.Options()
        told = (('max_downtime_ms', '100'), ('post_copy', 'true'))
        changed, refused = wishes.merge(options, told).changes
        self.assertIn('max_downtime_ms is 100', changed)
        self.assertIn('post_copy stays false', refused)
        self.assertIn('asks for true', refused)
        same = wishes.merge(options, (('max_downtime_ms', '500'),))
        self.assertEqual(wishes.Merged(options), same)

    def test_post_copy_is_the_operator_s_to_leave_to_instances(self):
        for by_instance, text, expected in (
            (True, 'true', True),
            (True, 'false', False),
            (False, 'true', False),
        ):
            options = request.Options(post_copy_by_instance=by_instance)
            merged = wishes.merge(options, (('post_copy', text),))
            self.assertEqual(expected, merged.options.post_copy)

    def test_what_is_not_understood_is_refused_in_one_line(self):
        for name, text in BAD:
            with self.subTest(name=name, text=text):
                with self.assertRaises(errors.MigrationError) as caught:
                    wishes.merge(request.Options(), ((name, text),))
                said = str(caught.exception)
                self.assertIn(name, said)
                self.assertEqual(1, len(said.splitlines()))

    def test_wishes_that_contradict_each_other_are_refused(self):
        name = 'max_downtime_ms'
        for texts, refused in (
            (('100', '200'), True),
            (('200', '100'), True),
            (('100', '100'), False),
        ):
            told = tuple((name, text) for text in texts)
            with self.subTest(texts=texts):
                if not refused:
                    wishes.merge(request.Options(), told)
                    continue
                with self.assertRaises(errors.MigrationError) as caught:
                    wishes.merge(request.Options(), told)
                self.assertIn(f'{name} twice', str(caught.exception))

    def test_every_wish_has_a_case_and_is_an_option(self):
        self.assertEqual(set(wishes.RULES), {case[0] for case in CASES})
        fields = {field.name for field in dataclasses.fields(request.Options)}
        self.assertLessEqual(set(wishes.RULES), fields)

    @hypothesis.given(
        st.builds(
            request.Options,
            max_downtime_ms=st.integers(1, 5000),
            max_throttle_percent=st.integers(0, 99),
            post_copy=st.booleans(),
            tls=st.booleans(),
        ),
        st.lists(
            st.sampled_from([(name, text) for name, _, text, _ in CASES]),
            unique_by=lambda wish: wish[0],
        ),
    )
    def test_no_wish_ever_takes_a_protection_away(self, options, told):
        merged = wishes.merge(options, tuple(told)).options
        self.assertLessEqual(merged.max_downtime_ms, options.max_downtime_ms)
        self.assertLessEqual(
            merged.max_throttle_percent, options.max_throttle_percent
        )
        self.assertLessEqual(merged.post_copy, options.post_copy)
        self.assertLessEqual(merged.auto_converge, options.auto_converge)
        self.assertGreaterEqual(merged.tls, options.tls)
