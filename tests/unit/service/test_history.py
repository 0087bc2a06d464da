"""The days of instances outlive the agent, and can be written out."""

import numpy as np

from kvm_balancer import errors
from kvm_balancer.model import observation
from kvm_balancer.model import shapes
from kvm_balancer.service import history
from kvm_balancer.store import store
from tests.unit.store import base

DAY = 86_400.0
MONDAY = 4 * DAY
SLOT = shapes.SLOT_SECONDS


class Fleet:
    """Stands in for the watched fleet: shapes, and ids beside them."""

    def __init__(self, count):
        self.ids = tuple(f'i{number}' for number in range(count))
        self.shapes = shapes.Shapes()
        self.shapes.grow(count)
        self.rows = np.arange(count)
        self.remembered = {}

    @property
    def slot(self):
        return self.shapes.slot

    def live(self, now, usage):
        used = np.full(len(self.ids), usage)
        self.shapes.add(self.rows, used, np.full(len(used), SLOT), now)

    def habits(self, first, count):
        chosen = self.rows[first : first + count]
        return observation.Habits(
            self.ids[first : first + count], self.shapes.packed(chosen)
        )

    def remember(self, kept):
        for row, uid in enumerate(kept.ids):
            self.remembered[uid] = {
                name: codes[row * width : (row + 1) * width]
                for (name, width) in shapes.Shapes.COLUMNS.items()
                for codes in (kept.columns[name],)
            }


class HistoryTest(base.StoreCase):
    def setUp(self):
        super().setUp()
        kept = store.Store(self.conf, create=True)
        self.addCleanup(kept.close)
        self.memories = kept.memories

    def lived(self, days, count=2):
        fleet = Fleet(count)
        made = history.History(fleet, self.memories)
        for slot in range(int(48 * days) + 1):
            now = MONDAY + slot * SLOT
            fleet.live(now, 3.0 if slot % 48 == 18 else 0.5)
            made.step(now)
        return fleet, made

    def test_a_restart_knows_the_days_before(self):
        self.lived(3.5)
        again = Fleet(2)
        now = MONDAY + 3.5 * DAY + SLOT
        history.History(again, self.memories).recover(now)
        again.shapes.unpack(np.array([0]), again.remembered['i1'])
        nine = again.shapes.outlook(np.array([0]), MONDAY + 4.375 * DAY)
        self.assertTrue(nine.known[0])
        self.assertAlmostEqual(3.0, nine.mean[0], delta=0.1)
        today = again.shapes.day(np.array([0]))[0]
        self.assertAlmostEqual(3.0, today[18], delta=0.1)
        self.assertTrue(np.isnan(today[24:]).all())

    def test_a_day_that_is_over_is_kept_as_it_went(self):
        _, made = self.lived(2.1)
        names = made.records(7, MONDAY + 2.1 * DAY)
        self.assertEqual(
            [
                'day/1970-01-05/000000',
                'day/1970-01-06/000000',
                'shapes/000000',
            ],
            names,
        )
        self.assertEqual(names[1:], made.records(1, MONDAY + 2.1 * DAY))
        found = made.record(names[1])
        self.assertEqual(MONDAY + DAY, found['second'])
        self.assertEqual(['i0', 'i1'], list(found['load']))
        self.assertAlmostEqual(3.0, found['load']['i0'][18], delta=0.1)
        self.assertAlmostEqual(0.5, found['load']['i0'][17], delta=0.1)

    def test_so_is_today_as_far_as_it_went(self):
        _, made = self.lived(1.4)
        found = made.record('shapes/000000')
        self.assertEqual(MONDAY + DAY, found['second'])
        went, hours = found['load']['i0'], int(0.4 * 48)
        self.assertAlmostEqual(3.0, went[18], delta=0.1)
        self.assertEqual(48 - hours, went.count(None), went)
        self.assertEqual([None], list(set(went[hours:])))

    def test_what_was_not_written_for_days_is_nothing_of_today(self):
        self.lived(1.2)
        self.memories.save('shapes/1', self.memories.load('shapes/000000'), 1)
        fleet = Fleet(1)
        later = history.History(fleet, self.memories)
        for slot in (480, 481):
            fleet.live(slot * SLOT, 1.0)
            later.step(slot * SLOT)
        self.assertEqual({None}, {*later.record('shapes/1')['load']['i0']})

    def test_nothing_else_is_a_record(self):
        _, made = self.lived(0.2)
        for name in ('lessons', 'shapes/none', 'day/none'):
            with self.assertRaises(errors.NotFound):
                made.record(name)

    def test_many_instances_are_many_records(self):
        self.lived(0.1, count=2500)
        self.assertEqual(3, len(self.memories.names('shapes/')))

    def test_what_cannot_be_read_is_learned_anew(self):
        for number, body in enumerate((b'', b'\x80', b'\x81\xa4slot\x01')):
            self.memories.save(f'shapes/{number}', body, 1.0)
        fleet = Fleet(1)
        with self.assertLogs('kvm_balancer.service.history') as told:
            history.History(fleet, self.memories).recover(MONDAY)
        self.assertEqual(3, len(told.output))
        self.assertEqual({}, fleet.remembered)
