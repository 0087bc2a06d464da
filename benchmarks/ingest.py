"""Samples ingested: the agent's way against bare kombu and json.

Both consume the same messages from the same broker in the same run, in
turns. Bare means kombu's consumer, ``json.loads`` and an acknowledgement for
each message, and nothing is done with what was read; the agent's way reads
in batches, checks every field, and applies the samples to the fleet.

Run ``python -m benchmarks.ingest``; ``--url rabbit://...`` for a real
RabbitMQ, whose queue ``kvm_balancer.samples`` is made anew.
"""

import argparse
import collections.abc
import json
import statistics
import threading
import time
from typing import Any

import kombu
from oslo_config import cfg
from rich import console
from rich import table

from kvm_balancer import cmd  # noqa: F401 - keeps libraries quiet
from kvm_balancer.bus import broker
from kvm_balancer.bus import samples
from kvm_balancer.bus import streams
from kvm_balancer.bus import transport
from kvm_balancer.messages import sample as messages
from kvm_balancer.model import observed
from kvm_balancer.model import sample

_BATCH = 500
_NOW = 1_800_000_000.0
_INTERVAL_SECONDS = 10.0


def reading(host: int, instances: int, sequence: int) -> sample.Sample:
    """Make one sample of a host."""
    rows = range(instances)
    load = tuple(0.1 + (host + row + sequence) % 17 / 10 for row in rows)
    zeros = (0.0,) * instances
    return sample.Sample(
        host=f'host-{host:05}',
        boot='boot',
        sequence=sequence,
        taken_at=_NOW + sequence * _INTERVAL_SECONDS,
        interval_seconds=_INTERVAL_SECONDS,
        facts=sample.HostFacts(cpus=64.0, memory_mib=524288.0, zone='az1'),
        usage=sample.HostUsage(sum(load) + 1.5, 1.5, 100000.0, 4096.0),
        instances=sample.InstanceUsages(
            id=tuple(f'{host:08}-0000-4000-8000-{row:012}' for row in rows),
            name=tuple(f'instance-{host:05}-{row:03}' for row in rows),
            owner=('balancer',) * instances,
            state=('running',) * instances,
            vcpus=(4.0,) * instances,
            memory_mib=(8192.0,) * instances,
            disk_gib=(40.0,) * instances,
            cpu_usage=load,
            cpu_steal=zeros,
            memory_usage_mib=(4096.25,) * instances,
            dirty_rate_mib_s=(12.5,) * instances,
            network_rx_mib_s=zeros,
            network_tx_mib_s=zeros,
            block_read_mib_s=zeros,
            block_write_mib_s=zeros,
        ),
    )


