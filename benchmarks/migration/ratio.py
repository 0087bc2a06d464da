"""Total time against the time that memory in use takes once.

For dirty rates of 0.1 to 4 times the bandwidth, post-copy allowed; beside
it what auto-converge alone takes, which is the anchor. All counts, from the
request to the verified end: what libvirt takes before the first byte and
after the last (it starts a QEMU and ends one), too. That is the same for
small guests and large ones, and a good part of the time of the smallest: so
there are two guests, and what the copy alone took is told as well.
"""

import dataclasses

from benchmarks.migration import foresight
from benchmarks.migration import ground
from benchmarks.migration import reckoning
from benchmarks.migration import report
from benchmarks.migration import ways
from kvm_balancer.lab import bootsector
from kvm_balancer.migration import request
from kvm_balancer.model import outcome as outcomes

_LINK_MIB_S = 32.0
#: What a stream of memory can use of it.
_BANDWIDTH_MIB_S = _LINK_MIB_S * ground.PAYLOAD
_RATES = (0.1, 0.5, 1.0, 2.0, 4.0)
#: The anchor takes minutes each: where it is seen best, and no further.
_ANCHORED = (1.0,)
_ANCHOR_SECONDS = 100
_MARGIN = 1.05

_HYBRID = request.Options(post_copy=True)


@dataclasses.dataclass(frozen=True, slots=True)
class Size:
    """A guest; half of what is in use is written to.

    :ivar every: it is measured once in so many pairs, and once at least
    """

    memory_mib: int
    filled_mib: int
    every: int

    @property
    def working_set_mib(self) -> int:
        """What it writes to."""
        return self.filled_mib // 2

    @property
    def once(self) -> float:
        """Seconds that its memory in use takes."""
        return self.filled_mib / _BANDWIDTH_MIB_S


_SMALL = Size(ground.MEMORY_MIB, ground.FILLED_MIB, 1)
_LARGE = Size(2048, 1920, 4)


def run(place: ground.Ground, pairs: int) -> report.Report:
    """Measure each rate *pairs* times."""
    told = report.Report(
        'ratio',
        f'total time over memory in use / bandwidth, half of it written to, '
        f'{_BANDWIDTH_MIB_S:.1f} MiB/s of a link of {_LINK_MIB_S:g}, post-copy'
        f' allowed',
        f'at most {_MARGIN} x (1 + min(rate, W/V)) with all that libvirt '
        f'takes, of a guest of {_LARGE.memory_mib} MiB',
    )
    spreads: list[float] = []
    for size in (_SMALL, _LARGE):
        place.limit(None)
        uid = place.guest(
            memory_mib=size.memory_mib, filled_mib=size.filled_mib
        )
        place.limit(_LINK_MIB_S)
        spreads += _measure(place, uid, size, pairs, told)
        place.remove(uid)
    place.limit(None)
    told.reached = all(
        float(row['over limit'] or 0.0) <= _MARGIN
        for row in told.rows
        if row['MiB'] == _LARGE.filled_mib
    )
    told.identical = f'{max(spreads):.2f} s at most, at one rate'
    told.notes.append(
        f'auto-converge alone: virsh, which suspends the guest after '
        f'{_ANCHOR_SECONDS} s; a guest that computes nothing is hardly '
        f'slowed down by it'
    )
    return told


def _measure(
    place: ground.Ground,
    uid: str,
    size: Size,
    pairs: int,
    told: report.Report,
) -> list[float]:
    """Measure all rates of one guest; return what equal runs differ by."""
    times = max(1, pairs // size.every)
    spreads = []
    for rate in _RATES:
        _load(place, uid, rate, size)
        predicted = foresight.predict(place, uid, _HYBRID, _BANDWIDTH_MIB_S)
        runs = [
            ways.ours(place, uid, _HYBRID, predicted) for _ in range(times)
        ]
        taken = [one.seconds for one in runs]
        spreads.append(max(taken) - min(taken))
        ratio = reckoning.median(taken) / size.once
        limit = 1 + min(rate, size.working_set_mib / size.filled_mib)
        told.rows.append(
            {
                'MiB': size.filled_mib,
                'dirty rate / bandwidth': rate,
                'total s': reckoning.median(taken),
                'ratio': ratio,
                'hybrid limit': limit,
                'over limit': ratio / limit,
                'copy alone': _copying(runs) / size.once / limit,
                'mode': _mode(runs[-1].outcome),
                'auto-converge alone': _anchor(place, uid, rate, size),
            }
        )
        told.say(f'{told.rows[-1]}')
    return spreads


def _copying(runs: list[ways.Run]) -> float:
    """Return the seconds in which memory was copied."""
    return reckoning.median(
        (one.outcome.copying_ms or 0.0) / 1000.0
        for one in runs
        if one.outcome is not None
    )


def _mode(ended: outcomes.Outcome | None) -> str:
    return str(ended.mode) if ended else ''


def _load(place: ground.Ground, uid: str, rate: float, size: Size) -> None:
    place.load(
        uid,
        bootsector.Load(
            cpu=0.0,
            dirty_mib_s=rate * _BANDWIDTH_MIB_S,
            working_set_mib=size.working_set_mib,
        ),
    )


def _anchor(place: ground.Ground, uid: str, rate: float, size: Size) -> str:
    if size is not _SMALL or rate not in _ANCHORED:
        return ''
    ended = ways.bare(
        place,
        uid,
        ('--auto-converge', f'--timeout={_ANCHOR_SECONDS}'),
    )
    sign = '> ' if ended.seconds > _ANCHOR_SECONDS else ''
    return f'{sign}{min(ended.seconds, _ANCHOR_SECONDS) / size.once:.1f}'
