"""The time of the copy is told from the time that both ends take."""

import unittest

from kvm_balancer.migration import events
from tests.unit.migration import lives

State = events.EndState


def ended(*between, elapsed_ms=7500.0):
    """A migration whose every event takes a second, but its copy six.

    It was accepted at 0, its job began at 2, its memory followed at 3, and
    the call came back two seconds after all of it was across.
    """
    life = lives.Life()
    life.checked()
    for statistics in between:
        life.tell(events.Progressed, statistics=statistics)
    life.tell(events.Progressed, statistics=lives.seen(1))
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
        # from the job's 7.5 s one went by before the memory's turn
        self.assertEqual(6500.0, found.copying_ms)
        self.assertEqual(found.total_ms - 6500.0, found.fixed_ms)

    def test_disks_are_neither_copy_nor_fixed(self):
        plain = ended()
        disks = events.Statistics(disk_remaining_mib=50.0)
        found = ended(disks, disks, elapsed_ms=9500.0)
        self.assertEqual(plain.copying_ms, found.copying_ms)
        self.assertEqual(plain.fixed_ms, found.fixed_ms)
        self.assertEqual(2000.0, found.total_ms - plain.total_ms)

    def test_a_job_without_a_clock_tells_neither(self):
        found = ended(elapsed_ms=0.0)
        self.assertIsNone(found.copying_ms)
        self.assertIsNone(found.fixed_ms)
