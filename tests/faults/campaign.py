"""The campaign: every fault, in every phase, again and again.

    python -m tests.faults.campaign [--runs N] [--seed S] [--only NAME[:PHASE]]

Needs root. Writes a line of JSON for each run, and returns 1 when one of
them was not as it has to be.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import random
import shutil
import sys
import tempfile
import time

from kvm_balancer.lab import prerequisites
from kvm_balancer.lab.faults import catalogue
from kvm_balancer.lab.faults import contract
from tests.faults import ground as grounds
from tests.faults import run as runs

#: A phase that went by before the fault came is tried again.
_TRIES = 3


def _cases(only):
    wanted = [
        (name, phase)
        for name in catalogue.FAULTS
        for phase in contract.Phase
        if not only
        or any(
            one in (name, f'{name}:{phase.value}', f':{phase.value}')
            for one in only
        )
    ]
    if not wanted:
        raise SystemExit(
            f'no such fault; known: {", ".join(catalogue.FAULTS)}'
        )
    return wanted


def plan(only, number, seed):
    """Return what to run: all cases in turn, in an order of the seed's."""
    cases, chance = _cases(only), random.Random(seed)
    chosen = []
    while len(chosen) < number:
        chance.shuffle(cases)
        chosen += [(*case, seed + len(chosen) + i)
                   for i, case in enumerate(cases)]  # fmt: skip
    return chosen[:number]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--runs', type=int, help='default: every case once')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--only', action='append', metavar='NAME[:PHASE]')
    parser.add_argument('--results', type=pathlib.Path, default='faults.jsonl')
    parser.add_argument('--keep', action='store_true', help='keep logs')
    chosen = parser.parse_args()
    prerequisites.check(services=True)
    todo = plan(
        chosen.only, chosen.runs or len(_cases(chosen.only)), chosen.seed
    )
    failed = 0
    place = pathlib.Path(tempfile.mkdtemp(prefix='kvm-balancer-'))
    name = f'f{os.getpid() % 10**6}'
    try:
        with grounds.Ground(place / name) as ground:
            for number, (fault, phase, seed) in enumerate(todo, 1):
                result = _try(ground, fault, phase, seed)
                failed += bool(result.problems)
                with chosen.results.open('a') as stream:
                    stream.write(json.dumps(dataclasses.asdict(result)) + '\n')
                _tell(number, len(todo), result)
                if result.problems and chosen.keep:
                    _keep(ground, chosen.results, number)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    print(f'{len(todo)} runs, {failed} not as they have to be')
    return 1 if failed else 0


def _try(ground, fault, phase, seed):
    for attempt in range(_TRIES):
        result = runs.run(ground, fault, phase, seed + 10_000 * attempt)
        if result.struck or result.problems:
            break
    return result


def _tell(number, of, result):
    said = '; '.join(line.strip().split('\n')[-1] for line in result.problems)
    ends = ' then '.join(kind for kind, _ in result.outcomes) or '-'
    missed = '' if result.struck else ' (missed its phase)'
    print(
        f'{time.strftime("%H:%M:%S")} {number}/{of} {result.fault} '
        f'{result.phase} {result.seed}{missed}: {ends}, at '
        f'{result.where or "no host"}, settled in '
        f'{result.settled_after_seconds:.0f} s: {said or "as it has to be"}',
        flush=True,
    )


def _keep(ground, results, number):
    kept = results.with_suffix(f'.{number}')
    for host in ground.lab.hosts:
        there = kept / host.name
        shutil.copytree(host.directory / 'log', there, dirs_exist_ok=True)


if __name__ == '__main__':
    sys.exit(main())
