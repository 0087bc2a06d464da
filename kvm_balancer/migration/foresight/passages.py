"""What the ends of a migration, and the link between them, have shown. Pure.

Two things are the hosts' own, whatever goes between them: the time in which
nothing is copied, as QEMU starts at one end and is put away at the other;
and what the link really carries, which may be less than was stated. Both are
kept for each pair of hosts, by few recent migrations: hosts are rebuilt and
links replaced.
"""

import collections
import dataclasses
import statistics

#: Source and destination, by name.
Ends = tuple[str, str]

#: Recent migrations that a pair, and the fleet, are judged by: as many as
#: make a median that two odd ones do not move.
_OF_PAIR = 9
_OF_FLEET = 63
#: A median of less is an accident.
_LEAST = 3
#: So many have to agree that the link carries no more.
_LEAST_RATES = 2
#: A rate of less memory is mostly that of its beginning.
_ENOUGH_MIB = 64.0
#: What reached this share of its own limit was bound by that, and may have
#: gone faster without.
_AT_LIMIT = 0.9


@dataclasses.dataclass(slots=True)
class Passage:
    """One migration that completed, as its ends saw it.

    :ivar copying_seconds: while its memory was copied; None where that was
        not seen
    :ivar fixed_seconds: all other time; None where that was not seen
    :ivar alone: no other used a host of it meanwhile, as far as is known
    :ivar limit_mib_s: that its own options set; 0 for none
    """

    ends: Ends
    began_at: float
    ended_at: float
    mib: float
    copying_seconds: float | None
    fixed_seconds: float | None
    alone: bool = True
    limit_mib_s: float = 0.0

    @property
    def mib_s(self) -> float | None:
        """What the link carried; None where that does not show."""
        if not (self.alone and self.copying_seconds):
            return None
        if self.mib < _ENOUGH_MIB:
            return None
        rate = self.mib / self.copying_seconds
        if 0.0 < self.limit_mib_s * _AT_LIMIT <= rate:
            return None
        return rate

    def meets(self, other: 'Passage') -> bool:
        """Say whether both shared the network of a host for a while."""
        return (
            self.began_at < other.ended_at
            and other.began_at < self.ended_at
            and not set(self.ends).isdisjoint(other.ends)
        )


class Passages:
    """The recent migrations between the hosts of a fleet."""

    def __init__(self) -> None:
        self._recent: collections.deque[Passage] = collections.deque(
            maxlen=_OF_FLEET
        )
        self._pairs: dict[Ends, collections.deque[Passage]] = {}

    def add(self, one: Passage) -> None:
        """Take in one migration; they come in the order they ended."""
        for other in self._recent:
            if one.meets(other):
                one.alone = other.alone = False
        self._recent.append(one)
        self._pairs.setdefault(
            one.ends, collections.deque(maxlen=_OF_PAIR)
        ).append(one)

    def fixed_seconds(self, ends: Ends) -> float | None:
        """Return the time without copying to expect; None: not known.

        That between these two, or between any two where they met too seldom.
        """
        for known in (self._pairs.get(ends, ()), self._recent):
            seen = [
                one.fixed_seconds
                for one in known
                if one.fixed_seconds is not None
            ]
            if len(seen) >= _LEAST:
                return statistics.median(seen)
        return None

    def bandwidth_mib_s(self, ends: Ends) -> float | None:
        """Return the most that the link carried lately; None: not known.

        One that was slower may have been limited, or have met what is not
        seen from here; none was faster than the link.
        """
        rates = [
            one.mib_s
            for one in self._pairs.get(ends, ())
            if one.mib_s is not None
        ]
        return max(rates) if len(rates) >= _LEAST_RATES else None

    def known_mib_s(self) -> dict[Ends, float]:
        """Return what links are known to carry."""
        rates = {ends: self.bandwidth_mib_s(ends) for ends in self._pairs}
        return {ends: rate for ends, rate in rates.items() if rate is not None}
