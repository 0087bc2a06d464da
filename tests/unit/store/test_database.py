"""What goes wrong with a database is one line; threads share it."""

import concurrent.futures
import threading

import sqlalchemy

from kvm_balancer import errors
from kvm_balancer.model import execution
from kvm_balancer.store import database as db
from kvm_balancer.store import store
from tests.unit.store import base


class UnusableDatabaseTest(base.StoreCase):
    def test_every_unusable_database_is_one_line_with_a_remedy(self):
        garbage = self.directory / 'garbage'
        garbage.write_text('this is no database, ' * 100)
        cases = {
            'nonsense': 'is not the URL of a database',
            f'sqlite:///{self.directory}/no/agent.sqlite': (
                'does not exist; create it'
            ),
            f'sqlite:///{garbage}': 'file is not a database',
            f'sqlite:///{self.directory}': 'unable to open',
            'nosuch://host/agent': "Can't load plugin",
            'postgresql+nosuch://host/agent': "Can't load plugin",
        }
        for url, text in cases.items():
            with self.subTest(url):
                with self.assertRaises(errors.StoreError) as caught:
                    store.Store(base.make_conf(url))
                self.assertIn(text, str(caught.exception))
                self.assertNotIn('\n', str(caught.exception))

    def test_a_password_is_never_shown(self):
        with self.assertRaises(errors.StoreError) as caught:
            store.Store(base.make_conf('nosuch://me:hunter2@host/agent'))
        self.assertNotIn('hunter2', str(caught.exception))

    def test_a_file_that_cannot_be_written_is_named(self):
        # Root may write every file of its own; nobody may write this one.
        path = '/proc/sys/kernel'
        with self.assertRaisesRegex(
            errors.StoreError, f'^{path} cannot be written'
        ):
            store.Store(base.make_conf(f'sqlite:///{path}/agent.sqlite'))

    def test_a_table_that_is_missing_asks_for_an_upgrade(self):
        kept = store.Store(self.conf, create=True)
        self.addCleanup(kept.close)
        other = db.Database(self.conf)
        self.addCleanup(other.close)
        with other.writer() as session:
            session.execute(sqlalchemy.text('DROP TABLE migrations'))
        with self.assertRaisesRegex(
            errors.StoreError, "run 'kvm-balancer db upgrade'"
        ):
            kept.migrations.latest()


class ConcurrencyTest(base.StoreCase):
    def _share(self, url):
        kept = store.Store(base.make_conf(url), create=True)
        self.addCleanup(kept.close)
        writers = 6
        gate = threading.Barrier(writers)

        def write(number):
            gate.wait()
            for turn in range(10):
                name = f'{number}-{turn}'
                kept.migrations.record_dispatch(base.make_request(name), 1001)
                kept.migrations.record_progress(name, 'pre-copy', 'x', 1002)
                kept.migrations.latest()
                kept.migrations.record_outcome(base.make_outcome(name))

        with concurrent.futures.ThreadPoolExecutor(writers) as pool:
            list(pool.map(write, range(writers)))
        self.assertEqual(60, len(kept.migrations.latest(limit=100)))
        self.assertEqual([], kept.migrations.unfinished())

    def test_threads_share_one(self):
        """No writer fails because another one was faster."""
        self._share(self.url)

    def test_threads_that_say_the_same_at_once_are_heard_once(self):
        kept = store.Store(self.conf, create=True)
        self.addCleanup(kept.close)
        gate = threading.Barrier(4)

        def tell(number):
            heard = []
            for turn in range(5):
                gate.wait()
                wanted = base.make_request(f'd{turn}')
                heard.append(kept.migrations.record_dispatch(wanted, 1001))
                gate.wait()
                kept.migrations.record_progress(
                    f'd{turn}', 'pre-copy', str(number), 1002
                )
                gate.wait()
                ended = base.make_outcome(f'o{turn}')
                heard.append(kept.migrations.record_outcome(ended))
            return heard

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            told = list(pool.map(tell, range(4)))
        self.assertEqual(
            [1] * 10, [sum(heard) for heard in zip(*told, strict=True)]
        )
        for turn in range(5):
            story = kept.migrations.get(f'd{turn}').story
            self.assertEqual(
                ['0', '1', '2', '3'], sorted(line.text for line in story[1:])
            )

    def test_threads_share_a_database_in_memory(self):
        self._share('sqlite://')

    def test_a_block_that_fails_leaves_nothing(self):
        kept = store.Store(self.conf, create=True)
        self.addCleanup(kept.close)
        kept.plans.save('a', 1.0, execution.PlanMode.ADVISE, base.make_plan())
        with self.assertRaises(errors.StoreError):
            kept.plans.save(
                'a', 2.0, execution.PlanMode.ADVISE, base.make_plan(5)
            )
        self.assertEqual(2, kept.plans.get('a').summary.moves)
