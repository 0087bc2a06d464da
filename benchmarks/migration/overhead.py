"""What our migration takes over a bare ``virsh migrate`` of the same guest.

Ours is timed from the start of the runner (connections to both ends,
pre-flight, the copy, its end, the look at both ends) to the outcome; virsh
from the start of its process to its end. What the start of the interpreter
costs ``kvm-balancer migrate`` besides is told apart.
"""

import itertools
import pathlib
import subprocess
import sys
import time

from benchmarks.migration import ground
from benchmarks.migration import reckoning
from benchmarks.migration import report
from benchmarks.migration import ways

_LINK_MIB_S = 256.0
_LIMIT_MS = 100.0


def run(place: ground.Ground, pairs: int) -> report.Report:
    """Measure *pairs* pairs, there and back."""
    told = report.Report(
        'overhead',
        f'time over virsh migrate; idle guest of {ground.MEMORY_MIB} MiB, '
        f'{ground.FILLED_MIB} filled, link of {_LINK_MIB_S:g} MiB/s',
        f'median of pairs under {_LIMIT_MS:g} ms',
    )
    uid = place.guest()
    place.limit(_LINK_MIB_S)
    ours: list[float] = []
    bare: list[float] = []
    steps: dict[str, list[float]] = {}
    for pair in range(pairs + 1):
        for is_ours in (True, False) if pair % 2 else (False, True):
            way = ways.ours if is_ours else ways.bare
            ended = way(place, uid)
            if not pair:
                # What is loaded and made at first use.
                continue
            (ours if ended.outcome else bare).append(ended.seconds * 1e3)
            if ended.outcome:
                _note_steps(steps, ended)
            told.say(f'{way.__name__} {ended.seconds:.3f} s')
    place.remove(uid)
    found = reckoning.compare(ours, bare)
    told.rows.append(
        {
            'pairs': pairs,
            'ours ms': found.ours,
            'virsh ms': found.other,
            'difference ms': found.difference,
            'p': found.p,
        }
    )
    told.reached = found.difference < _LIMIT_MS
    told.identical = f'{found.noise:.0f} ms (median, virsh)'
    for step, taken in steps.items():
        told.figures[f'ours, ms {step}'] = reckoning.median(taken)
    told.figures['ms that kvm-balancer takes to start, apart'] = _start_ms()
    return told


def _note_steps(steps: dict[str, list[float]], ended: ways.Run) -> None:
    """Take from the story how long each state lasted."""
    if ended.outcome is None:
        return
    story = ended.outcome.story
    entered: dict[str, float] = {}
    for line in story:
        entered.setdefault(line.state, line.at)
    for state, after in itertools.pairwise(entered):
        took = (entered[after] - entered[state]) * 1e3
        steps.setdefault(state, []).append(took)


def _start_ms() -> float:
    program = pathlib.Path(sys.executable).with_name('kvm-balancer')
    taken = []
    for _ in range(5):
        began = time.perf_counter()
        subprocess.run(
            [str(program), 'migrate', '--help'],
            check=True,
            capture_output=True,
        )
        taken.append((time.perf_counter() - began) * 1e3)
    return reckoning.median(taken)
