"""Migrations that began together over one link, as they were recorded.

Kept as lines of JSON, one each: so that the model can be held against them
again, without a hypervisor.
"""

import collections.abc
import dataclasses
import json
import pathlib
from typing import Any
from typing import Self

from benchmarks.migration import flights
from kvm_balancer.lab import bootsector
from kvm_balancer.migration import request
from kvm_balancer.model import track as tracks


@dataclasses.dataclass(frozen=True, slots=True)
class Migration:
    """One of them.

    :ivar guest: as a fleet had it
    :ivar load: what the guest had been told to do
    :ivar seconds: as whoever asked for it waited
    :ivar mode: in which it ended
    :ivar copying_seconds: while its memory was copied
    :ivar track: None where it was not kept
    """

    guest: flights.Guest
    load: bootsector.Load
    seconds: float
    mode: str
    throttle_percent: int
    transferred_mib: float
    copying_seconds: float
    track: tracks.Track | None = None

    @property
    def sent_mib_s(self) -> float:
        """What it had of the link while its memory was copied."""
        return self.transferred_mib / max(self.copying_seconds, 1e-9)

    @property
    def as_loaded(self) -> flights.Guest:
        """The guest as nobody can measure it: by what it does."""
        return dataclasses.replace(
            self.guest,
            dirty_rate_mib_s=self.load.dirty_mib_s,
            hot_set_mib=self.load.working_set_mib,
            cold_rate_mib_s=0.0,
        )

    @classmethod
    def of(cls, told: dict[str, Any]) -> Self:
        """Read one."""
        track = told.pop('track', None)
        return cls(
            guest=flights.Guest(**told.pop('guest')),
            load=bootsector.Load(**told.pop('load')),
            track=track
            and tracks.Track(
                **{
                    **track,
                    'states': [tracks.Mark(**one) for one in track['states']],
                }
            ),
            **told,
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Together:
    """Migrations that began together.

    :ivar bandwidth_mib_s: what memory could use of the link
    :ivar busy: load average of the machine that the hosts shared
    """

    case: str
    bandwidth_mib_s: float
    post_copy: bool
    busy: float
    migrations: tuple[Migration, ...]

    @property
    def options(self) -> request.Options:
        """What they were allowed."""
        return request.Options(post_copy=self.post_copy)

    def simulated(self) -> list[float]:
        """Return the seconds of each, of guests as they were measured."""
        return self._seconds(one.guest for one in self.migrations)

    def as_loaded(self) -> list[float]:
        """Return the same, were they measured without an error."""
        return self._seconds(one.as_loaded for one in self.migrations)

    def _seconds(
        self, guests: collections.abc.Iterable[flights.Guest]
    ) -> list[float]:
        return flights.seconds([*guests], self.bandwidth_mib_s, self.options)


def read(path: pathlib.Path) -> collections.abc.Iterator[Together]:
    """Yield what was recorded in a file.

    :raises ValueError: for a line that is none of this
    """
    with path.open() as lines:
        for number, line in enumerate(lines, 1):
            try:
                told = json.loads(line)
                migrations = tuple(map(Migration.of, told.pop('migrations')))
                yield Together(migrations=migrations, **told)
            except (ValueError, TypeError, KeyError, AttributeError):
                raise ValueError(
                    f'{path}, line {number}: no migrations that --record wrote'
                ) from None


def add(path: pathlib.Path, one: Together) -> None:
    """Record some more at the end of a file."""
    with path.open('a') as lines:
        lines.write(json.dumps(dataclasses.asdict(one)) + '\n')
