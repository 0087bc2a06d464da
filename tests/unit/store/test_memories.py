"""What was learned is kept by name."""

from kvm_balancer.store import store
from tests.unit.store import base


class MemoriesTest(base.StoreCase):
    def setUp(self):
        super().setUp()
        kept = store.Store(self.conf, create=True)
        self.addCleanup(kept.close)
        self.memories = kept.memories

    def test_the_last_one_counts(self):
        self.assertIsNone(self.memories.load('a'))
        self.memories.save('a', b'one', 1.0)
        self.memories.save('a', b'\x00two', 2.0)
        self.assertEqual(b'\x00two', self.memories.load('a'))

    def test_names_are_listed_by_their_beginning(self):
        for name in ('day/2', 'day/1', 'day_', 'other'):
            self.memories.save(name, b'', 1.0)
        self.assertEqual(['day/1', 'day/2'], self.memories.names('day/'))

    def test_many_are_kept_and_read_at_once(self):
        many = {f'some/{number}': b'%d' % number for number in range(100)}
        self.memories.save('else', b'', 1.0)
        self.memories.save_all(many, 1.0)
        self.memories.save_all({'some/7': b'seven'}, 2.0)
        self.assertEqual(
            many | {'some/7': b'seven'}, self.memories.load_all('some/')
        )

    def test_what_is_old_is_forgotten(self):
        self.memories.save('old', b'', 1.0)
        self.memories.save('new', b'', 3.0)
        self.assertEqual(1, self.memories.purge(2.0))
        self.assertEqual(['new'], self.memories.names(''))
