"""What the weigher and the filter add to a decision of Nova's scheduler.

Measured is what they do for each host of a request while states come in, in a
thread beside, as often as an agent could send them at most. Nova's own work
for a host, a hundred times as much and more, is not among it.

Run ``python -m benchmarks.nova_scheduler``; it needs nothing but the package.
"""

import argparse
import collections.abc
import itertools
import statistics
import threading
import time

from rich import console
from rich import table

from kvm_balancer.messages import fleet_state
from kvm_balancer.nova_scheduler import view

_ROUNDS = 31
#: Least pause that ``[agent] announce_seconds`` allows.
_ANNOUNCE_SECONDS = 0.5


class Host:
    """As much of Nova's HostState as the weigher reads."""

    def __init__(self, name: str) -> None:
        self.host = name
        self.vcpus_used = 40


def state(hosts: int) -> fleet_state.FleetState:
    """Make a state of so many hosts, a tenth of them closed."""
    return fleet_state.FleetState(
        time.time(),
        {
            f'compute-{host:05}.example.com': fleet_state.HostState(
                cpu_load=host % 97 / 97,
                arriving_load=host % 13 / 100,
                closed='' if host % 10 else 'it is being relieved',
                vcpus=40 - host % 3,
                vcpu_load=0.01,
            )
            for host in range(hosts)
        },
    )


def median_us(work: collections.abc.Callable[[], object], hosts: int) -> float:
    """Return µs for each host, the median of several rounds."""
    taken = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken) / hosts * 1e6


def measure(hosts: int) -> tuple[float, float, float, int]:
    """Return µs for a host of weighing, filtering and reading; and bytes."""
    known = view.View(120.0)
    body = fleet_state.encode(state(hosts))
    names = list(fleet_state.decode(body).hosts)
    asked = [Host(name) for name in names]
    chosen = itertools.cycle(asked[::7])
    over = threading.Event()

    def receive() -> None:
        known.take(fleet_state.decode(body), time.monotonic())

    def listen() -> None:
        while not over.wait(_ANNOUNCE_SECONDS):
            receive()

    def place() -> None:
        known.weights(asked)
        # Nova counts the server in on the host that it chooses.
        next(chosen).vcpus_used += 2

    receive()
    listening = threading.Thread(target=listen)
    listening.start()
    try:
        weigh = median_us(place, hosts)
        ask = median_us(lambda: [known.closed(name) for name in names], hosts)
        read = median_us(receive, hosts)
    finally:
        over.set()
        listening.join()
    return weigh, ask, read, len(body)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--hosts', type=int, nargs='+', default=[100, 1000, 10_000]
    )
    given = parser.parse_args()
    shown = table.Table(title=f'µs for each host; median of {_ROUNDS}')
    for name in ('hosts', 'weigher', 'filter', 'a state read', 'KiB of it'):
        shown.add_column(name, justify='right')
    for hosts in given.hosts:
        weigh, ask, read, size = measure(hosts)
        shown.add_row(
            f'{hosts:,}',
            f'{weigh:.2f}',
            f'{ask:.2f}',
            f'{read:.2f}',
            f'{size / 1024:,.0f}',
        )
    console.Console().print(shown)


if __name__ == '__main__':
    main()
