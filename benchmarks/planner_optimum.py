"""Plans against a CP-SAT model of the same problem: time and quality.

Both get the same rules (who may be moved, memory, vCPUs, disk, CPU load up to
all cores) and the same objective: the fewest moves to a spread. The solver
begins with our plan as its hint, has a limit of time that is stated, and one
worker. It knows nothing of the order of moves, and its spread is relaxed by
what rounding to whole numbers may cost, so what it proves holds for all plans.
What is told is the best answer it found, its best bound, and how far our plan
may be over the optimum: its gap to the better of that bound and our own. Each
line is printed when it is known. Run ``python -m benchmarks.planner_optimum
--bench DIRECTORY``; needs ``ortools``.
"""

import argparse
import collections.abc
import dataclasses
import math
import pathlib
import sys
import tempfile
import time

import numpy as np
from ortools.sat.python import cp_model
from rich import console

from benchmarks import planner_judged as judged
from kvm_balancer.messages import fleet_document
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement
from kvm_balancer.planner import bounds

_TARGET = 0.10
#: hosts, instances and seeds of the fleets
_FLEETS = ((20, 200, 1), (20, 200, 2), (50, 500, 1), (50, 500, 2))
_TITLES = (
    *('fleet', 'plan: moves', 'CPU s', 'bound'),
    *('CP-SAT: moves', 'CPU s', 'bound', 'gap'),
)
_LINE = '{:<22} {:>11} {:>7} {:>5}  {:>14} {:>7} {:>5} {:>5}'
#: a load of 1.0 in whole numbers
_FULL = 10_000


@dataclasses.dataclass(frozen=True, slots=True)
class Solved:
    """What the solver found.

    :ivar moves: of the best answer; None without any
    :ivar least: no answer has fewer, the best bound that it proved
    :ivar optimal: the answer is proven to be the best
    """

    moves: int | None
    least: int
    seconds: float
    optimal: bool


def solve(
    fleet: columns.Fleet,
    target: float,
    seconds: float,
    hint: columns.Ints,
) -> Solved:
    """Look for the fewest moves to *target*, for so many seconds.

    :param hint: the host of each instance in a plan that is known
    """
    began = time.process_time()
    model = cp_model.CpModel()
    at, moves = _places(model, fleet)
    for row, host in zip(at, hint.tolist(), strict=True):
        for place, var in enumerate(row):
            model.add_hint(var, place == host)
    _rooms(model, fleet, at)
    _spread(model, fleet, at, target, hint)
    model.minimize(moves)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    # seconds of its own kind, whatever else the machine does
    solver.parameters.max_deterministic_time = seconds
    status = solver.solve(model)
    found = status in (cp_model.OPTIMAL, cp_model.FEASIBLE)
    return Solved(
        int(solver.objective_value) if found else None,
        math.ceil(solver.best_objective_bound - 1e-6),
        time.process_time() - began,
        status == cp_model.OPTIMAL,
    )


Places = list[list[cp_model.IntVar]]


def _places(
    model: cp_model.CpModel, fleet: columns.Fleet
) -> tuple[Places, cp_model.LinearExprT]:
    """Return whether each instance ends on each host, and the moves."""
    at = [
        [model.new_bool_var('') for _ in fleet.hosts.name]
        for _ in fleet.instances.id
    ]
    for row in at:
        model.add_exactly_one(row)
    homes = fleet.instances.host.tolist()
    stay = [row[home] for row, home in zip(at, homes, strict=True)]
    for staying, movable in zip(
        stay, fleet.instances.movable.tolist(), strict=True
    ):
        if not movable:
            model.add(staying == 1)
    return at, len(stay) - sum(stay)


def _on(
    at: Places, host: int, sizes: collections.abc.Sequence[int]
) -> cp_model.LinearExprT:
    return cp_model.LinearExpr.weighted_sum([row[host] for row in at], sizes)


def _rooms(model: cp_model.CpModel, fleet: columns.Fleet, at: Places) -> None:
    hosts, state = fleet.hosts, placement.Placement(fleet)
    whole = (
        hosts.memory_capacity_mib,
        hosts.vcpu_capacity,
        hosts.disk_capacity_gib,
    )
    for need, most in zip(state.need, whole, strict=True):
        sizes = [round(float(one)) for one in need]
        for host in range(len(hosts)):
            if np.isfinite(most[host]):
                model.add(_on(at, host, sizes) <= int(most[host]))
    sizes = _shares(fleet)
    # rounding may be off by half a unit for each instance
    full = _FULL + len(sizes) // 2
    for host in range(len(hosts)):
        model.add(_on(at, host, sizes) <= full)


