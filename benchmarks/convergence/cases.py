"""Migrations drawn from seeds: the guest, the network and the request."""

import collections.abc
import dataclasses
import random

from kvm_balancer.migration import request
from kvm_balancer.migration.foresight import prediction
from kvm_balancer.model import plan
from kvm_balancer.virt.simulated import habits
from kvm_balancer.virt.simulated import memory

#: Seconds from the start, and what the network carries from then on.
Network = tuple[tuple[float, float], ...]
#: Seconds from the start, and the share that is given from then on.
Shares = tuple[tuple[float, int], ...]


@dataclasses.dataclass(frozen=True)
class Case:
    """One migration.

    :ivar kind: what its guest, or its network, is like
    :ivar steady: it goes on as it began, so that what is to come can be
        known from what was seen
    :ivar late_seconds: how long the hypervisor takes to say where it stands
    :ivar shares: what it is told of, as other migrations come and go
    """

    name: str
    kind: str
    guest: memory.Guest
    bandwidth_mib_s: float
    options: request.Options
    steady: bool = True
    network: Network = ()
    late_seconds: float = 0.0
    predicted: plan.Prediction | None = None
    shares: Shares = ()

    @property
    def full_seconds(self) -> float:
        """How long the memory in use takes at full bandwidth."""
        return self.guest.in_use_mib / self.bandwidth_mib_s

    @property
    def again_mib(self) -> float:
        """What the first pass leaves at most."""
        return sum(
            min(one.mib, one.rate_mib_s * self.full_seconds)
            for one in self.guest.written
        )

    @property
    def hybrid_seconds(self) -> float:
        """The limit: one full pass, and what it left, by post-copy."""
        return (self.guest.in_use_mib + self.again_mib) / self.bandwidth_mib_s


@dataclasses.dataclass
class Draft:
    """A case in the making."""

    dice: random.Random
    memory_mib: float
    bandwidth_mib_s: float
    steady: bool = True
    network: Network = ()
    late_seconds: float = 0.0
    compression: str = ''
    sweep: bool = False

    @property
    def full_seconds(self) -> float:
        return self.memory_mib / self.bandwidth_mib_s

    def within(self, low: float, high: float) -> float:
        """Draw evenly on a logarithmic scale."""
        return float(low * (high / low) ** self.dice.random())

    def guest(
        self,
        *regions: habits.Region,
        tempo: habits.Tempo | None = None,
        delta: float = 1.0,
    ) -> memory.Guest:
        return memory.Guest(
            self.memory_mib,
            self.memory_mib,
            regions=regions,
            tempo=tempo,
            delta=delta,
        )

    def region(self, share: float, ratio: float) -> habits.Region:
        return habits.Region(
            self.memory_mib * share,
            self.bandwidth_mib_s * ratio,
            sequential=self.sweep,
        )


def _idle(made: Draft) -> memory.Guest:
    return made.guest(made.region(0.01, made.within(1e-4, 5e-3)))


def _even(made: Draft) -> memory.Guest:
    share = made.dice.uniform(0.2, 1.0)
    return made.guest(made.region(share, made.within(0.02, 4.0)))


def _swept(made: Draft) -> memory.Guest:
    made.sweep = True
    return _even(made)


def _hot_and_cold(made: Draft) -> memory.Guest:
    hot = made.dice.uniform(0.01, 0.3)
    return made.guest(
        made.region(hot, made.within(0.1, 6.0)),
        made.region(1.0 - hot, made.within(0.005, 0.2)),
    )


def _tiny_and_hot(made: Draft) -> memory.Guest:
    """Write faster than the network carries, to little memory."""
    share = made.within(0.02, 0.45) / made.full_seconds
    return made.guest(made.region(share, made.within(1.0, 6.0)))


def _bursts(made: Draft) -> memory.Guest:
    period, duty = made.within(0.05, 0.5), made.dice.uniform(0.1, 0.4)
    tempo = habits.Tempo(
        ((period * duty, 1.0 / duty), (period * (1.0 - duty), 0.0)), True
    )
    return made.guest(
        made.region(made.dice.uniform(0.1, 1.0), made.within(0.05, 2.0)),
        tempo=tempo,
    )


def _tides(made: Draft) -> memory.Guest:
    """Be busy and quiet in turns that last as long as passes do."""
    made.steady = False
    busy, quiet = (made.full_seconds * made.within(0.2, 1.5) for _ in 'ab')
    turns = ((busy, 1.0), (quiet, made.within(0.01, 0.3)))
    return made.guest(
        made.region(made.dice.uniform(0.1, 1.0), made.within(0.3, 4.0)),
        tempo=habits.Tempo(made.dice.choice((turns, turns[::-1])), True),
    )


