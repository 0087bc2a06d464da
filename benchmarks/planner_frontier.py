"""The best spread for so many moves, against single moves and swaps.

``hbal`` takes the best single move each time until none helps; the same
with swaps goes on with the best swap of two instances. What the planner
reaches is asked for with a limit of as many moves, a target of nothing and
a budget of seconds of processor time. Run
``python -m benchmarks.planner_frontier FILE...``.
"""

import argparse
import collections.abc
import dataclasses
import pathlib
import time
from typing import Any

import numpy as np
import numpy.typing as npt
from oslo_config import cfg
from rich import console
from rich import table

from kvm_balancer.conf import opts
from kvm_balancer.messages import fleet_document
from kvm_balancer.model import fleet as columns
from kvm_balancer.policies import spread
from kvm_balancer.service import planning
from kvm_balancer.service import plugins

#: parts of the moves that single moves take, and beyond
_PARTS = (0.1, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
_LEAST = 1e-9


class Peer:
    """Best single moves, and swaps of two; memory is the only rule."""

    def __init__(self, fleet: columns.Fleet) -> None:
        self._cpus = fleet.hosts.cpus
        self._host = fleet.instances.host.copy()
        self._usage = fleet.instances.cpu_usage
        self._memory = fleet.instances.memory_mib
        self._away = fleet.cpu_load - fleet.cpu_load.mean()
        self._room = fleet.hosts.memory_capacity_mib - fleet.sum_by_host(
            self._memory
        )
        self.points = [(0, self.spread)]

    @property
    def spread(self) -> float:
        """The spread as it is now."""
        return float(self._away.std())

    def _gain(
        self,
        host: npt.NDArray[np.signedinteger[Any]],
        cores: columns.Floats,
    ) -> columns.Floats:
        share = cores / self._cpus[host]
        gain: columns.Floats = -share * (2 * self._away[host] + share)
        return gain

    def _put(self, one: int, there: int) -> None:
        here = self._host[one]
        self._away[here] -= self._usage[one] / self._cpus[here]
        self._away[there] += self._usage[one] / self._cpus[there]
        self._room[here] += self._memory[one]
        self._room[there] -= self._memory[one]
        self._host[one] = there

    def move(self) -> bool:
        """Make the best single move; False where none helps."""
        here, every = self._host, np.arange(len(self._cpus))
        leaves = self._gain(here, -self._usage)
        gain: columns.Floats = leaves[:, None] + self._gain(
            every[None, :], self._usage[:, None]
        )
        gain[self._memory[:, None] > self._room[None, :]] = -np.inf
        gain[np.arange(len(here)), here] = -np.inf
        one, there = divmod(int(gain.argmax()), len(every))
        if gain[one, there] <= _LEAST:
            return False
        self._put(one, there)
        self.points.append((self.points[-1][0] + 1, self.spread))
        return True

    def swap(self) -> bool:
        """Make the best swap; False where none helps."""
        here = self._host
        more = self._usage[None, :] - self._usage[:, None]
        gain = self._gain(here[:, None], more) + self._gain(
            here[None, :], -more
        )
        larger = self._memory[None, :] - self._memory[:, None]
        gain[larger > self._room[here][:, None]] = -np.inf
        gain[-larger > self._room[here][None, :]] = -np.inf
        gain[here[:, None] == here[None, :]] = -np.inf
        one, other = divmod(int(gain.argmax()), len(here))
        if gain[one, other] <= _LEAST:
            return False
        ends = int(here[one]), int(here[other])
        self._put(one, ends[1])
        self._put(other, ends[0])
        self.points.append((self.points[-1][0] + 2, self.spread))
        return True

    def best(self, moves: int) -> float:
        """Return the lowest spread with at most so many moves."""
        return min(found for count, found in self.points if count <= moves)


def planned(fleet: columns.Fleet, moves: int, seconds: float) -> float:
    """Return the spread that a plan of at most so many moves reaches."""
    conf = cfg.ConfigOpts()
    opts.register_opts(conf)
    conf([], default_config_files=[])
    began = time.process_time()
    wanted = planning.Wanted(
        max_moves=moves, budget_seconds=seconds, eagerness=5
    )
    context = dataclasses.replace(
        wanted.within(plugins.make_context(conf)),
        elapsed=lambda: time.process_time() - began,
    )
    policy = spread.Spread(spread.SpreadParams(target=0.0))
    return policy.propose(fleet, context).after.cpu_stddev


def compare(
    name: str, fleet: columns.Fleet, seconds: float, shown: table.Table
) -> None:
    """Add the frontier of one fleet to a table."""
    peer = Peer(fleet)
    while peer.move():
        pass
    single = peer.points[-1][0]
    ends = time.process_time() + 60
    while time.process_time() < ends and (peer.move() or peer.swap()):
        pass
    alone = Peer(fleet)
    alone.points = peer.points[: single + 1]
    for part in _PARTS:
        moves = max(1, round(part * single))
        shown.add_row(
            name,
            str(moves),
            f'{alone.best(moves):.4f}',
            f'{peer.best(moves):.4f}',
            f'{planned(fleet, moves, seconds):.4f}',
        )


def main(argv: collections.abc.Sequence[str] | None = None) -> None:
    """Compare on the fleets of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('fleets', nargs='+', metavar='FILE')
    parser.add_argument('--budget', type=float, default=5.0, metavar='SECONDS')
    chosen = parser.parse_args(argv)
    shown = table.Table(title='CPU spread reached')
    for title in ('fleet', 'moves', 'single moves', 'and swaps', 'plan'):
        shown.add_column(title)
    for path in chosen.fleets:
        fleet = fleet_document.decode(pathlib.Path(path).read_bytes())
        compare(pathlib.Path(path).stem, fleet, chosen.budget, shown)
    console.Console().print(shown)


if __name__ == '__main__':
    main()
