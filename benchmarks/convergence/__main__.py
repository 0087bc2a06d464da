"""Draw migrations, let each policy decide, and show what came of it."""

import argparse
import collections
import collections.abc
import dataclasses

from rich import console
from rich import table

from benchmarks.convergence import blame
from benchmarks.convergence import cases
from benchmarks.convergence import drive
from benchmarks.convergence import faults
from benchmarks.convergence import oracle
from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import adaptive
from kvm_balancer.migration.convergence import contract
from kvm_balancer.migration.convergence import nova
from kvm_balancer.migration.convergence import vdsm
from kvm_balancer.virt.simulated import habits
from kvm_balancer.virt.simulated import memory

Make = collections.abc.Callable[[], contract.Convergence]

POLICIES: dict[str, Make] = {
    'adaptive': adaptive.Adaptive,
    'nova': lambda: nova.Nova(nova.Params(timeout_action=nova.FORCE_COMPLETE)),
    'vdsm': vdsm.Vdsm,
}

#: Of the bandwidth, and of the memory.
_RATIOS = (0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0, 1.5, 2.0, 3.0, 4.0)
_WORKING_SETS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


def _share(found: list[float], share: float) -> str:
    if not found:
        return ''
    ordered = sorted(found)
    return f'{ordered[min(len(ordered) - 1, int(share * len(ordered)))]:.2f}'


def count_wrong(make: Make, seeds: range) -> tuple[int, int, dict[str, int]]:
    """Run the migrations of *seeds*.

    :returns: how many would converge, how many were wrong where it could be
        known, and how many by kind of mistake with hindsight
    """
    converge, known = 0, 0
    wrong: dict[str, int] = collections.Counter()
    for seed in seeds:
        case = cases.draw(seed)
        truth = oracle.ask(case)
        ran = drive.run(case, make())
        converge += truth.converges()
        found = oracle.judge(case, truth, ran)
        known += any(oracle.foreseeable(case, ran, one) for one in found)
        for one in found:
            wrong[one.value] += 1
    return converge, known, wrong


def show_wrong(
    shown: console.Console, names: list[str], seeds: int, first: int
) -> None:
    """Count the wrong decisions of each policy."""
    found = table.Table(title=f'{seeds} migrations drawn from seeds')
    found.add_column('policy')
    for title in ('would converge', 'wrong, to be known', *oracle.Wrong):
        found.add_column(str(title), justify='right')
    for name in names:
        converge, known, wrong = count_wrong(
            POLICIES[name], range(first, first + seeds)
        )
        found.add_row(
            name,
            str(converge),
            str(known),
            *(str(wrong.get(one.value, 0)) for one in oracle.Wrong),
        )
    shown.print(found)


def show_faults(shown: console.Console, name: str, seeds: range) -> None:
    """Count what a policy makes of networks that change."""
    found = table.Table(
        title=f'{name}: {len(seeds)} migrations over networks that change'
    )
    found.add_column('network')
    ends = (drive.SWITCHED, drive.POST_COPY, drive.GIVEN_UP, drive.STUCK)
    for title in ('migrations', *ends, 'wrong'):
        found.add_column(title, justify='right')
    found.add_column('what was wrong')
    counts: dict[str, dict[str, int]] = {
        kind: collections.Counter() for kind in faults.KINDS
    }
    for seed in seeds:
        case = faults.draw(seed)
        ran = drive.run(case, POLICIES[name]())
        wrong = blame.judge(case, ran)
        count = counts[case.kind]
        for one in ('migrations', ran.end, *wrong):
            count[str(one)] += 1
        count['wrong'] += bool(wrong)
    for kind, count in counts.items():
        numbers = (
            str(count.get(title, 0))
            for title in ('migrations', *ends, 'wrong')
        )
        told = (f'{one} {count[one]}' for one in blame.Wrong if one in count)
        found.add_row(kind, *numbers, ', '.join(told))
    shown.print(found)


def _busy(ratio: float, share: float, sweep: bool) -> cases.Case:
    """Make a guest that writes *ratio* x the bandwidth to a *share*."""
    region = habits.Region(10000.0 * share, 1000.0 * ratio, sweep)
    return cases.Case(
        f'{ratio} {share}',
        'even',
        memory.Guest(10000.0, 10000.0, regions=(region,)),
        1000.0,
        request.Options(auto_converge=False, post_copy=True),
    )