def _calms_down(made: Draft) -> memory.Guest:
    made.steady = False
    busy = made.full_seconds * made.dice.uniform(0.5, 4.0)
    tempo = habits.Tempo(((busy, 1.0), (1.0, made.within(0.005, 0.1))))
    return made.guest(
        made.region(made.dice.uniform(0.1, 1.0), made.within(0.5, 4.0)),
        tempo=tempo,
    )


def _wakes_up(made: Draft) -> memory.Guest:
    made.steady = False
    quiet = made.full_seconds * made.dice.uniform(0.2, 2.0)
    tempo = habits.Tempo(((quiet, made.within(0.005, 0.1)), (1.0, 1.0)))
    return made.guest(
        made.region(made.dice.uniform(0.1, 1.0), made.within(0.3, 4.0)),
        tempo=tempo,
    )


def _noisy(made: Draft) -> memory.Guest:
    level, at, found = 1.0, 0.0, []
    noise = made.dice.uniform(0.05, 0.15)
    while at < 40.0 * made.full_seconds:
        level += 0.3 * (1.0 - level) + made.dice.gauss(0.0, noise)
        level = min(1.3, max(0.6, level))
        found.append((at, made.bandwidth_mib_s * level))
        at += 0.5
    made.network = tuple(found)
    return made.dice.choice((_even, _hot_and_cold))(made)


def _collapses(made: Draft) -> memory.Guest:
    made.steady = False
    begins = made.full_seconds * made.dice.uniform(0.3, 1.8)
    lasts = made.within(2.0, 40.0)
    made.network = (
        (begins, made.bandwidth_mib_s * made.within(0.01, 0.3)),
        (begins + lasts, made.bandwidth_mib_s),
    )
    return made.dice.choice((_even, _hot_and_cold))(made)


def _late(made: Draft) -> memory.Guest:
    made.late_seconds = made.within(0.1, 3.0)
    return made.dice.choice((_even, _hot_and_cold, _tiny_and_hot))(made)


def _deltas(made: Draft) -> memory.Guest:
    made.compression = 'xbzrle'
    base = made.dice.choice((_even, _hot_and_cold))(made)
    return dataclasses.replace(base, delta=made.dice.uniform(0.1, 1.0))


#: Guests that go on as they began.
STEADY = (_idle, _even, _swept, _hot_and_cold, _tiny_and_hot)

KINDS: dict[str, collections.abc.Callable[[Draft], memory.Guest]] = {
    'idle': _idle,
    'even': _even,
    'swept': _swept,
    'hot and cold': _hot_and_cold,
    'tiny and hot': _tiny_and_hot,
    'bursts': _bursts,
    'tides': _tides,
    'calms down': _calms_down,
    'wakes up': _wakes_up,
    'noisy network': _noisy,
    'network collapses': _collapses,
    'late statistics': _late,
    'xbzrle': _deltas,
}


def options(made: Draft) -> request.Options:
    """Draw what a request allows."""
    dice = made.dice
    limited = dice.random() < 0.3
    throttle = dice.choice((0, 0, 30, 50, 80, 99))
    return request.Options(
        auto_converge=throttle > 0,
        max_throttle_percent=throttle,
        post_copy=dice.random() < 0.5,
        max_downtime_ms=dice.choice((100, 300, 500, 500, 1000, 2000)),
        time_limit_seconds=(
            made.full_seconds * made.within(1.2, 12.0) if limited else 0.0
        ),
        profile=dice.choice(list(request.Profile)),
        compression=made.compression,
    )


def draw(seed: int, kind: str = '') -> Case:
    """Make the migration of a seed; of one *kind*, or of any."""
    dice = random.Random(seed)
    kind = kind or list(KINDS)[seed % len(KINDS)]
    bandwidth = 50.0 * 40.0 ** dice.random()
    full_seconds = 0.2 * 240.0 ** dice.random()
    made = Draft(dice, bandwidth * full_seconds, bandwidth)
    guest = KINDS[kind](made)
    case = Case(
        f'{kind} {seed}',
        kind,
        guest,
        bandwidth,
        options(made),
        made.steady,
        made.network,
        made.late_seconds,
    )
    return predicted(case) if dice.random() < 0.5 else case


def predicted(case: Case) -> Case:
    """Return the same, with what was to be expected of it."""
    hot, *cold = [one for one in case.guest.written if one.mib > 0.0]
    cold_rate = sum(one.rate_mib_s for one in cold)
    expected = prediction.predict(
        case.guest.in_use_mib,
        hot.rate_mib_s + cold_rate,
        case.bandwidth_mib_s,
        hot.mib,
        case.options,
        cold_rate,
    )
    return dataclasses.replace(case, predicted=expected)
