"""The figures that plans are held to: anchor, what to reach, what is reached.

Every plan is judged by a program of its own (see :mod:`.planner_judged`);
"wrong" counts what it finds. Run ``python -m benchmarks.planner_figures
--bench DIRECTORY``; names of parts after that choose among them.
"""

import collections.abc
import dataclasses
import math
import pathlib
import sys
import tempfile

from oslo_config import cfg
from rich import console
from rich import table

from benchmarks import planner
from benchmarks import planner_judged as judged
from kvm_balancer.conf import opts
from kvm_balancer.messages import fleet_document
from kvm_balancer.planner import workspace
from kvm_balancer.service import plugins

_TARGET, _LIMIT = 0.10, 0.8
#: moves and GiB of the greedy on the frontier between the two
_FRONTIER = ((77, 2389), (83, 1884), (113, 1538))
#: moves and GiB of the greedies on the other fleets of peers
_PEERS = {
    'h010_v0100': ((4, 88), (4, 77), (5, 74)),
    'h050_v0500': ((16, 564), (17, 321), (22, 308)),
    'h100_v1000': ((30, 941), (33, 632), (43, 554)),
}
#: fleets of which growth is measured: hosts and instances
_GROWTH = ((100, 2000), (1000, 20000), (10000, 200000))


@dataclasses.dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table.

    :ivar wrong: what the judge found in the plans behind it
    """

    what: str
    anchor: str
    reach: str
    reached: str
    met: bool
    wrong: int = 0


Figures = collections.abc.Iterator[Figure]


def _spread(
    bench: judged.Bench, fleet: pathlib.Path, **limits: object
) -> judged.Made:
    task = judged.Task(fleet, 'spread', {'target': _TARGET}, limits)
    return bench.made(task, target=_TARGET)


def _wrong(*plans: judged.Made) -> int:
    return sum(int(one.verdict['violations']) for one in plans)


def peer(bench: judged.Bench) -> Figures:
    """Spread on the fleet that all peers were measured on."""
    fleet = bench.peers['h200_v2000']
    few = _spread(bench, fleet, prefer='moves')
    between = _spread(bench, fleet, prefer='balance')
    little = _spread(bench, fleet, prefer='gib')
    yield Figure(
        'h200: CPU s',
        'Watcher 3.4, greedy 0.02',
        '< 0.1',
        f'{few.seconds:.3f}; sparing with both {between.seconds:.3f}, '
        f'with GiB {little.seconds:.3f}',
        few.seconds < 0.1,
    )
    yield Figure(
        'h200: moves',
        'Watcher 322, greedy 77',
        '<= 75',
        f'{few.moves}',
        few.moves <= 75,
        _wrong(few),
    )
    yield Figure(
        'h200: GiB',
        'Watcher 7288, greedy 1538',
        '<= 1450',
        f'{little.gib:.0f}',
        little.gib <= 1450,
        _wrong(little),
    )
    last = _spread(bench, fleet, prefer='gib', max_moves=113)
    for made, (moves, gib) in zip(
        (few, between, last), _FRONTIER, strict=True
    ):
        yield _against('h200: frontier', made, moves, gib)


def _against(
    what: str,
    made: judged.Made,
    moves: int,
    gib: float,
    even_will_do: bool = False,
) -> Figure:
    """Hold a plan against moves and GiB, both of which have to be no more.

    :param even_will_do: neither has to be less
    """
    no_worse = made.moves <= moves and round(made.gib) <= gib
    return Figure(
        what,
        f'greedy {moves} / {gib}',
        'no worse' if even_will_do else 'better',
        f'{made.moves} / {made.gib:.0f}',
        no_worse and (even_will_do or _better(made, moves, gib)),
        _wrong(made),
    )


def _better(made: judged.Made, moves: int, gib: float) -> bool:
    """Say whether a plan that is no worse takes less of anything."""
    return made.moves < moves or round(made.gib) < gib


def peers(bench: judged.Bench) -> Figures:
    """Spread on the other fleets: no worse on any, better on most."""
    better: list[bool] = []
    for name, greedy in _PEERS.items():
        for prefer, (moves, gib) in zip(
            ('moves', 'balance', 'gib'), greedy, strict=True
        ):
            made = _spread(
                bench, bench.peers[name], prefer=prefer, max_moves=moves
            )
            better.append(_better(made, moves, gib))
            yield _against(
                f'{name[:4]}: {prefer}', made, moves, gib, even_will_do=True
            )
    yield Figure(
        'peers: better',
        '-',
        'most',
        f'{sum(better)} of {len(better)}',
        2 * sum(better) > len(better),
        0,
    )


def thousand(bench: judged.Bench) -> Figures:
    """Spread on 1000 hosts."""
    for more, anchor in (((), 400), (('--constraints',), 423)):
        made = _spread(bench, bench.fleet(1000, 20000, 5, *more))
        yield Figure(
            ' '.join(('1000 hosts', *more)),
            f'greedy 0.1 s, {anchor}',
            f'< 0.3 s, < {anchor}',
            f'{made.seconds:.2f} s, {made.moves}',
            made.seconds < 0.3 and made.moves < anchor,
            _wrong(made),
        )


def large(bench: judged.Bench) -> Figures:
    """Spread on 10,000 hosts."""
    for more in ((), ('--constraints',)):
        path = bench.fleet(10000, 200000, 1, *more)
        made = _spread(bench, path)
        most = _greedy(path) if more else 4138
        yield Figure(
            ' '.join(('10,000 hosts', *more)),
            f'greedy under the same rules: {most}',
            f'< 3 s, < {most}, < 500 MiB',
            f'{made.seconds:.2f} s, {made.moves}, {made.peak_mib:.0f} MiB',
            made.seconds < 3 and made.moves < most and made.peak_mib < 500,
            _wrong(made),
        )


def _greedy(path: pathlib.Path) -> int:
    """Return the moves of a greedy under the same rules."""
    conf = cfg.ConfigOpts()
    opts.register_opts(conf)
    conf([], default_config_files=[])
    fleet = fleet_document.decode(path.read_bytes())
    work = workspace.Workspace(fleet, plugins.make_context(conf))
    return planner.greedy_by_rules(work, _TARGET)


def growth(bench: judged.Bench) -> Figures:
    """What time and memory grow by from 100 to 10,000 hosts."""
    ends = [
        _spread(bench, bench.fleet(hosts, instances, 1))
        for hosts, instances in _GROWTH
    ]
    few, many = ends[0], ends[-1]
    larger = math.log(many.hosts / few.hosts)
    seconds = math.log(many.seconds / few.seconds) / larger
    memory = math.log(many.peak_mib / few.peak_mib) / larger
    yield Figure(
        'growth, 100 to 10,000 hosts',
        'hbal about 3',
        '<= 1.15',
        f'time {seconds:.2f}, memory {memory:.2f} ('
        + ', '.join(f'{one.seconds:.2f} s' for one in ends)
        + ')',
        seconds <= 1.15 and memory <= 1.15,
        _wrong(*ends),
    )


def relieve(bench: judged.Bench) -> Figures:
    """Hosts under a limit."""
    fleet = bench.peers['h200_v2000']
    task = judged.Task(fleet, 'relieve', {'limit': _LIMIT})
    made = bench.made(task, limit=_LIMIT)
    bound = int(made.document['bound']['moves'])
    over = int(made.verdict['hosts_over_limit']['after'])
    yield Figure(
        'relieve h200: moves over bound',
        '-',
        '<= 1.1',
        f'{made.moves} / {bound} = {made.moves / bound:.3f}, {over} over',
        made.moves <= 1.1 * bound and not over,
        _wrong(made),
    )


def drain(bench: judged.Bench) -> Figures:
    """Marked hosts empty, in the shortest time."""
    fleet = bench.fleet(1000, 20000, 5, '--constraints')
    task = judged.Task(fleet, 'drain', {'limit': _LIMIT})
    made = bench.made(task, limit=_LIMIT)
    verdict = made.verdict
    took, bound = (
        float(verdict[name])
        for name in ('makespan_replayed_seconds', 'makespan_bound_seconds')
    )
    yield Figure(
        'drain: makespan over bound',
        'mVM 1.2 to 1.5',
        '<= 1.1; 0 over',
        f'{took:.0f} / {bound:.0f} = {took / bound:.3f}; '
        f'{verdict["over_limit"]} over, '
        f'{verdict["after"]["on_draining"]} left',
        took <= 1.1 * bound
        and not verdict['over_limit']
        and not verdict['after']['on_draining'],
        _wrong(made),
    )


def consolidate(bench: judged.Bench) -> Figures:
    """Hosts emptied, with room for one host's failure."""
    fleet = bench.peers['h200_v2000']
    task = judged.Task(fleet, 'consolidate', {'limit': _LIMIT})
    made = bench.made(task, limit=_LIMIT)
    empty = int(made.verdict['after']['empty_hosts'])
    bound = int(made.document['summary'].rsplit(' ', 1)[-1])
    yield Figure(
        'consolidate h200: hosts emptied',
        'Watcher 60 of 200, with overload',
        'within 5 %',
        f'{empty} / {bound} = {empty / bound:.3f}; {made.moves} moves, '
        f'{made.seconds:.2f} s',
        empty >= 0.95 * bound,
        _wrong(made),
    )


