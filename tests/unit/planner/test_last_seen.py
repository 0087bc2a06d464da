"""Where instances were is known, and kept piece by piece."""

import unittest

from kvm_balancer.planner import last_seen

HOUR = 3600.0


class LastSeenTest(unittest.TestCase):
    def setUp(self):
        self.seen = last_seen.LastSeen()
        for number in range(3000):
            self.seen.put(f'i{number}', 'a')

    def places(self):
        return {
            instance: host
            for piece in self.seen.changed().values()
            for instance, host in piece.items()
        }

    def test_all_of_it_is_in_the_pieces_once(self):
        pieces = self.seen.changed().values()
        self.assertEqual(3000, sum(map(len, pieces)))
        self.assertEqual(3000, len(self.places()))

    def test_only_what_changed_is_to_be_written(self):
        self.seen.written()
        self.seen.put('i7', 'a')
        self.assertEqual({}, self.seen.changed())
        self.seen.put('i7', 'b')
        (piece,) = self.seen.changed().values()
        self.assertEqual('b', piece['i7'])
        self.assertLess(len(piece), 30)

    def test_what_was_written_is_taken_up_again(self):
        again = last_seen.LastSeen()
        for piece in self.seen.changed().values():
            again.restore(piece)
        self.assertEqual('a', again.get('i2999'))
        self.assertIsNone(again.get('i3000'))
        self.assertEqual({}, again.changed())

    def test_all_is_written_again_in_a_while_without_who_is_gone(self):
        known = {f'i{number}' for number in range(1000)}
        self.seen.written()
        for now, left in ((0.0, 3000), (5 * HOUR, 3000), (7 * HOUR, 1000)):
            self.assertEqual({}, self.seen.changed())
            self.seen.renew(known, now)
            kept = self.seen.get('i2999') is not None
            self.assertEqual(left == 3000, kept)
        self.assertEqual(known, set(self.places()))


if __name__ == '__main__':
    unittest.main()