def _shares(fleet: columns.Fleet) -> list[int]:
    """Return what each instance uses of a host, in whole numbers.

    :raises ValueError: where hosts differ: the model knows one size
    """
    (cpus,) = np.unique(fleet.hosts.cpus).tolist()
    return [
        round(float(one) / cpus * _FULL) for one in fleet.instances.cpu_usage
    ]


def _spread(
    model: cp_model.CpModel,
    fleet: columns.Fleet,
    at: Places,
    target: float,
    hint: columns.Ints,
) -> None:
    """Keep the spread under *target*; the mean does not change.

    By the triangle inequality rounding adds no more to the root of the sum
    of squares than half a unit for each instance, and for the mean on each
    host.
    """
    mean = round(float(fleet.cpu_load.mean()) * _FULL)
    sizes = _shares(fleet)
    hinted = np.bincount(hint, weights=sizes, minlength=len(fleet.hosts))
    squares = []
    for host in range(len(fleet.hosts)):
        away = model.new_int_var(-_FULL, 2 * _FULL, '')
        model.add(away == _on(at, host, sizes) - mean)
        model.add_hint(away, int(hinted[host]) - mean)
        square = model.new_int_var(0, 4 * _FULL**2, '')
        model.add_hint(square, (int(hinted[host]) - mean) ** 2)
        model.add_multiplication_equality(square, [away, away])
        squares.append(square)
    count = len(squares)
    most = math.sqrt(count) * target * _FULL
    most += len(sizes) / 2 + math.sqrt(count) / 2
    model.add(sum(squares) <= int(most**2))


def main(argv: collections.abc.Sequence[str] | None = None) -> int:
    """Compare on fleets of two sizes."""
    parser = judged.parser(__doc__.splitlines()[0])
    parser.add_argument(
        '--seconds',
        type=float,
        default=15.0,
        help='For the solver, of each fleet, as it counts them: about two '
        'to four times as many of processor time (default: %(default)s).',
    )
    chosen = parser.parse_args(argv)
    told = console.Console(width=100)
    told.print(f'Fewest moves to a CPU spread of {_TARGET}')
    told.print(_LINE.format(*_TITLES))
    with tempfile.TemporaryDirectory() as once:
        bench = _bench(parser, chosen, pathlib.Path(once))
        for hosts, instances, seed in _FLEETS:
            path = bench.fleet(hosts, instances, seed)
            cells = _compared(bench, path, chosen.seconds)
            name = f'{hosts} x {instances}, seed {seed}'
            told.print(_LINE.format(name, *cells))
    return 0


def _compared(
    bench: judged.Bench, path: pathlib.Path, seconds: float
) -> tuple[str, ...]:
    """Plan for the fleet of a file, and have the solver try the same."""
    task = judged.Task(path, 'spread', {'target': _TARGET})
    made = bench.made(task, target=_TARGET)
    fleet = fleet_document.decode(path.read_bytes())
    state = placement.Placement(fleet)
    least = bounds.moves_to_spread(state, fleet.instances.movable, _TARGET)
    hint = fleet.instances.host.copy()
    for move in made.document['moves']:
        row = fleet.instance_row[move['instance']]
        hint[row] = fleet.host_row[move['destination']]
    found = solve(fleet, _TARGET, seconds, hint)
    proven = max(found.least, least or 0)
    gap = (made.moves - proven) / max(1, proven)
    return (
        *(str(made.moves), f'{made.seconds:.3f}', str(least)),
        f'{found.moves}{" (optimal)" if found.optimal else ""}',
        *(f'{found.seconds:.1f}', str(found.least), f'{gap:.0%}'),
    )


def _bench(
    parser: argparse.ArgumentParser,
    chosen: argparse.Namespace,
    once: pathlib.Path,
) -> judged.Bench:
    try:
        return judged.Bench(chosen.bench, chosen.scratch or once)
    except FileNotFoundError as error:
        parser.error(str(error))


if __name__ == '__main__':
    sys.exit(main())
