"""The time of the copy is told from the time that both ends take."""

import unittest

from kvm_balancer.migration import events
from tests.unit.migration import lives

State = events.EndState


def ended(*between, elapsed_ms=7500.0):
    """A migration whose every event takes a second, but its copy six.

    Half a second of its job had gone by before the memory's turn, and the
    first of it was seen a second after that.
    """
    life = lives.Life()
    life.checked()
    for statistics in between:
        life.tell(events.Progressed, statistics=statistics)
    begun = 1500.0 + elapsed_ms - 7500.0
    life.tell(events.Progressed, statistics=lives.seen(1, transferred_mib=0.0))
    life.tell(
        events.Progressed,
        statistics=lives.seen(1, elapsed_ms=begun, transferred_mib=50.0),
    )
    life.tell(events.SourceStopped, after=6.0)
    life.tell(
        events.JobSettled,
        after=2.0,
        statistics=lives.seen(3, elapsed_ms=elapsed_ms),
        downtime_ms=200.0,
    )
    life.returned()
    life.ends(State.ABSENT, State.RUNNING)
    if life.machine.outcome is None:
        life.ends(State.ABSENT, State.RUNNING)
    return life.machine.outcome


class PhasesTest(unittest.TestCase):
    def test_the_copy_lasts_from_its_first_page_to_the_end_of_the_job(self):
        found = ended()
        self.assertEqual(7000.0, found.copying_ms)
        self.assertEqual(found.total_ms - 7000.0, found.fixed_ms)

    def test_disks_are_neither_copy_nor_fixed(self):
        plain = ended()
        disks = events.Statistics(disk_total_mib=90.0, disk_remaining_mib=50.0)
        found = ended(disks, disks, elapsed_ms=9500.0)
        self.assertEqual(plain.copying_ms, found.copying_ms)
        self.assertEqual(plain.fixed_ms, found.fixed_ms)
        self.assertEqual(2000.0, found.total_ms - plain.total_ms)

    def test_a_job_without_a_clock_tells_neither(self):
        found = ended(elapsed_ms=0.0)
        self.assertIsNone(found.copying_ms)
        self.assertIsNone(found.fixed_ms)
