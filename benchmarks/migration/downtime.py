"""Downtime, ours and a bare ``virsh``'s: idle guest and converging guest.

Both are what QEMU says of the job on its source. The two are compared in
pairs, there and back, first the one and then the other.
"""

from benchmarks.migration import ground
from benchmarks.migration import reckoning
from benchmarks.migration import report
from benchmarks.migration import ways
from kvm_balancer.lab import bootsector
from kvm_balancer.migration import request

_LINK_MIB_S = 256.0
_CONVERGING = bootsector.Load(
    cpu=0.0, dirty_mib_s=0.4 * _LINK_MIB_S, working_set_mib=160
)
_LEVEL = 0.05

#: As bare as virsh: it throttles nothing.
_OPTIONS = request.Options(auto_converge=False)


def run(place: ground.Ground, pairs: int) -> report.Report:
    """Measure *pairs* pairs of each guest."""
    told = report.Report(
        'downtime',
        f'downtime in ms; guest of {ground.MEMORY_MIB} MiB, '
        f'{ground.FILLED_MIB} filled, link of {_LINK_MIB_S:g} MiB/s',
        f'no difference that {pairs} pairs show: p of the sign-flip test '
        f'over {_LEVEL}, or ours is shorter',
    )
    reached = True
    noises = []
    for name, load in (('idle', ground.IDLE), ('converging', _CONVERGING)):
        uid = place.guest(load)
        place.limit(_LINK_MIB_S)
        ours: list[float] = []
        bare: list[float] = []
        for pair in range(pairs):
            for way in (0, 1) if pair % 2 else (1, 0):
                if way:
                    ours.append(_downtime(ways.ours(place, uid, _OPTIONS)))
                else:
                    bare.append(_downtime(ways.bare(place, uid)))
            told.say(f'{name}: ours {ours[-1]:g}, virsh {bare[-1]:g} ms')
        place.limit(None)
        place.remove(uid)
        found = reckoning.compare(ours, bare)
        noises.append(f'{found.noise:.0f} ms ({name})')
        reached = reached and (found.p > _LEVEL or found.difference < 0)
        told.rows.append(
            {
                'guest': name,
                'pairs': pairs,
                'ours ms': found.ours,
                'virsh ms': found.other,
                'median difference ms': found.difference,
                'p': found.p,
            }
        )
    told.reached = reached
    told.identical = ', '.join(noises) + ', median'
    return told


def _downtime(ended: ways.Run) -> float:
    if ended.downtime_ms is None:
        raise RuntimeError('libvirt did not tell the downtime')
    return ended.downtime_ms