def repair(bench: judged.Bench) -> Figures:
    """Rules hold again."""
    fleet = bench.fleet(1000, 20000, 5, '--constraints', '--broken')
    made = bench.made(judged.Task(fleet, 'repair'))
    left = len(made.document['unplaced'])
    yield Figure(
        'repair, 1000 hosts, broken',
        '-',
        'rules hold',
        f'{made.moves} moves; {left} left: {made.document["summary"]}',
        not left,
        _wrong(made),
    )


PARTS = {
    one.__name__: one
    for one in (
        peer,
        peers,
        thousand,
        large,
        growth,
        relieve,
        drain,
        consolidate,
        repair,
    )
}


def main(argv: collections.abc.Sequence[str] | None = None) -> int:
    """Print the table; the status is 1 where a figure is missed."""
    parser = judged.parser(__doc__.splitlines()[0])
    parser.add_argument(
        'parts', nargs='*', metavar='PART', help=', '.join(PARTS)
    )
    chosen = parser.parse_args(argv)
    unknown = set(chosen.parts) - PARTS.keys()
    if unknown:
        parser.error(f'no part is called {", ".join(sorted(unknown))}')
    shown = table.Table(title='Plans')
    for title in ('what', 'anchor', 'to reach', 'reached', 'met', 'wrong'):
        shown.add_column(title)
    missed = 0
    with tempfile.TemporaryDirectory() as once:
        scratch = chosen.scratch or pathlib.Path(once)
        try:
            bench = judged.Bench(chosen.bench, scratch)
        except FileNotFoundError as error:
            parser.error(str(error))
        for name in chosen.parts or PARTS:
            for one in PARTS[name](bench):
                missed += not one.met or one.wrong > 0
                shown.add_row(
                    *(one.what, one.anchor, one.reach, one.reached),
                    *('yes' if one.met else 'no', str(one.wrong)),
                )
    console.Console(width=140).print(shown)
    return 1 if missed else 0


if __name__ == '__main__':
    sys.exit(main())
