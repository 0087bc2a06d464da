import unittest

import hypothesis
from hypothesis import strategies as st
import numpy as np

from kvm_balancer.migration.foresight import flow


def column(*values):
    return np.array(values, np.float64)


#: 100 MiB/s for 2 s, 50 MiB/s for 3 s, and 200 or none from then on
CHANGING = flow.Flow.of(
    (column(100, 100), column(50, 50), column(200, 0)), (2.0, 5.0)
)

_bandwidth = st.one_of(st.just(0.0), st.floats(0.1, 1000.0))


@st.composite
def _flows(draw):
    lasts = draw(st.lists(st.floats(0.1, 10.0), max_size=4))
    return flow.Flow.of(
        [column(draw(_bandwidth)) for _ in range(len(lasts) + 1)],
        np.cumsum(lasts).tolist(),
    )


class TestByHand(unittest.TestCase):
    def test_pieces_follow_each_other(self):
        for seconds, bandwidth, carried in (
            (0.0, 100.0, 0.0),
            (1.0, 100.0, 100.0),
            (2.0, 50.0, 200.0),
            (4.0, 50.0, 300.0),
            (6.0, 200.0, 550.0),
        ):
            at = column(seconds, seconds)
            with self.subTest(seconds):
                self.assertEqual(bandwidth, CHANGING.at(at)[0])
                self.assertEqual(carried, CHANGING.carried_mib(at)[0])
                self.assertAlmostEqual(
                    seconds, CHANGING.seconds(column(carried, 0))[0]
                )

    def test_what_is_left_where_nothing_flows_never_arrives(self):
        self.assertEqual(
            [5.0, np.inf], CHANGING.seconds(column(350, 351)).tolist()
        )
        self.assertEqual([350.0], CHANGING.carried_mib(column(0, np.inf))[1:])

    def test_nothing_takes_no_time_over_no_bandwidth(self):
        self.assertEqual([0.0], flow.Flow.of([column(0)]).seconds(column(0)))

    def test_hardly_any_bandwidth_is_none(self):
        hardly = flow.Flow.steady(column(1e-300))
        self.assertEqual([np.inf], hardly.seconds(column(1)))

    def test_a_limit_holds_all_along(self):
        limited = CHANGING.limited(80.0)
        self.assertEqual(310.0, limited.carried_mib(column(5, 0))[0])

    def test_who_looks_ahead_takes_the_link_for_what_it_is(self):
        """Each row as of a time of its own."""
        seen = CHANGING.as_of(column(1.0, 3.0))
        self.assertEqual(
            [600.0, 400.0], seen.carried_mib(column(6, 6)).tolist()
        )


class TestProperties(unittest.TestCase):
    @hypothesis.given(_flows(), st.floats(0.0, 1e5))
    def test_what_is_carried_by_its_time_is_what_was_asked_for(
        self, link, mib
    ):
        seconds = link.seconds(column(mib))
        hypothesis.assume(np.isfinite(seconds).all())
        np.testing.assert_allclose(
            link.carried_mib(seconds), mib, rtol=1e-9, atol=1e-6
        )

    @hypothesis.given(_flows(), st.floats(0.0, 50.0), st.floats(0.0, 50.0))
    def test_what_comes_after_a_time_is_what_is_carried_more(
        self, link, begin, lasts
    ):
        whole = link.carried_mib(column(begin + lasts))
        first = link.carried_mib(column(begin))
        rest = link.after(begin).carried_mib(column(lasts))
        np.testing.assert_allclose(first + rest, whole, rtol=1e-9, atol=1e-6)


if __name__ == '__main__':
    unittest.main()
