"""The guest's program: what it is told, and what it tells.

Owns the layout of ``guest.bin``, its commands and the lines on its serial
port, which ``guest.S`` explains. Pure: bytes in, bytes out.
"""

import dataclasses
import pathlib
import struct

from kvm_balancer import errors

_HERTZ = 50
_PAGES_PER_MIB = 256

# Where the first values stand in the sector, and what their commands are.
_VALUES = struct.Struct('<3IH')
_VALUES_AT = 496
_FIRST_COMMAND = 0x10
_WRITES_AT = 1023

SECTOR_BYTES = 512
#: The guest's rounds are on its disk from this sector on, one in each of so
#: many.
FIRST_SLOT = 2
SLOTS = 8

_WORDS_PER_PAGE = 1024

#: What the guest is told, in the order of its commands.
Values = tuple[int, int, int, int]

#: Room below the working set and above it that the guest leaves alone.
_RESERVED_MIB = 2


@dataclasses.dataclass(frozen=True, slots=True)
class Load:
    """What a guest does.

    :ivar cpu: cores' worth that it computes, 0 to 1
    :ivar dirty_mib_s: MiB of pages that it writes to a second
    :ivar working_set_mib: over how much memory, one page after another
    :ivar whole_pages: all words of a page change when it is written, and
        not only its first: no difference to the page before is small
    """

    cpu: float
    dirty_mib_s: float
    working_set_mib: int
    whole_pages: bool = False

    def check(self, memory_mib: int) -> None:
        """Raise LabError unless a guest of *memory_mib* can do it."""
        most = memory_mib - _RESERVED_MIB
        if not 0 <= self.cpu <= 1:
            raise errors.LabError(f'cpu {self.cpu:g}: 0 to 1 core is possible')
        if not 0 <= self.dirty_mib_s <= 10_000:
            raise errors.LabError(
                f'dirty rate {self.dirty_mib_s:g}: 0 to 10000 MiB/s'
            )
        if not 1 <= self.working_set_mib <= most:
            raise errors.LabError(
                f'working set {self.working_set_mib:g}: 1 to {most} MiB of '
                f'{memory_mib} MiB'
            )


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """What a guest has told of itself so far.

    :ivar rounds: how often it went over its working set
    :ivar damaged: pages, and sectors of its disk, that did not hold what it
        had written, or could not be written
    :ivar settings: commands that it has taken
    :ivar disorder: the first line that was not as it has to be, after the one
        before it
    """

    rounds: int = 0
    damaged: int = 0
    settings: int = 0
    disorder: str = ''

    @property
    def in_order(self) -> bool:
        """Whether its rounds came one after another.

        They do not when it ran twice, or went back in time.
        """
        return not self.disorder


def values(load: Load, turns_per_core: float) -> Values:
    """Return what *load* is to the guest.

    :param turns_per_core: turns of the guest's empty loop that take one
        second of a core
    :returns: pages, pages a second, turns a tick, and words of a page that
        are written besides its first
    """
    return (
        load.working_set_mib * _PAGES_PER_MIB,
        round(load.dirty_mib_s * _PAGES_PER_MIB),
        round(load.cpu * turns_per_core / _HERTZ),
        _WORDS_PER_PAGE - 1 if load.whole_pages else 0,
    )


def program(first: Values, writes_disk: bool = False) -> bytes:
    """Return the sectors of the guest, which starts with the values *first*.

    :param writes_disk: its disk is an IDE disk, and it writes to it
    """
    data = bytearray(
        pathlib.Path(__file__).with_name('guest.bin').read_bytes()
    )
    _VALUES.pack_into(data, _VALUES_AT, *first)
    data[_WRITES_AT] = writes_disk
    return bytes(data)


def written(disk: bytes) -> list[int | None]:
    """Return the round in each slot of a guest's disk.

    :returns: None for a slot that holds more than one number
    """
    found: list[int | None] = []
    for slot in range(FIRST_SLOT, FIRST_SLOT + SLOTS):
        sector = disk[slot * SECTOR_BYTES :][:SECTOR_BYTES]
        numbers = {word for (word,) in struct.iter_unpack('<I', sector)}
        found.append(numbers.pop() if len(numbers) == 1 else None)
    return found


def lost_rounds(disk: bytes, before: int, after: int) -> list[int]:
    """Return the rounds that a guest's disk has to have, and has not.

    :param disk: its beginning, read while the guest told
    :param before: rounds it had told when the reading began
    :param after: rounds that it had told when it was over
    :returns: for each wrong slot the last round that it may have had
    """
    lost = []
    for slot, found in enumerate(written(disk)):
        # What is on the disk may not be told yet.
        newest = after + 1 - (after + 1 - slot) % SLOTS
        oldest = before - (before - slot) % SLOTS
        if oldest > 0 and not (
            found is not None
            and oldest <= found <= newest
            and found % SLOTS == slot
        ):
            lost.append(newest)
    return lost


def commands(wanted: Values) -> bytes:
    """Return what to send to a running guest to give it other values."""
    told = bytearray()
    for which, value in enumerate(wanted, _FIRST_COMMAND):
        told += bytes(int(digit, 16) for digit in f'{value:x}')
        told.append(which)
    return bytes(told)


def read(told: str) -> Report:
    """Return what the lines on a guest's serial port say.

    A line that is not complete yet is left for the next time.
    """
    rounds = damaged = settings = 0
    disorder = before = ''
    for line in told.split('\n')[:-1]:
        wrong, before = f'{line!r} after {before!r}', line
        try:
            letter, number, value = line.split(' ')
            told_round, told_value = int(number, 16), int(value, 16)
        except ValueError:
            disorder = disorder or wrong
            continue
        if letter == 'R':
            if told_round != rounds + 1:
                disorder = disorder or wrong
            rounds, damaged = told_round, max(damaged, told_value)
        elif letter in 'DF':
            damaged = max(damaged, 1)
        elif letter == 'S':
            settings += 1
    return Report(rounds, damaged, settings, disorder)
