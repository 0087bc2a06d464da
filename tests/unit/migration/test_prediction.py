import unittest

import hypothesis
from hypothesis import strategies as st
import numpy as np

from kvm_balancer.migration import prediction
from kvm_balancer.migration import request
from kvm_balancer.model import plan
from tests.unit.migration import memory

PLAIN = request.Options(auto_converge=False)
HYBRID = request.Options(auto_converge=False, post_copy=True)


def predict(dirty, working=None, options=PLAIN):
    """A guest of 1000 MiB over 100 MiB/s; 50 MiB fit the downtime."""
    return prediction.predict(1000.0, dirty, 100.0, working, options)


class TestFormulas(unittest.TestCase):
    def test_by_hand(self):
        table = (
            # dirty, working set, options, seconds, MiB, pause, mode
            (0.0, None, PLAIN, 10.0, 1000.0, 0.0, plan.Mode.PRE_COPY),
            (5.0, None, PLAIN, 10.5, 1050.0, 500.0, plan.Mode.PRE_COPY),
            (20.0, None, PLAIN, 12.4, 1240.0, 400.0, plan.Mode.PRE_COPY),
            (400.0, 40.0, PLAIN, 10.4, 1040.0, 400.0, plan.Mode.PRE_COPY),
            (400.0, None, HYBRID, 20.0, 2000.0, 0.0, plan.Mode.POST_COPY),
            (400.0, 300.0, HYBRID, 13.0, 1300.0, 0.0, plan.Mode.POST_COPY),
            (50.0, None, HYBRID, 19.375 + 0.0, None, None, plan.Mode.PRE_COPY),
        )
        for dirty, working, options, seconds, mib, pause, mode in table:
            found = predict(dirty, working, options)
            self.assertEqual(mode, found.mode)
            if mib is not None:
                self.assertAlmostEqual(seconds, found.seconds)
                self.assertAlmostEqual(mib, found.mib)
                self.assertAlmostEqual(
                    pause, found.downtime_ms - prediction.SWITCH_MS
                )

    def test_a_limit_of_the_bandwidth_is_the_bandwidth(self):
        found = predict(0.0, options=request.Options(bandwidth_mib_s=50))
        self.assertAlmostEqual(20.0, found.seconds)

    def test_without_bandwidth_nothing_arrives(self):
        columns = prediction.predict_columns(
            np.array([100.0]), np.array([1.0]), np.array([0.0]), None, HYBRID
        )
        self.assertFalse(columns.converges[0])
        self.assertFalse(columns.post_copy[0])
        self.assertEqual(np.inf, columns.seconds[0])

    def test_a_throttle_lets_more_guests_converge_and_takes_longer(self):
        throttled = request.Options(max_throttle_percent=99)
        columns = prediction.predict_columns(
            np.full(3, 1000.0),
            np.array([50.0, 200.0, 400.0]),
            np.full(3, 100.0),
            None,
            throttled,
        )
        self.assertTrue(columns.converges.all())
        self.assertTrue((np.diff(columns.seconds) > 0).all())

    def test_no_throttle_that_is_allowed_converges_nothing_more(self):
        for allowed in (0, 20):
            columns = prediction.predict_columns(
                np.array([1000.0]),
                np.array([400.0]),
                np.array([100.0]),
                None,
                request.Options(max_throttle_percent=allowed),
            )
            self.assertFalse(columns.converges[0], allowed)


class TestAgainstMemory(unittest.TestCase):
    @hypothesis.settings(max_examples=300, deadline=None)
    @hypothesis.given(
        st.floats(64, 65536),
        st.floats(10, 2000),
        st.floats(0.0, 0.95) | st.floats(1.05, 4.0),
        st.floats(0.01, 1.0),
    )
    def test_it_is_what_a_copy_by_passes_takes(
        self, size, bandwidth, ratio, share
    ):
        guest = memory.Guest(size, bandwidth, bandwidth * ratio, size * share)
        columns = prediction.predict_columns(
            np.array([guest.memory_mib]),
            np.array([guest.dirty_mib_s]),
            np.array([guest.bandwidth_mib_s]),
            np.array([guest.working_mib]),
            PLAIN,
        )
        limit = 1000 * size / bandwidth
        converges = memory.would_converge(guest, PLAIN, limit)
        self.assertEqual(converges, bool(columns.converges[0]))
        if converges:
            hypervisor = memory.Hypervisor(guest, PLAIN)
            hypervisor.copy()
            while hypervisor.pause_ms > PLAIN.max_downtime_ms:
                hypervisor.copy()
            took = hypervisor.now + hypervisor.pause_ms / 1000
            self.assertAlmostEqual(
                1.0, float(columns.seconds[0]) / took, delta=0.01
            )

    @hypothesis.settings(max_examples=100, deadline=None)
    @hypothesis.given(
        st.lists(
            st.tuples(st.floats(0, 1e5), st.floats(0, 1e4), st.floats(0, 1e4)),
            min_size=1,
            max_size=20,
        ),
        st.booleans(),
        st.booleans(),
    )
    def test_columns_say_what_single_rows_say(self, rows, throttle, post):
        options = request.Options(auto_converge=throttle, post_copy=post)
        memory_mib, dirty, bandwidth = (
            np.array(column) for column in zip(*rows, strict=True)
        )
        columns = prediction.predict_columns(
            memory_mib, dirty, bandwidth, None, options
        )
        self.assertFalse(np.isnan(columns.seconds).any())
        self.assertFalse(np.isnan(columns.downtime_ms).any())
        self.assertFalse(np.isnan(columns.mib).any())
        self.assertTrue((columns.seconds >= 0).all())
        for index, row in enumerate(rows):
            single = prediction.predict(*row, None, options)
            self.assertEqual(single.seconds, columns.seconds[index])
            self.assertEqual(single.mib, columns.mib[index])
