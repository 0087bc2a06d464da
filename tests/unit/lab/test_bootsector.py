"""What the guest is told, and what is read from its serial port."""

import unittest

import hypothesis
from hypothesis import strategies

from kvm_balancer import errors
from kvm_balancer.lab import bootsector

_WORD = strategies.integers(0, 2**32 - 1)
_VALUES = strategies.tuples(_WORD, _WORD, _WORD, strategies.integers(0, 1023))


def _as_the_guest_reads(commands):
    """Return what the loop in guest.S makes of *commands*."""
    values, value = [None] * 4, 0
    for byte in commands:
        if byte < 16:
            value = value << 4 & 0xFFFFFFFF | byte
        else:
            values[byte & 3] = value
            value = 0
    return tuple(values)


class CommandsTest(unittest.TestCase):
    @hypothesis.given(_VALUES)
    def test_the_guest_understands_the_values_it_is_sent(self, values):
        told = bootsector.commands(values)
        self.assertEqual(values, _as_the_guest_reads(told))

    @hypothesis.given(_VALUES)
    def test_a_disk_made_with_values_boots_and_differs_only_in_them(
        self, values
    ):
        program = bootsector.program(values)
        self.assertEqual(1024, len(program))
        self.assertEqual(b'\x55\xaa', program[510:512])
        other = bootsector.program((1, 1, 1, 0))
        self.assertEqual(program[:496], other[:496])
        self.assertEqual(program[512:], other[512:])

    def test_a_load_becomes_pages_and_turns(self):
        load = bootsector.Load(cpu=0.5, dirty_mib_s=20, working_set_mib=8)
        self.assertEqual(
            (2048, 5120, 1_000_000, 0), bootsector.values(load, 100e6)
        )

    def test_whole_pages_are_all_words_besides_the_first(self):
        load = bootsector.Load(0.0, 1, 1, whole_pages=True)
        self.assertEqual((256, 256, 0, 1023), bootsector.values(load, 100e6))


class LoadTest(unittest.TestCase):
    def test_a_load_that_no_guest_can_carry_is_refused_in_one_line(self):
        for load, word in (
            (bootsector.Load(1.1, 1, 1), 'cpu 1.1'),
            (bootsector.Load(-0.1, 1, 1), 'cpu -0.1'),
            (bootsector.Load(float('nan'), 1, 1), 'cpu nan'),
            (bootsector.Load(0.1, -1, 1), 'dirty rate -1'),
            (bootsector.Load(0.1, float('nan'), 1), 'dirty rate nan'),
            (bootsector.Load(0.1, 1, 0), 'working set 0'),
            (bootsector.Load(0.1, 1, 255), 'working set 255'),
        ):
            with (
                self.subTest(word),
                self.assertRaisesRegex(errors.LabError, f'^{word}'),
            ):
                load.check(256)


class ReportTest(unittest.TestCase):
    def test_what_a_guest_tells(self):
        for told, report in (
            ('', bootsector.Report()),
            (
                'R 00000001 00000000\nR 00000002 00000000\n',
                bootsector.Report(rounds=2),
            ),
            # The end of a line is still to come.
            ('R 00000001 00000000\nR 000', bootsector.Report(rounds=1)),
            (
                'R 00000001 00000000\nS 00000001 00001000\n',
                bootsector.Report(rounds=1, settings=1),
            ),
            (
                'D 00000000 00104000\nR 00000001 00000001\n',
                bootsector.Report(rounds=1, damaged=1),
            ),
            ('D 00000000 00104000\n', bootsector.Report(damaged=1)),
            # A sector of the disk.
            ('F 00000000 00000051\n', bootsector.Report(damaged=1)),
        ):
            with self.subTest(told):
                self.assertEqual(report, bootsector.read(told))
                self.assertTrue(report.in_order)

    def test_lines_that_cannot_follow_each_other_are_told(self):
        for told, rounds, disorder in (
            (
                'R 00000001 00000000\nR 00000003 00000000\n',
                3,
                "'R 00000003 00000000' after 'R 00000001 00000000'",
            ),
            (
                'R 00000001 00000000\nR 00000001 00000000\n',
                1,
                "'R 00000001 00000000' after 'R 00000001 00000000'",
            ),
            # Two guests that write over each other.
            (
                'R 0000R 00000001 00000000\n0001 00000000\n',
                0,
                "'R 0000R 00000001 00000000' after ''",
            ),
        ):
            with self.subTest(told):
                report = bootsector.read(told)
                self.assertEqual(
                    bootsector.Report(rounds=rounds, disorder=disorder), report
                )
                self.assertFalse(report.in_order)


class DiskTest(unittest.TestCase):
    """What the guest has written to its disk, as the host reads it."""

    @staticmethod
    def disk(rounds):
        """Return a disk on which a guest has ended so many rounds."""
        sectors = [bytes(512)] * (bootsector.FIRST_SLOT + bootsector.SLOTS)
        for number in range(1, rounds + 1):
            slot = bootsector.FIRST_SLOT + number % bootsector.SLOTS
            sectors[slot] = number.to_bytes(4, 'little') * 128
        return bytearray(b''.join(sectors))

    @hypothesis.given(strategies.integers(0, 40), strategies.integers(0, 9))
    def test_what_was_written_while_it_was_read_is_not_lost(
        self, before, more
    ):
        for rounds in range(before, before + more + 2):
            disk = self.disk(rounds)
            lost = bootsector.lost_rounds(disk, before, before + more)
            self.assertEqual([], lost)

    @hypothesis.given(strategies.integers(2, 40))
    def test_a_round_that_was_told_and_is_not_there_is_lost(self, rounds):
        disk = self.disk(rounds - 1)
        lost = bootsector.lost_rounds(disk, rounds, rounds)
        self.assertEqual([rounds], lost)

    @hypothesis.given(
        strategies.integers(bootsector.SLOTS, 40), strategies.integers(0, 4095)
    )
    def test_a_byte_that_was_changed_is_seen(self, rounds, place):
        disk = self.disk(rounds)
        place += bootsector.FIRST_SLOT * bootsector.SECTOR_BYTES
        disk[place] ^= 0x40
        self.assertEqual(1, len(bootsector.lost_rounds(disk, rounds, rounds)))
