"""What a Linux guest watches in itself, and tells on its serial port.

Owns the lines that ``linux-init.sh`` writes. Pure: text in, figures out.
"""

import dataclasses

#: Words in a line, the letter included.
_FIGURES = {'C': 5, 'D': 5, 'G': 4, 'E': 3}


@dataclasses.dataclass(frozen=True, slots=True)
class Clock:
    """CLOCK_MONOTONIC, and timers of 20 ms.

    :ivar rounds: lines told; a line stands for 25 timers
    :ivar back: how often it showed less than before
    :ivar early: timers that ended before their time
    :ivar late_ms: how much too late the latest one ended
    """

    rounds: int = 0
    back: int = 0
    early: int = 0
    late_ms: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Disk:
    """Blocks with a checksum, written round and read back past all caches.

    :ivar rounds: blocks written
    :ivar checked: blocks read back
    :ivar damaged: those that did not hold what had been written
    :ivar failed: writes that the disk refused
    """

    rounds: int = 0
    checked: int = 0
    damaged: int = 0
    failed: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class RandomNumbers:
    """Numbers of the host's.

    :ivar rounds: how often some were asked for
    :ivar received_bytes: how many came
    :ivar stuck: how often none came, or the same as before
    """

    rounds: int = 0
    received_bytes: int = 0
    stuck: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """What a Linux guest has told of itself so far.

    :ivar boot_seconds: from its kernel's beginning to its watches'; None
        while it boots
    :ivar words: what it has been told on its second port
    :ivar in_order: whether no line of a watch was lost or came twice
    :ivar complaints: lines that are not the watches': its kernel's
    """

    boot_seconds: float | None = None
    clock: Clock = Clock()
    disk: Disk = Disk()
    random_numbers: RandomNumbers = RandomNumbers()
    words: tuple[str, ...] = ()
    in_order: bool = True
    complaints: tuple[str, ...] = ()

    @property
    def problems(self) -> tuple[str, ...]:
        """What is not as it has to be, a line each."""
        clock, disk, numbers = self.clock, self.disk, self.random_numbers
        found = (
            (disk.damaged, f'{disk.damaged} blocks of its disk are damaged'),
            (disk.failed, f'its disk refused {disk.failed} writes'),
            (clock.back, f'its clock went back {clock.back} times'),
            (clock.early, f'{clock.early} timers ended before their time'),
            (numbers.stuck, f'{numbers.stuck} times no new random numbers'),
            (not self.in_order, 'lines of its were lost or came twice'),
            *((True, f'says: {line}') for line in self.complaints),
        )
        return tuple(line for wrong, line in found if wrong)

    @property
    def rounds(self) -> tuple[int, int, int]:
        """How far clock, disk and random numbers have come."""
        return (
            self.clock.rounds,
            self.disk.rounds,
            self.random_numbers.rounds,
        )


def read(told: str) -> Report:
    """Return what the lines on a guest's serial port say.

    A line that is not complete yet is left for the next time.
    """
    last: dict[str, list[int]] = {}
    words: list[str] = []
    complaints: list[str] = []
    boot_seconds = None
    in_order = True
    for line in told.replace('\r', '').split('\n')[:-1]:
        fields = line.split(' ')
        try:
            letter, number = fields[0], int(fields[1])
            if letter == 'B' and len(fields) == 2:
                # A second beginning loses what came before.
                in_order = in_order and boot_seconds is None
                boot_seconds = number / 100
                continue
            if _FIGURES.get(letter) != len(fields):
                raise ValueError
            figures = [number]
            if letter == 'E':
                words.append(fields[2])
            else:
                figures += [int(field) for field in fields[2:]]
        except (ValueError, IndexError):
            if line.strip():
                complaints.append(line.strip())
            continue
        before = last.get(letter, [0])[0]
        in_order = in_order and number == before + 1
        last[letter] = figures
    return Report(
        boot_seconds,
        Clock(*last.get('C', ())),
        Disk(*last.get('D', ())),
        RandomNumbers(*last.get('G', ())),
        tuple(words),
        in_order,
        tuple(complaints),
    )
