"""A plan made in a process of its own, measured, and judged by others.

The judge is a program of nobody here: it gets the fleet and the plan as
files, and says what is wrong. What is measured is processor time without
the reading of the file, and the most memory the process ever held, with the
fleet in it.
"""

import argparse
import collections.abc
import concurrent.futures
import dataclasses
import json
import multiprocessing
import pathlib
import re
import subprocess
import sys
import tempfile
import time
from typing import Any

from oslo_config import cfg

from kvm_balancer.conf import opts
from kvm_balancer.messages import fleet_document
from kvm_balancer.messages import plan_document
from kvm_balancer.policies import composition
from kvm_balancer.service import planning
from kvm_balancer.service import plugins

#: of so many plans of the same fleet the fastest counts, if it is fast
_TRIES, _FAST_SECONDS = 3, 1.5


@dataclasses.dataclass(frozen=True, slots=True)
class Task:
    """What to plan.

    :ivar wishes: options of the policies, as target and limit
    :ivar limits: of the plan, as ``max_moves``, ``prefer``
    """

    fleet: pathlib.Path
    policy: str
    wishes: dict[str, float] = dataclasses.field(default_factory=dict)
    limits: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Made:
    """A plan and what it took.

    :ivar document: the plan, as operators get it
    :ivar verdict: what the judge says
    """

    seconds: float
    peak_mib: float
    hosts: int
    document: dict[str, Any]
    verdict: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def moves(self) -> int:
        """Moves of the plan."""
        return len(self.document['moves'])

    @property
    def gib(self) -> float:
        """What they carry, counted by the judge."""
        return float(self.verdict['gib_moved'])


def _plan(task: Task) -> Made:
    """Make the plan; runs in a process of its own."""
    conf = cfg.ConfigOpts()
    opts.register_opts(conf)
    conf([], default_config_files=[])
    policies = plugins.load_policies(conf, [task.policy], **task.wishes)
    fleet = fleet_document.decode(task.fleet.read_bytes())
    context = plugins.make_context(conf)
    limits = {'budget_seconds': 0} | task.limits
    taken: list[float] = []
    while True:
        began, cpu = time.monotonic(), time.process_time()
        made = composition.propose(
            policies,
            fleet,
            dataclasses.replace(
                planning.Wanted(**limits).within(context),
                elapsed=_since(began),
            ),
        )
        taken.append(time.process_time() - cpu)
        if len(taken) == _TRIES or min(taken) > _FAST_SECONDS:
            break
    status = pathlib.Path('/proc/self/status').read_text()
    peak = re.search(r'VmHWM:\s+(\d+) kB', status)
    return Made(
        seconds=min(taken),
        peak_mib=int(peak[1]) / 1024 if peak else 0.0,
        hosts=len(fleet.hosts),
        document=plan_document.to_builtins(made),
    )


def _since(began: float) -> collections.abc.Callable[[], float]:
    return lambda: time.monotonic() - began


def alone(task: Task) -> Made:
    """Make the plan of *task* in a process of its own."""
    with concurrent.futures.ProcessPoolExecutor(
        max_workers=1, mp_context=multiprocessing.get_context('spawn')
    ) as pool:
        return pool.submit(_plan, task).result()


class Bench:
    """A directory with a judge, a maker of fleets and fleets of peers.

    :ivar peers: fleets on which others were measured, by name
    """

    def __init__(self, directory: pathlib.Path, scratch: pathlib.Path) -> None:
        """Look for everything.

        :param scratch: where fleets and plans may be written
        :raises FileNotFoundError: when *directory* lacks something
        """
        self._judge = directory / 'score_plan.py'
        self._maker = directory / 'make_fleet.py'
        for needed in (self._judge, self._maker, directory / 'peers'):
            if not needed.exists():
                raise FileNotFoundError(
                    f'{needed} is missing: --bench needs a directory with '
                    f'score_plan.py, make_fleet.py and peers/'
                )
        self.peers = {
            one.stem: one for one in sorted((directory / 'peers').glob('*'))
        }
        self._scratch = scratch

    def fleet(
        self, hosts: int, instances: int, seed: int, *more: str
    ) -> pathlib.Path:
        """Make a fleet, once; return its file."""
        name = '-'.join((f'{hosts}x{instances}', str(seed), *more))
        path = self._scratch / f'{name.replace("--", "")}.json'
        if not path.exists():
            self._call(
                self._maker,
                *('--hosts', str(hosts), '--instances', str(instances)),
                *('--seed', str(seed), *more, '-o', str(path)),
            )
        return path

    def made(self, task: Task, **checks: float) -> Made:
        """Make the plan of *task*, and have it judged.

        :param checks: ``target`` and ``limit``, as the judge is to know them
        """
        found = alone(task)
        with tempfile.NamedTemporaryFile('w', dir=self._scratch) as file:
            json.dump(found.document, file)
            file.flush()
            verdict = self._call(
                self._judge,
                *(f'--{name}={value}' for name, value in checks.items()),
                *(str(task.fleet), file.name),
            )
        return dataclasses.replace(found, verdict=json.loads(verdict))

    def _call(self, program: pathlib.Path, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, str(program), *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in (0, 1) or done.stderr:
            raise ValueError(f'{program}: {done.stderr.strip()}')
        return done.stdout


def parser(description: str) -> argparse.ArgumentParser:
    """Return what reads the command line of a benchmark that is judged."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument(
        '--bench',
        type=pathlib.Path,
        required=True,
        metavar='DIRECTORY',
        help='Where score_plan.py, make_fleet.py and peers/ are; they are '
        'no part of this repository.',
    )
    made.add_argument(
        '--scratch',
        type=pathlib.Path,
        metavar='DIRECTORY',
        help='Where fleets are made and kept (default: made for once).',
    )
    return made
