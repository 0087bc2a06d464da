"""Plans against a plain greedy: moves, GiB, spread and processor time.

Both plan the same fleets in the same process, and figures are given as
ratios to the greedy's. That takes the best single move by the closed form,
hottest host first, and knows memory as its only rule: a floor, no rival.

Run ``python -m benchmarks.planner FILE...``; the files are fleets
(kvm-balancer/fleet/1).
"""

import argparse
import collections.abc
import pathlib
import time

import numpy as np
from oslo_config import cfg
from rich import console
from rich import table

from kvm_balancer.conf import opts
from kvm_balancer.messages import fleet_document
from kvm_balancer.model import fleet as columns
from kvm_balancer.planner import context as contexts
from kvm_balancer.planner import gain
from kvm_balancer.planner import workspace
from kvm_balancer.policies import spread
from kvm_balancer.service import planning
from kvm_balancer.service import plugins

_TARGET = 0.10
_MIB_PER_GIB = 1024.0


def greedy(fleet: columns.Fleet, target: float) -> list[int]:
    """Bring the spread to *target*; return the instances moved."""
    cpus = fleet.hosts.cpus
    host = fleet.instances.host.copy()
    usage, memory = fleet.instances.cpu_usage, fleet.instances.memory_mib
    load = fleet.cpu_load.copy()
    room = fleet.hosts.memory_capacity_mib - fleet.sum_by_host(memory)
    moved: list[int] = []
    while load.std() > target:
        for source in np.argsort(-load)[:20].tolist():
            rows = np.flatnonzero(host == source)
            less = usage[rows] / cpus[source]
            more = usage[rows, None] / cpus[None, :]
            gain = (less * (2 * (load[source] - load.mean()) - less))[:, None]
            gain = gain - more * (2 * (load - load.mean())[None, :] + more)
            gain[memory[rows, None] > room[None, :]] = -np.inf
            gain[:, source] = -np.inf
            if gain.size and gain.max() > 0:
                break
        else:
            return moved
        row, there = divmod(int(gain.argmax()), len(cpus))
        one = int(rows[row])
        host[one] = there
        load[source] -= usage[one] / cpus[source]
        load[there] += usage[one] / cpus[there]
        room[source] += memory[one]
        room[there] -= memory[one]
        moved.append(one)
    return moved


def greedy_by_rules(work: workspace.Workspace, target: float) -> int:
    """Do the same under all rules of plans; return how many were moved."""
    gains = gain.Gains(work, exponent=0.0)
    while gains.spread.stddev > target:
        load = np.where(work.counted, work.state.cpu_load, 0.0)
        for source in np.argsort(-load)[:20].tolist():
            units, hosts = work.units_on(source), work.neighbours(source)
            home = np.full(len(units), source, np.int32)
            table = gains.table(gains.halves(units, home), hosts)
            table[~work.allowed(units, hosts)] = -np.inf
            if table.size and table.max() > 0:
                break
        else:
            return work.moves
        row, column = divmod(int(table.argmax()), len(hosts))
        work.move(int(units[row]), int(hosts[column]))
        for host in (source, int(hosts[column])):
            gains.update(host)
    return work.moves


def compare(name: str, fleet: columns.Fleet, shown: table.Table) -> None:
    """Add the figures of one fleet to a table."""
    began = time.process_time()
    plain = greedy(fleet, _TARGET)
    floor_seconds = time.process_time() - began
    mib = fleet.instances.memory_usage_mib
    floor_gib = float(mib[plain].sum()) / _MIB_PER_GIB
    shown.add_row(
        name, 'greedy', str(len(plain)), f'{floor_gib:.0f}', '', '1', '1', '1'
    )
    conf = cfg.ConfigOpts()
    opts.register_opts(conf)
    conf([], default_config_files=[])
    policy = spread.Spread(spread.SpreadParams(target=_TARGET))
    for prefer in contexts.Prefer:
        wanted = planning.Wanted(prefer=prefer, budget_seconds=0)
        context = wanted.within(plugins.make_context(conf))
        # what is loaded at first use is not the plan's
        policy.propose(fleet, context)
        began = time.process_time()
        made = policy.propose(fleet, context)
        seconds = time.process_time() - began
        rows = [fleet.instance_row[move.instance] for move in made.moves]
        gib = float(mib[rows].sum()) / _MIB_PER_GIB
        shown.add_row(
            '',
            str(prefer),
            str(len(rows)),
            f'{gib:.0f}',
            f'{made.after.cpu_stddev:.4f}',
            f'{len(rows) / max(1, len(plain)):.2f}',
            f'{gib / max(1.0, floor_gib):.2f}',
            f'{seconds / max(1e-9, floor_seconds):.2f}',
        )


def main(argv: collections.abc.Sequence[str] | None = None) -> None:
    """Compare on the fleets of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('fleets', nargs='+', metavar='FILE')
    chosen = parser.parse_args(argv)
    shown = table.Table(title=f'CPU spread to {_TARGET}')
    for title in ('fleet', 'sparing with', 'moves', 'GiB', 'spread'):
        shown.add_column(title)
    for title in ('moves ratio', 'GiB ratio', 'CPU s ratio'):
        shown.add_column(title, justify='right')
    for path in chosen.fleets:
        fleet = fleet_document.decode(pathlib.Path(path).read_bytes())
        compare(pathlib.Path(path).stem, fleet, shown)
    console.Console().print(shown)


if __name__ == '__main__':
    main()