def show_busy(shown: console.Console, names: list[str]) -> None:
    """Compare times with the hybrid limit, where post-copy is allowed."""
    found = table.Table(
        title='post-copy allowed, dirty rates of 0.1 to 4 x bandwidth:'
        ' time over the hybrid limit'
    )
    found.add_column('policy')
    for title in ('p50', 'p90', 'max', 'decided after first pass, s'):
        found.add_column(title, justify='right')
    for name in names:
        for known in (True, False):
            ratios, waits = [], []
            for ratio in _RATIOS:
                for share in _WORKING_SETS:
                    for sweep in (False, True):
                        case = _busy(ratio, share, sweep)
                        if known:
                            case = cases.predicted(case)
                        ran = drive.run(case, POLICIES[name]())
                        ratios.append(ran.seconds / case.hybrid_seconds)
                        if ran.end == drive.POST_COPY:
                            waits.append(ran.decided_at - ran.passes[0].at)
            found.add_row(
                f'{name}, {"predicted" if known else "unknown"}',
                _share(ratios, 0.5),
                _share(ratios, 0.9),
                _share(ratios, 1.0),
                _share(waits, 1.0),
            )
    shown.print(found)


def throttled(post_copy: bool, allowed: int) -> list[cases.Case]:
    """Make guests that may be throttled, and write fast."""
    made = []
    for ratio in (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0):
        for share in (0.05, 0.1, 0.3, 1.0):
            for sweep in (False, True):
                case = _busy(ratio, share, sweep)
                options = dataclasses.replace(
                    case.options,
                    auto_converge=True,
                    max_throttle_percent=allowed,
                    post_copy=post_copy,
                    post_copy_patience=100.0,
                )
                made.append(dataclasses.replace(case, options=options))
    return made


def show_throttled(shown: console.Console) -> None:
    """Count the passes from the allowed throttle to the next rung."""
    found = table.Table(
        title='throttle allowed, guests that do not converge with it:'
        ' passes after it was reached until the next rung'
    )
    for title in ('allowed, %', 'next rung'):
        found.add_column(title)
    for title in ('guests', 'p50', 'max', 'more than 2', 'but nearly'):
        found.add_column(title, justify='right')
    for post_copy in (True, False):
        for allowed in range(20, 90, 10):
            passes: list[float] = []
            late, nearly = 0, 0
            for case in throttled(post_copy, allowed):
                ran = drive.run(case, adaptive.Adaptive())
                if ran.end == drive.SWITCHED:
                    continue
                passes.append(oracle.passes_after_throttle(case, ran))
                if passes[-1] > 2:
                    late += 1
                    nearly += oracle.nearly_converges(case)
            found.add_row(
                str(allowed),
                'post-copy' if post_copy else 'give up',
                str(len(passes)),
                _share(passes, 0.5),
                _share(passes, 1.0),
                str(late),
                str(nearly),
            )
    shown.print(found)


def show_downtime(
    shown: console.Console, names: list[str], seeds: range
) -> None:
    """Compare the downtime of guests that converge under bare QEMU."""
    found = table.Table(
        title='downtime less that of bare QEMU, ms, where that converges'
        ' within 1.5 x one pass'
    )
    found.add_column('policy')
    for title in ('guests', 'p50', 'p90', 'max'):
        found.add_column(title, justify='right')
    rows: dict[str, list[float]] = collections.defaultdict(list)
    for seed in seeds:
        case = cases.draw(seed, ('idle', 'even', 'hot and cold')[seed % 3])
        case = dataclasses.replace(
            case,
            options=dataclasses.replace(
                case.options,
                post_copy=False,
                time_limit_seconds=0.0,
                max_downtime_ms=500,
            ),
        )
        bare = drive.run(case, oracle.Bare(1.5 * case.full_seconds))
        if bare.end != drive.SWITCHED:
            continue
        for name in names:
            ran = drive.run(case, POLICIES[name]())
            if ran.end == drive.SWITCHED:
                rows[name].append(ran.downtime_ms - bare.downtime_ms)
    for name, less in rows.items():
        found.add_row(
            name,
            str(len(less)),
            *(_share(less, share) for share in (0.5, 0.9, 1.0)),
        )
    shown.print(found)


def main(argv: collections.abc.Sequence[str] | None = None) -> None:
    """Show all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--seeds', type=int, default=2600)
    parser.add_argument('--first', type=int, default=0)
    parser.add_argument(
        '--rivals-seeds',
        type=int,
        default=130,
        help='of the policies taken over from others, which take their time',
    )
    parser.add_argument(
        '--faults',
        type=int,
        default=2100,
        help='migrations over networks that change',
    )
    chosen = parser.parse_args(argv)
    shown = console.Console()
    show_wrong(shown, ['adaptive'], chosen.seeds, chosen.first)
    if chosen.rivals_seeds:
        show_wrong(shown, list(POLICIES), chosen.rivals_seeds, chosen.first)
    for name in POLICIES:
        own = name == 'adaptive'
        count = chosen.faults if own else chosen.rivals_seeds
        if count:
            last = chosen.first + count
            show_faults(shown, name, range(chosen.first, last))
    show_busy(shown, ['adaptive', 'vdsm'])
    show_throttled(shown)
    show_downtime(shown, list(POLICIES), range(120))


if __name__ == '__main__':
    main()
