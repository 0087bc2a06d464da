"""Migrations over networks that die, collapse, heal, or are shared.

Their guests go on as they began: all that changes is the network. Whatever
it will do cannot be known; what it did can.
"""

import collections.abc
import dataclasses
import itertools
import math
import random

from benchmarks.convergence import cases
from kvm_balancer.migration.convergence import link
from kvm_balancer.migration.convergence import patience
from kvm_balancer.virt.simulated import memory


@dataclasses.dataclass(frozen=True)
class Fault:
    """A stretch in which the network carries less than half.

    :ivar level: what it carries, as a share of what it should
    :ivar patient: how long it is waited for: what stays slow for longer is
        gone on with, without post-copy, and what carries next to nothing for
        as long is given up
    """

    begins: float
    ends: float
    level: float
    patient: float

    @property
    def broken(self) -> bool:
        """Next to nothing goes across."""
        return self.level < link.BROKEN_SHARE

    def lost(self, until: float) -> float:
        """Return the seconds that it cost by then."""
        lasted = min(self.ends, until) - self.begins
        return (1.0 - self.level) * max(0.0, min(lasted, self.patient))


def patient_seconds(case: cases.Case) -> float:
    """Return how long a fault of its network is waited for."""
    return patience.PATIENCE[case.options.profile].collapse_seconds


def faults(case: cases.Case) -> list[Fault]:
    """List the faults of a network, those that touch as one."""
    found: list[Fault] = []
    last = (math.inf, 0.0)
    for (at, mib_s), (end, _) in itertools.pairwise((*case.network, last)):
        level = mib_s / case.bandwidth_mib_s
        if level >= link.FAULT_SHARE:
            continue
        if found and found[-1].ends == at:
            before = found.pop()
            at, level = before.begins, min(before.level, level)
        found.append(Fault(at, end, level, patient_seconds(case)))
    return found


def fault_at(case: cases.Case, at: float) -> Fault | None:
    """Return the fault that lasts at a moment, if any."""
    for one in faults(case):
        if one.begins <= at < one.ends:
            return one
    return None


def lost_seconds(case: cases.Case, until: float) -> float:
    """Return what its faults cost by then."""
    return sum(one.lost(until) for one in faults(case))


def known(case: cases.Case, at: float) -> cases.Case:
    """Return the case as it could be known at a moment.

    All stays as it is then, but for a fault that is waited for: it heals
    there and then.
    """
    network = tuple(one for one in case.network if one[0] <= at)
    fault = fault_at(case, at)
    if fault is not None and at < fault.begins + fault.patient:
        network = (*network, (at, case.bandwidth_mib_s))
    shares = tuple(one for one in case.shares if one[0] <= at)
    return dataclasses.replace(case, network=network, shares=shares)


def mended(case: cases.Case) -> cases.Case:
    """Return the same over a network without faults.

    What stays slow is slow from where it is gone on with.
    """
    network: list[tuple[float, float]] = []
    for at, mib_s in case.network:
        fault = fault_at(case, at)
        if fault is None:
            network.append((at, mib_s))
            continue
        network.append((at, case.bandwidth_mib_s))
        accepted = at + fault.patient
        if accepted < fault.ends and not fault.broken:
            network.append((accepted, mib_s))
    return dataclasses.replace(case, network=tuple(network))


# -- drawn from seeds ------------------------------------------------------


def _begins(made: cases.Draft) -> float:
    return made.full_seconds * made.dice.uniform(0.05, 2.5)


def _lasts(made: cases.Draft, patient: float) -> float:
    """Draw how long a fault lasts: nearly always less than is waited."""
    if made.dice.random() < 0.2:
        return patient * made.dice.uniform(1.3, 3.0)
    return made.within(0.5, 0.8 * patient)


def _dead(made: cases.Draft, patient: float) -> cases.Network:
    return ((_begins(made), 0.0),)


def _heals(made: cases.Draft, patient: float) -> cases.Network:
    begins = _begins(made)
    return (
        (begins, 0.0),
        (begins + _lasts(made, patient), made.bandwidth_mib_s),
    )


def _flaps(made: cases.Draft, patient: float) -> cases.Network:
    at, found = _begins(made), []
    for _ in range(made.dice.randint(2, 5)):
        found.append(
            (at, made.bandwidth_mib_s * made.dice.choice((0.0, 0.05)))
        )
        at += made.within(0.5, 0.4 * patient)
        found.append((at, made.bandwidth_mib_s))
        at += made.full_seconds * made.within(0.2, 1.0)
    return tuple(found)


def _collapses(made: cases.Draft, patient: float) -> cases.Network:
    begins, level = _begins(made), made.within(0.01, 0.1)
    found = [(begins, made.bandwidth_mib_s * level)]
    if made.dice.random() < 0.7:
        ends = begins + _lasts(made, patient)
        found.append((ends, made.bandwidth_mib_s))
    return tuple(found)


def _stays_slow(made: cases.Draft, patient: float) -> cases.Network:
    return ((_begins(made), made.bandwidth_mib_s * made.within(0.12, 0.45)),)


def _crowded(made: cases.Draft, patient: float) -> cases.Network:
    """Share the network with others, of whom nothing is told."""
    at, found = _begins(made), []
    for _ in range(made.dice.randint(2, 6)):
        level = made.dice.choice((1.0, 0.8, 0.67, 0.55, 0.33))
        found.append((at, made.bandwidth_mib_s * level))
        at += made.full_seconds * made.within(0.2, 2.0)
    return tuple(found)


def _shared_out(made: cases.Draft) -> cases.Shares:
    """Come and go with other migrations, which is told."""
    at, found = made.full_seconds * made.dice.uniform(0.0, 1.5), []
    for _ in range(made.dice.randint(2, 8)):
        others = made.dice.randint(0, 4)
        share = made.bandwidth_mib_s / (1 + others)
        found.append((at, max(1, int(share)) if others else 0))
        at += made.full_seconds * made.within(0.1, 1.5)
    return tuple(found)


SHARED_OUT = 'shared out'
KINDS: dict[
    str, collections.abc.Callable[[cases.Draft, float], cases.Network] | None
] = {
    'dead': _dead,
    'heals': _heals,
    'flaps': _flaps,
    'collapses': _collapses,
    'stays slow': _stays_slow,
    'crowded': _crowded,
    SHARED_OUT: None,
}


def draw(seed: int, kind: str = '') -> cases.Case:
    """Make the migration of a seed; of one *kind*, or of any."""
    dice = random.Random(f'faults {seed}')
    kind = kind or list(KINDS)[seed % len(KINDS)]
    bandwidth = 50.0 * 40.0 ** dice.random()
    made = cases.Draft(
        dice, bandwidth * 4.0 * 12.0 ** dice.random(), bandwidth
    )
    guest: memory.Guest = dice.choice(cases.STEADY)(made)
    case = cases.Case(
        f'{kind} {seed}', kind, guest, bandwidth, cases.options(made)
    )
    befalls = KINDS[kind]
    if befalls is None:
        case = dataclasses.replace(case, shares=_shared_out(made))
    else:
        network = befalls(made, patient_seconds(case))
        case = dataclasses.replace(case, network=network)
    return cases.predicted(case) if dice.random() < 0.5 else case