class Run:
    """One broker, and the two ways to consume from it."""

    def __init__(self, url: str, hosts: int, instances: int) -> None:
        self.conf = cfg.ConfigOpts()
        self.conf([], default_config_files=[], default_config_dirs=[])
        transport.set_defaults(self.conf)
        self.conf.set_override('transport_url', url)
        self.broker = broker.find(self.conf)
        self.stream = streams.Stream(samples.NAME, 1_000_000, 600)
        self.hosts = hosts
        self.instances = instances
        self.sequence = 0
        self.fleet = observed.ObservedFleet()
        self.publisher = streams.Publisher(self.broker, self.stream)
        with self.broker.connection() as connection:
            queue = self.stream.queue(connection.default_channel)
            queue.delete()
            queue.declare()

    def fill(self) -> int:
        """Put one sample of each host into the queue; return their size."""
        self.sequence += 1
        size = 0
        for host in range(self.hosts):
            made = reading(host, self.instances, self.sequence)
            body = messages.encode_sample(made)
            size += len(body)
            if not self.publisher.publish(body, made.host):
                raise SystemExit(f'{self.broker.name} takes no samples')
        return size

    def bare(self) -> None:
        """Consume all with kombu and json."""
        left = self.hosts

        def take(message: Any) -> None:
            nonlocal left
            json.loads(message.body)
            message.ack()
            left -= 1

        with self.broker.connection() as connection:
            consumer = kombu.Consumer(
                connection.default_channel,
                [self.stream.queue],
                on_message=take,
                prefetch_count=2 * _BATCH,
            )
            with consumer:
                while left:
                    connection.drain_events(timeout=10)

    def ours(self) -> None:
        """Consume all as the agent does."""
        stop = threading.Event()
        left = self.hosts
        now = _NOW + self.sequence * _INTERVAL_SECONDS

        def take(bodies: list[bytes]) -> None:
            nonlocal left
            readings = [messages.decode_sample(body) for body in bodies]
            if self.fleet.apply(readings, now):
                raise SystemExit('samples were refused')
            left -= len(bodies)
            if not left:
                stop.set()

        streams.Reader(self.broker, self.stream, take, _BATCH, 0.05).run(stop)

    def pure(self) -> dict[str, float]:
        """Return µs of each sample for the parts that are ours alone."""
        self.sequence += 1
        now = _NOW + self.sequence * _INTERVAL_SECONDS
        bodies = [
            messages.encode_sample(
                reading(host, self.instances, self.sequence)
            )
            for host in range(self.hosts)
        ]
        began = time.process_time()
        readings = [messages.decode_sample(body) for body in bodies]
        decoded = time.process_time()
        for first in range(0, self.hosts, _BATCH):
            self.fleet.apply(readings[first : first + _BATCH], now)
        applied = time.process_time()
        for body in bodies:
            json.loads(body)
        parsed = time.process_time()
        self.fleet.snapshot(now)
        seen = time.process_time()
        each = 1e6 / self.hosts
        return {
            'decode and check': (decoded - began) * each,
            'apply to the fleet': (applied - decoded) * each,
            'json.loads alone, for comparison': (parsed - applied) * each,
            'snapshot of the fleet, all of it, ms': (seen - parsed) * 1e3,
        }


def measured(
    consume: collections.abc.Callable[[], None], count: int
) -> tuple[float, float]:
    """Return samples a second and µs of CPU for each."""
    began, used = time.perf_counter(), time.process_time()
    consume()
    took = time.perf_counter() - began
    cpu = time.process_time() - used
    return count / took, cpu / count * 1e6


def report(run: Run, rounds: int) -> None:
    """Measure in turns, and print medians with their range."""
    rates: dict[str, list[tuple[float, float]]] = {}
    size = 0
    ways = {'bare kombu + json': run.bare, 'kvm_balancer': run.ours}
    # Imports, windows and the first sight of every instance.
    for consume in ways.values():
        run.fill()
        consume()
    for _ in range(rounds):
        for name, consume in ways.items():
            size = run.fill()
            rates.setdefault(name, []).append(measured(consume, run.hosts))
    shown = table.Table(
        title=f'{run.hosts} samples of {run.instances} instances, '
        f'{size // run.hosts} bytes each, from {run.broker.name}; '
        f'median of {rounds} (lowest, highest)'
    )
    for heading in ('', 'samples/s', 'µs of CPU each'):
        shown.add_column(heading, justify='right')
    for name, pairs in rates.items():
        shown.add_row(
            name, *(_spread(column) for column in zip(*pairs, strict=True))
        )
    costs = [
        statistics.median(cost for _, cost in pairs)
        for pairs in rates.values()
    ]
    shown.add_row('ratio of costs', '', f'{costs[1] / costs[0]:.2f}')
    for name, cost in run.pure().items():
        shown.add_row(name, '', f'{cost:.1f}')
    console.Console().print(shown)


def _spread(column: tuple[float, ...]) -> str:
    median = statistics.median(column)
    return f'{median:.0f} ({min(column):.0f}, {max(column):.0f})'


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--url', default='fake://', help='transport_url')
    parser.add_argument('--hosts', type=int, default=2000)
    parser.add_argument('--instances', type=int, default=20, help='of a host')
    parser.add_argument('--rounds', type=int, default=5)
    wanted = parser.parse_args()
    report(Run(wanted.url, wanted.hosts, wanted.instances), wanted.rounds)


if __name__ == '__main__':
    main()
