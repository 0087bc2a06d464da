"""Is bandwidth left for one more stream? Pure.

What others send over the network of migrations is what goes over it less what
migrations use. Of these it is known what each may use at most, not what it
uses just now; so there are two bounds on what the others use. A check fails
only where even the lower of them leaves too little, and passes only where the
upper one leaves enough. How migrations share what is left is the arbiter's
matter (:mod:`.bandwidth`).
"""

import collections.abc
import dataclasses
import math

from kvm_balancer.migration import events

#: Names of the check: at the source, and at the destination.
SOURCE, DESTINATION = 'bandwidth here', 'bandwidth'

#: No traffic is told of a longer time than this. A migration that has ended
#: counts for so long, as what it used is still seen.
LONGEST_SECONDS = 4.0


@dataclasses.dataclass(frozen=True, slots=True)
class Traffic:
    """What goes over the interface that carries migrations, one way.

    :ivar interface: its name; empty where it is not known
    :ivar mib_s: what everybody sends over it; None where it is not known
    :ivar speed_mib_s: what it carries; None where it does not tell
    :ivar migrations: that the hypervisor knows of, and may be in it
    :ivar trouble: why something is not known
    """

    interface: str = ''
    mib_s: float | None = None
    speed_mib_s: float | None = None
    migrations: int = 0
    trouble: str = ''


@dataclasses.dataclass(frozen=True, slots=True)
class Terms:
    """What an operator says of the network of migrations of a host.

    :ivar stated_mib_s: what it carries; None where nobody said so
    :ivar free_percent: a migration needs so much of it to be free
    """

    stated_mib_s: float | None = None
    free_percent: float = 5.0


class Departed:
    """What streams could use that ended a moment ago."""

    def __init__(self) -> None:
        self._caps: dict[str, tuple[float, float]] = {}

    def note(self, migration_id: str, cap_mib_s: float, now: float) -> None:
        """Take note of one that ends now."""
        self._caps[migration_id] = now, cap_mib_s

    def caps_mib_s(self, now: float) -> dict[str, float]:
        """Return what may still be seen of them, by migration."""
        since = now - LONGEST_SECONDS
        self._caps = {
            name: one for name, one in self._caps.items() if one[0] > since
        }
        return {name: cap for name, (_, cap) in self._caps.items()}


def check(
    name: str,
    seen: Traffic,
    terms: Terms,
    caps_mib_s: collections.abc.Collection[float] = (),
    limit_mib_s: float = 0.0,
) -> events.Check:
    """Say whether enough of a host's network is free for one more stream.

    :param name: :data:`SOURCE` or :data:`DESTINATION`
    :param caps_mib_s: the most that each of the other migrations can use,
        MiB/s; 0 for all there is
    :param limit_mib_s: of the new stream, which needs no more; 0 for none
    """
    if seen.mib_s is None:
        return events.Check(
            name,
            events.Verdict.UNKNOWN,
            f'what goes over the network: {seen.trouble}',
            'see there what is left of it: ip -s link',
        )
    known = [
        one
        for one in (terms.stated_mib_s, seen.speed_mib_s)
        if one is not None
    ]
    if not known:
        return events.Check(
            name,
            events.Verdict.UNKNOWN,
            f'{seen.mib_s:.1f} MiB/s go over {seen.interface}, which does not '
            'tell how much it carries',
            'state it there: [host] migration_mib_s',
        )
    caps = [one or math.inf for one in caps_mib_s]
    caps += [math.inf] * (seen.migrations - len(caps))
    carries = min(known)
    needed = carries * terms.free_percent / 100.0
    if limit_mib_s > 0:
        needed = min(needed, limit_mib_s)
    told = f'{seen.mib_s:.1f} of {carries:.0f} MiB/s go over {seen.interface}'
    if caps:
        many = 'migration' if len(caps) == 1 else 'migrations'
        told += f', what {len(caps)} {many} may use among them'
    return _judged(
        name,
        told,
        needed,
        _free(carries, seen.mib_s),
        _free(carries, max(0.0, seen.mib_s - sum(caps))),
    )


def _free(carries_mib_s: float, used_mib_s: float) -> float:
    return max(0.0, carries_mib_s - used_mib_s)


def _judged(
    name: str, told: str, needed: float, least: float, most: float
) -> events.Check:
    """Make the check of what is free at least and at most, MiB/s."""
    if most < needed:
        return events.Check(
            name,
            events.Verdict.FAILED,
            f'{told}: {most:.1f} MiB/s are free, and a migration needs '
            f'{needed:.1f}',
            'wait until others send less, or see [host] migration_mib_s and '
            'migration_free_percent there',
        )
    if least < needed:
        return events.Check(
            name,
            events.Verdict.UNKNOWN,
            f'{told}: how much of it they use, and will share, is not told',
        )
    return events.Check(
        name, events.Verdict.PASSED, f'{told}: {least:.1f} MiB/s are free'
    )
