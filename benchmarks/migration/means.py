"""What compression and parallel connections bring: MiB and time.

A guest of which one word of a page changes is the best case of xbzrle, one
of which all words do is its worst.
"""

from benchmarks.migration import ground
from benchmarks.migration import reckoning
from benchmarks.migration import report
from benchmarks.migration import ways
from kvm_balancer.lab import bootsector
from kvm_balancer.migration import request

_LINK_MIB_S = 96.0
# Within the cache that QEMU gives xbzrle by itself: 64 MiB.
_WORKING_SET_MIB = 60
_RATE = 0.8

_PLAIN = request.Options(auto_converge=False)
_MEANS = {
    'plain': _PLAIN,
    'xbzrle': request.Options(auto_converge=False, compression='xbzrle'),
    '2 connections': request.Options(
        auto_converge=False, parallel_connections=2
    ),
    '4 connections': request.Options(
        auto_converge=False, parallel_connections=4
    ),
}


def run(place: ground.Ground, pairs: int) -> report.Report:
    """Measure each means *pairs* times, in turns."""
    told = report.Report(
        'means',
        f'guest of {ground.MEMORY_MIB} MiB, {ground.FILLED_MIB} filled, '
        f'writes {_RATE:g} x bandwidth over {_WORKING_SET_MIB} MiB, link of '
        f'{_LINK_MIB_S:g} MiB/s',
        'never slower where chosen automatically (nothing is: an operator '
        'or the instance asks)',
    )
    spreads = []
    for name, whole in (('one word a page', False), ('whole pages', True)):
        uid = place.guest(
            bootsector.Load(
                cpu=0.0,
                dirty_mib_s=_RATE * _LINK_MIB_S,
                working_set_mib=_WORKING_SET_MIB,
                whole_pages=whole,
            )
        )
        place.limit(_LINK_MIB_S)
        runs: dict[str, list[ways.Run]] = {means: [] for means in _MEANS}
        for _ in range(pairs):
            for means, options in _MEANS.items():
                runs[means].append(ways.ours(place, uid, options))
                told.say(f'{name}, {means}: {runs[means][-1].seconds:.1f} s')
        place.limit(None)
        place.remove(uid)
        plain = reckoning.median(one.seconds for one in runs['plain'])
        for means, made in runs.items():
            taken = [one.seconds for one in made]
            spreads.append(max(taken) - min(taken))
            told.rows.append(
                {
                    'what changes': name,
                    'means': means,
                    'runs': pairs,
                    's': reckoning.median(taken),
                    'over plain s': reckoning.median(taken) - plain,
                    'MiB': reckoning.median(
                        one.copied.transferred_mib for one in made
                    ),
                    'passes': max(one.copied.iteration for one in made),
                    'downtime ms': reckoning.median(
                        one.downtime_ms or 0.0 for one in made
                    ),
                }
            )
    told.identical = f'{max(spreads):.2f} s at most'
    return told
