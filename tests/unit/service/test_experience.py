"""What was predicted too low is predicted higher, also after a restart."""

import dataclasses

import sqlalchemy

from kvm_balancer.model import plan
from kvm_balancer.service import experience
from kvm_balancer.store import store
from kvm_balancer.store import tables
from tests.unit.store import base

#: Two of its seconds are no copying.
RAW = plan.Prediction(22.0, 300.0, 1000.0, fixed_seconds=2.0)
ENDS = ('host-a', 'host-b')
_DAY = 86_400.0


class ExperienceTest(base.StoreCase):
    def setUp(self):
        super().setUp()
        self.store = store.Store(self.conf, create=True)
        self.addCleanup(self.store.close)
        self.experience = experience.Experience(self.store.migrations)

    def end(self, number, copying_seconds, ended_at, **changes):
        self.store.migrations.record_outcome(
            dataclasses.replace(
                base.make_outcome(),
                migration_id=f'migration-{number}',
                instance='i',
                **{
                    'predicted': RAW,
                    'accepted_at': ended_at - 50.0,
                    'ended_at': ended_at,
                    'copying_ms': copying_seconds * 1000.0,
                    'mode': plan.Mode.PRE_COPY,
                    **changes,
                },
            )
        )

    def predicted(self, now, by=None):
        book = (by or self.experience).corrections(now)
        return book.correct('i', ENDS, RAW, now).seconds - 2.0

    def test_each_migration_teaches_once_and_a_restart_keeps_it(self):
        now = 100 * _DAY
        self.assertEqual(20.0, self.predicted(now))
        self.end(1, 40.0, now)
        once = self.predicted(now)
        self.assertGreater(once, 25.0)
        self.assertEqual(once, self.predicted(now))
        self.end(2, 40.0, now + 60.0)
        twice = self.predicted(now + 60.0)
        self.assertGreater(twice, once)
        again = experience.Experience(self.store.migrations)
        self.assertAlmostEqual(twice, self.predicted(now + 60.0, again))

    def test_who_shared_a_host_teaches_nothing(self):
        """With one that ended, failed, runs yet, or was not predicted."""
        now = 100 * _DAY
        self.end(1, 40.0, now)
        self.end(2, 40.0, now + 1.0, outcome=base.outcome.OutcomeKind.FAILED)
        self.store.migrations.record_dispatch(
            base.make_request(
                'migration-3', source='host-b', accepted_at=now + 90.0
            ),
            now + 90.0,
        )
        self.end(4, 40.0, now + 100.0, predicted=None)
        self.end(5, 40.0, now + 120.0)
        self.assertEqual(20.0, self.predicted(now + 130.0))
        again = experience.Experience(self.store.migrations)
        self.assertEqual(20.0, self.predicted(now + 130.0, again))

    def test_an_outcome_that_comes_late_teaches_too(self):
        now = 100 * _DAY
        self.predicted(now)
        self.end(1, 40.0, now - 3600.0)
        self.assertGreater(self.predicted(now), 25.0)

    def test_what_older_releases_predicted_teaches_nothing(self):
        """They do not tell what it was before it was corrected."""
        now = 100 * _DAY
        old = plan.Prediction(22.0, 300.0, 1000.0)
        self.end(1, 40.0, now, predicted=old)
        with self.store.migrations._database.writer() as session:
            session.execute(
                sqlalchemy.update(tables.Migration).values(
                    predicted_fixed_seconds=None
                )
            )
        self.assertEqual(20.0, self.predicted(now))

    def test_what_did_not_complete_or_was_not_predicted_teaches_nothing(self):
        now = 100 * _DAY
        self.end(1, 40.0, now, outcome=base.outcome.OutcomeKind.FAILED)
        self.assertEqual(20.0, self.predicted(now))

    def test_a_store_that_does_not_answer_costs_the_newest_lessons_only(self):
        now = 100 * _DAY
        self.end(1, 40.0, now)
        once = self.predicted(now)
        self.store.close()
        self.conf.set_override('max_retries', 0, 'database')
        self.assertEqual(once, self.predicted(now))
