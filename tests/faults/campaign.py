"""The campaign: every fault, in every phase, again and again.

    python -m tests.faults.campaign [--runs N] [--seed S] [--only NAME[:PHASE]]

Needs root. Tells a line for each run, adds a line of JSON for it to the
results, and returns 1 when one of them was not as it has to be.
"""

import argparse
import collections
import multiprocessing
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import time

from kvm_balancer import errors
from kvm_balancer.lab import prerequisites
from kvm_balancer.lab.faults import catalogue
from kvm_balancer.lab.faults import contract
from tests.faults import ground as grounds
from tests.faults import results
from tests.faults import revision
from tests.faults import run as runs

_RUNS = 200
_LABS = 2
#: What of, it matters who holds the lease: they strike once more, from the
#: moment on when it may change hands, with a lock manager on both hosts.
_GUARDED = (
    'source-libvirtd-killed',
    'destination-libvirtd-killed',
    'both-libvirtd-killed',
    'source-host-lost',
    'destination-host-lost',
    'source-management-network-cut',
    'destination-management-network-cut',
    'network-cut',
)


def cases(only=()):
    """Return all cases, or those of *only*.

    :param only: names, phases after a colon, or both with a colon between
    :returns: the name of a fault, a phase, and whether a lock manager runs
    """
    wanted = [
        (name, phase, guarded)
        for name in catalogue.FAULTS
        for phase in contract.Phase
        for guarded in (False, True)
        if phase in catalogue.FAULTS[name].fates
        and (not guarded or _is_guarded(name, phase))
        and (
            not only
            or any(
                one in (name, f'{name}:{phase.value}', f':{phase.value}')
                for one in only
            )
        )
    ]
    if not wanted:
        known = ', '.join(catalogue.FAULTS)
        raise errors.LabError(f'no such fault; there are: {known}')
    return wanted


def _is_guarded(name, phase):
    return name in _GUARDED and phase is not contract.Phase.STORAGE


def plan(wanted, number, seed):
    """Return what to run: all cases in turn, in an order of the seed's."""
    left, chance, chosen = list(wanted), random.Random(seed), []
    while len(chosen) < number:
        chance.shuffle(left)
        chosen += [
            (*case, seed + len(chosen) + index)
            for index, case in enumerate(left)
        ]
    return chosen[:number]


def main():
    chosen = _arguments()
    try:
        prerequisites.check(services=True, faults=True, leases=True)
        wanted = cases(chosen.only)
    except errors.LabError as error:
        print(error, file=sys.stderr)
        return 2
    _heed_signals()
    todo = plan(wanted, chosen.runs, chosen.seed)
    print(
        f'{len(todo)} runs of {len(wanted)} cases in {chosen.labs} labs, seed '
        f'{chosen.seed}, to {chosen.results}',
        flush=True,
    )
    return _carry_out(todo, chosen)


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--runs', type=int, default=_RUNS)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument(
        '--labs', type=int, default=_LABS, help='that stand side by side'
    )
    parser.add_argument(
        '--only',
        action='append',
        default=[],
        metavar='NAME[:PHASE]',
        help='of a fault, or :PHASE; may be given more than once',
    )
    parser.add_argument('--results', type=pathlib.Path, default='faults.jsonl')
    parser.add_argument(
        '--keep', action='store_true', help='the logs of what went wrong'
    )
    return parser.parse_args()


def _carry_out(todo, chosen):
    """Let the laboratories take runs until there are none left."""
    context = multiprocessing.get_context('spawn')
    done = context.Queue()
    waiting = {guarded: context.Queue() for guarded in (False, True)}
    for name, phase, guarded, seed in todo:
        waiting[guarded].put((name, phase, seed))
    for queue in waiting.values():
        for _ in range(chosen.labs):
            queue.put(None)
    labs = [
        context.Process(
            target=_work,
            args=(waiting, done, chosen.results if chosen.keep else None),
        )
        for _ in range(chosen.labs)
    ]
    for lab in labs:
        lab.start()
    try:
        return _collect(todo, done, chosen)
    except KeyboardInterrupt:
        # Each takes its laboratory down before it ends.
        for lab in labs:
            lab.terminate()
        return 130
    finally:
        for lab in labs:
            lab.join()


def _collect(todo, done, chosen):
    """Take results in until no laboratory works any more."""
    counted = collections.Counter()
    working = chosen.labs
    while working:
        result = done.get()
        if result is None:
            working -= 1
            continue
        if isinstance(result, str):
            counted['not begun'] += 1
            print(result, file=sys.stderr, flush=True)
            continue
        result.commit = revision.commit()
        results.append(chosen.results, result)
        counted[_kind(result)] += 1
        number = counted.total()
        now = time.strftime('%H:%M:%S')
        print(f'{now} {number}/{len(todo)} {result.verdict()}', flush=True)
    counted['not begun'] += len(todo) - counted.total()
    print(
        f'{len(todo)} runs: {counted["well"]} as they have to be, '
        f'{counted["wrong"]} not, {counted["missed"]} did not strike, '
        f'{counted["not begun"]} could not begin'
    )
    return 0 if counted['well'] == len(todo) else 1


def _kind(result):
    if result.problems:
        return 'wrong'
    return 'well' if result.struck else 'missed'


def _work(waiting, done, kept):
    """Run what is waiting in a laboratory, or in another if that breaks."""
    _heed_signals()
    for guarded, queue in waiting.items():
        while (one := queue.get()) is not None:
            if not _work_in_one(one, queue, guarded, done, kept):
                break
    done.put(None)


def _work_in_one(one, waiting, guarded, done, kept):
    """Bring a laboratory up, and run *one* and what is waiting.

    :returns: whether there may be more for another laboratory
    """
    place = pathlib.Path(tempfile.mkdtemp(prefix='kvm-balancer-'))
    is_up = False
    try:
        with grounds.Ground(
            place / f'f{os.getpid() % 10**6}', guarded
        ) as ground:
            is_up = True
            while one is not None:
                result = runs.run(ground, *one)
                done.put(result)
                if kept and not result.passed:
                    _keep(ground, kept, result)
                one = waiting.get()
    except Exception as error:
        done.put(f'a lab has broken down: {type(error).__name__}: {error}')
        # One that did not even come up would not do so the next time.
        return is_up
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return False


def _heed_signals():
    """End in order also when it was started in the background."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


def _keep(ground, kept, result):
    """Put the logs of the hosts beside the results."""
    folder = kept.with_suffix('.' + result.title.replace(' ', '-'))
    for host in ground.lab.hosts:
        shutil.copytree(
            host.directory / 'log', folder / host.name, dirs_exist_ok=True
        )


if __name__ == '__main__':
    sys.exit(main())
