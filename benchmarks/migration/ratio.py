"""Total time against the time that memory in use takes once.

For dirty rates of 0.1 to 4 times the bandwidth, post-copy allowed; beside
it what auto-converge alone takes, which is the anchor. What libvirt takes
before the first byte and after the last (it starts a QEMU and ends one) is
measured on the same guest, idle, with a bare ``virsh`` in the same run, and
taken off; the ratio with it is told as well.
"""

from benchmarks.migration import foresight
from benchmarks.migration import ground
from benchmarks.migration import reckoning
from benchmarks.migration import report
from benchmarks.migration import ways
from kvm_balancer.lab import bootsector
from kvm_balancer.migration import request

_LINK_MIB_S = 32.0
_WORKING_SET_MIB = 240
_RATES = (0.1, 0.5, 1.0, 2.0, 4.0)
#: The anchor takes minutes each: where it is seen best, and no further.
_ANCHORED = (1.0,)
_ANCHOR_SECONDS = 100
_MARGIN = 1.05

_HYBRID = request.Options(post_copy=True)


def run(place: ground.Ground, pairs: int) -> report.Report:
    """Measure each rate *pairs* times."""
    once = ground.FILLED_MIB / _LINK_MIB_S
    told = report.Report(
        'ratio',
        f'total time over memory in use / bandwidth = {once:g} s; '
        f'{ground.FILLED_MIB} MiB in use, {_WORKING_SET_MIB} written to, '
        f'link of {_LINK_MIB_S:g} MiB/s, post-copy allowed',
        f'at most {_MARGIN} x (1 + min(rate, W/V)), without what libvirt '
        f'takes for an idle guest besides the copy',
    )
    uid = place.guest()
    place.limit(_LINK_MIB_S)
    idle = [ways.bare(place, uid).seconds for _ in range(2)]
    besides = max(0.0, reckoning.median(idle) - once)
    told.figures['s that libvirt takes besides the copy'] = besides
    told.say(f'{besides:.2f} s besides the copy')
    spreads: list[float] = []
    fits = True
    for rate in _RATES:
        _load(place, uid, rate)
        predicted = foresight.predict(place, uid, _HYBRID, _LINK_MIB_S)
        runs = [
            ways.ours(place, uid, _HYBRID, predicted) for _ in range(pairs)
        ]
        taken = [one.seconds for one in runs]
        spreads.append(max(taken) - min(taken))
        limit = 1 + min(rate, _WORKING_SET_MIB / ground.FILLED_MIB)
        ratio = (reckoning.median(taken) - besides) / once
        fits = fits and ratio <= _MARGIN * limit
        last = runs[-1].outcome
        told.rows.append(
            {
                'dirty rate / bandwidth': rate,
                'total s': reckoning.median(taken),
                'with libvirt': reckoning.median(taken) / once,
                'ratio': ratio,
                'hybrid limit': limit,
                'ratio / limit': ratio / limit,
                'mode': str(last.mode) if last else '',
                'auto-converge alone': _anchor(place, uid, rate, once),
            }
        )
        told.say(f'{rate:g}: {told.rows[-1]}')
    place.limit(None)
    place.remove(uid)
    told.reached = fits
    told.identical = f'{max(spreads):.2f} s at most, at one rate'
    told.notes.append(
        f'auto-converge alone: virsh, which suspends the guest after '
        f'{_ANCHOR_SECONDS} s; a guest that computes nothing is hardly '
        f'slowed down by it'
    )
    return told


def _load(place: ground.Ground, uid: str, rate: float) -> None:
    place.load(
        uid,
        bootsector.Load(
            cpu=0.0,
            dirty_mib_s=rate * _LINK_MIB_S,
            working_set_mib=_WORKING_SET_MIB,
        ),
    )


def _anchor(place: ground.Ground, uid: str, rate: float, once: float) -> str:
    if rate not in _ANCHORED:
        return ''
    ended = ways.bare(
        place,
        uid,
        ('--auto-converge', f'--timeout={_ANCHOR_SECONDS}'),
    )
    sign = '> ' if ended.seconds > _ANCHOR_SECONDS else ''
    return f'{sign}{min(ended.seconds, _ANCHOR_SECONDS) / once:.1f}'
