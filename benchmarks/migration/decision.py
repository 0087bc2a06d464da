"""How soon post-copy is chosen for a guest that cannot converge.

Two guests, one that writes to nearly all of its memory and one that writes
to half of it, whose copy looks after one pass as if it converged: only what
was measured before tells. Two cases: no throttle is allowed, and a throttle
of 40 % is, which slows no guest that has time to spare.

What is judged is the decision, from the boundary that QEMU told to the one
at which post-copy was chosen. Beside it, heard by an ear of its own on
libvirt's events: when the guest really stopped for it, with QEMU's own delay
(its monitor may not answer for seconds while it is busy under emulation).
"""

from benchmarks.migration import foresight
from benchmarks.migration import ground
from benchmarks.migration import reckoning
from benchmarks.migration import report
from benchmarks.migration import ways
from kvm_balancer.lab import bootsector
from kvm_balancer.migration import request
from kvm_balancer.model import plan

_LINK_MIB_S = 64.0
_DIRTY_MIB_S = 2 * _LINK_MIB_S
_WORKING_SETS_MIB = (440, 240)
_LIMIT_SECONDS = 1.0
_LIMIT_PASSES = 2
_THROTTLE_PERCENT = 40
_FEWER = 3


def run(place: ground.Ground, pairs: int) -> report.Report:
    """Measure *pairs* runs without a throttle, and a third with one."""
    told = report.Report(
        'decision',
        f'post-copy for a guest of {ground.MEMORY_MIB} MiB that writes '
        f'{_DIRTY_MIB_S:g} MiB/s, link of {_LINK_MIB_S:g} MiB/s',
        f'first full pass + {_LIMIT_SECONDS:g} s; within {_LIMIT_PASSES} '
        f'passes after the allowed throttle',
    )
    noises = []
    reached = True
    for working_set_mib in _WORKING_SETS_MIB:
        load = bootsector.Load(
            cpu=0.0,
            dirty_mib_s=_DIRTY_MIB_S,
            working_set_mib=working_set_mib,
        )
        uid = place.guest(load)
        place.limit(_LINK_MIB_S)
        taken = _without_throttle(place, uid, pairs, told)
        noises.append(reckoning.noise(taken))
        reached = reached and bool(taken) and max(taken) <= _LIMIT_SECONDS
        if working_set_mib == _WORKING_SETS_MIB[-1]:
            passes = _with_throttle(place, uid, -(-pairs // _FEWER), told)
            reached = reached and bool(passes) and max(passes) <= _LIMIT_PASSES
        place.limit(None)
        place.remove(uid)
    told.reached = reached
    told.identical = f'{max(noises) * 1e3:.0f} ms (median)'
    return told


def _without_throttle(
    place: ground.Ground, uid: str, runs: int, told: report.Report
) -> list[float]:
    options = request.Options(
        auto_converge=False, max_throttle_percent=0, post_copy=True
    )
    predicted = foresight.predict(place, uid, options, _LINK_MIB_S)
    taken: list[float] = []
    stopped: list[float] = []
    for _ in range(runs):
        ended = ways.ours(place, uid, options, predicted)
        first = place.passes(uid).get(2)
        switched = place.switched(uid)
        if first is None or switched is None:
            told.notes.append(f'no post-copy: {_why(ended)}')
            continue
        taken.append(_decided_seconds(ended))
        stopped.append(switched - first)
        told.say(
            f'decided after {taken[-1]:.3f} s, stopped after '
            f'{stopped[-1]:.3f} s, all {ended.seconds:.1f} s'
        )
    told.rows.append(
        {
            'writes to MiB': place.working_set_mib(uid),
            'throttle allowed': 'none',
            'runs': runs,
            'in post-copy': len(taken),
            's to the decision': _spread(taken, 3),
            's to the stop': _spread(stopped, 3),
            'highest throttle seen': 0,
            'passes after it': '',
        }
    )
    return taken


def _with_throttle(
    place: ground.Ground, uid: str, runs: int, told: report.Report
) -> list[float]:
    options = request.Options(
        max_throttle_percent=_THROTTLE_PERCENT,
        post_copy=True,
        # the throttle is to act first
        post_copy_patience=10.0,
    )
    predicted = foresight.predict(place, uid, options, _LINK_MIB_S)
    passes: list[float] = []
    taken: list[float] = []
    stopped: list[float] = []
    throttles = [0]
    for _ in range(runs):
        ended = ways.ours(place, uid, options, predicted)
        first = place.passes(uid).get(2)
        switched = place.switched(uid)
        if first is None or switched is None:
            told.notes.append(f'no post-copy: {_why(ended)}')
            continue
        taken.append(_decided_seconds(ended))
        stopped.append(switched - first)
        throttles.append(max(one.throttle_percent for one in ended.seen))
        passes.append(_passes_after(ended))
        told.say(
            f'{passes[-1]:g} passes after {throttles[-1]} %, '
            f'all {ended.seconds:.1f} s'
        )
    told.rows.append(
        {
            'writes to MiB': place.working_set_mib(uid),
            'throttle allowed': f'{_THROTTLE_PERCENT} %',
            'runs': runs,
            'in post-copy': len(taken),
            's to the decision': _spread(taken, 3),
            's to the stop': _spread(stopped, 3),
            'highest throttle seen': max(throttles),
            'passes after it': _spread(passes, 0),
        }
    )
    return passes


def _decided_seconds(ended: ways.Run) -> float:
    """Return from the end of the first full pass to the decision."""
    if ended.outcome is None:
        raise RuntimeError('no record of it')
    at: dict[str, float] = {}
    for line in ended.outcome.story:
        for mark in ('pass 1:', 'post-copy:'):
            if line.text.startswith(mark):
                at.setdefault(mark, line.at)
    return at['post-copy:'] - at['pass 1:']


def _passes_after(ended: ways.Run) -> float:
    """Return the passes that ended after the throttle was what it may be.

    The last pass, which post-copy cut short, does not count. Where it never
    came so far, nothing was waited for.
    """
    spent = [
        one.iteration
        for one in ended.seen
        if one.throttle_percent >= _THROTTLE_PERCENT
    ]
    last = max(one.iteration for one in ended.seen)
    return float(last - spent[0]) if spent else 0.0


def _spread(values: list[float], digits: int) -> str:
    if not values:
        return ''
    middle = reckoning.median(values)
    return (
        f'{middle:.{digits}f} ({min(values):.{digits}f} to '
        f'{max(values):.{digits}f})'
    )


def _why(ended: ways.Run) -> str:
    if ended.outcome is None:
        return ''
    mode = 'pre-copy'
    if ended.outcome.mode is plan.Mode.POST_COPY:
        mode = 'post-copy, unheard'
    return f'{mode}: {ended.outcome.story[-4].text}'
