"""What came of one run, and how it is kept: a line of JSON each."""

import dataclasses
import json


@dataclasses.dataclass
class Result:
    """What came of one run.

    :ivar copies_disk: its disk was one that only its host has
    :ivar guarded: a lock manager ran on both hosts
    :ivar struck: whether the fault came in the phase that was asked for
    :ivar missed: why it did not
    :ivar struck_in: how the ends were then
    :ivar outcomes: as they were told on the bus, with their reasons
    :ivar where: the copies in the end, by host
    :ivar spells: of both ends, as they were for a while each
    :ivar problems: what was not as it has to be; empty when it passed
    :ivar samples: how often the ends were looked at
    :ivar longest_gap: the longest time, in seconds, in which one of them did
        not say in what state it is
    :ivar commit: of the code that ran, see :mod:`tests.faults.revision`
    :ivar seconds: what was done, and how long it took
    """

    fault: str
    phase: str
    seed: int
    copies_disk: bool = False
    guarded: bool = False
    struck: bool = False
    missed: str = ''
    struck_in: str = ''
    outcomes: list = dataclasses.field(default_factory=list)
    where: dict = dataclasses.field(default_factory=dict)
    spells: list = dataclasses.field(default_factory=list)
    problems: list = dataclasses.field(default_factory=list)
    story: list = dataclasses.field(default_factory=list)
    samples: int = 0
    longest_gap: float = 0.0
    commit: str = ''
    seconds: dict = dataclasses.field(default_factory=dict)

    @property
    def passed(self):
        return self.struck and not self.problems

    @property
    def title(self):
        """What was run, in a line."""
        more = [
            word
            for word, holds in (
                ('disk', self.copies_disk),
                ('guarded', self.guarded),
            )
            if holds
        ]
        phase = self.phase.replace(' ', '-')
        return ' '.join([self.fault, phase, str(self.seed), *more])

    def verdict(self):
        """Return what to say of it, in a line."""
        said = [line.strip().split('\n')[-1] for line in self.problems]
        if not self.struck:
            said.insert(0, f'it did not strike: {self.missed}')
        ends = ' then '.join(kind for kind, _ in self.outcomes) or '-'
        places = ' '.join(f'{k} {v}' for k, v in self.where.items())
        return (
            f'{self.title}: {ends}, at {places or "no host"}, in '
            f'{sum(self.seconds.values()):.0f} s: '
            f'{"; ".join(said) or "as it has to be"}'
        )


def append(path, result):
    """Add a result to a file."""
    with path.open('a') as stream:
        stream.write(json.dumps(dataclasses.asdict(result)) + '\n')


def read(path):
    """Return the results in a file."""
    with path.open() as stream:
        return [Result(**json.loads(line)) for line in stream]
