"""What an executor takes of its host while it carries eight migrations.

A laboratory of its own, with a broker, an agent that only watches, and the
real program on both hosts. Eight guests leave the first one at once over a
slow link, so that there is time to look; the link is so slow also because
eight of them share it. CPU is that of the executor's process, from the start
of the first migration to the end of the last; memory is looked at all along.
"""

import dataclasses
import os
import pathlib
import time
import uuid

from oslo_config import cfg

from benchmarks.migration import ground
from benchmarks.migration import reckoning
from benchmarks.migration import report
from kvm_balancer.bus import transport
from kvm_balancer.conf import opts
from kvm_balancer.migration import request
from kvm_balancer.migration.lifecycle import states
from kvm_balancer.service import executor_client

_AT_ONCE = 8
_FILLED_MIB = 200
_LINK_MIB_S = 40.0
_LIMIT_MIB = 80.0
_LIMIT_CPU = 0.05
_PATIENCE_SECONDS = 150.0
_REST_SECONDS = 10.0
_LOOK_SECONDS = 1.0
_KIB_PER_MIB = 1024.0


@dataclasses.dataclass(slots=True)
class Watched:
    """An executor's process, from outside.

    :ivar resident_mib: most of it seen, shared pages and all (RSS)
    :ivar own_mib: the same, with shared pages shared out (PSS)
    """

    pid: int
    resident_mib: float = 0.0
    own_mib: float = 0.0

    def look(self) -> None:
        """Look at its memory."""
        text = pathlib.Path(f'/proc/{self.pid}/smaps_rollup').read_text()
        fields = dict(
            line.split(':', 1) for line in text.splitlines() if ':' in line
        )
        for field, name in (('Rss', 'resident_mib'), ('Pss', 'own_mib')):
            mib = int(fields[field].split()[0]) / _KIB_PER_MIB
            setattr(self, name, max(getattr(self, name), mib))

    def cpu_seconds(self) -> float:
        """Return the CPU time that it has taken so far."""
        stat = pathlib.Path(f'/proc/{self.pid}/stat').read_text()
        fields = stat.rpartition(')')[2].split()
        ticks = int(fields[11]) + int(fields[12])
        return ticks / os.sysconf('SC_CLK_TCK')


def run(pairs: int) -> report.Report:
    """Send eight guests there and back, *pairs* ways in all."""
    told = report.Report(
        'load',
        f'an executor with {_AT_ONCE} migrations at once, guests of '
        f'{ground.MEMORY_MIB} MiB, {_FILLED_MIB} filled, link of '
        f'{_LINK_MIB_S:g} MiB/s',
        f'less than {_LIMIT_MIB:g} MiB (resident, RSS), less than '
        f'{_LIMIT_CPU:.0%} of a core',
    )
    with ground.prepared(services=True) as place:
        _allow_all(place)
        client = executor_client.ExecutorClient(_configuration(place), 60.0)
        try:
            guests = [
                place.guest(filled_mib=_FILLED_MIB) for _ in range(_AT_ONCE)
            ]
            place.limit(_LINK_MIB_S)
            for _ in range(pairs):
                told.rows.append(_send(place, client, guests, told))
        finally:
            client.close()
    cpu = [float(row['CPU %'] or 0.0) for row in told.rows]
    most = max(float(row['RSS MiB'] or 0.0) for row in told.rows)
    told.reached = most < _LIMIT_MIB and max(cpu) < 100 * _LIMIT_CPU
    told.identical = f'{reckoning.noise(cpu):.2f} % of a core'
    return told


def _send(
    place: ground.Ground,
    client: executor_client.ExecutorClient,
    guests: list[str],
    told: report.Report,
) -> dict[str, report.Cell]:
    """Send all guests to the other host, and watch the executor."""
    source = place.host(guests[0])
    process = source.processes.find('executor')
    if process is None:
        raise RuntimeError(f'no executor on {source.name}')
    watched = Watched(process.pid)
    idle = _idle(watched)
    resting_mib = watched.resident_mib
    began, used = time.perf_counter(), watched.cpu_seconds()
    wanted = [_wanted(place, uid) for uid in guests]
    states_seen = {one.migration_id: client.migrate(one) for one in wanted}
    told.say(f'{len(wanted)} migrations leave {source.name}')
    begun = time.perf_counter(), watched.cpu_seconds()
    until = time.monotonic() + _PATIENCE_SECONDS
    while not all(states.State(one).ended for one in states_seen.values()):
        if time.monotonic() > until:
            raise RuntimeError(f'they do not end: {states_seen}')
        time.sleep(_LOOK_SECONDS)
        watched.look()
        for row in [*_settled(place, guests)]:
            one = wanted[guests.index(row)].migration_id
            states_seen[one] = client.state(source.name, one)
    ended = time.perf_counter(), watched.cpu_seconds()
    for uid in guests:
        place.moved(uid)
    kinds = sorted(set(states_seen.values()))
    told.say(f'{ended[0] - began:.0f} s, {kinds}')
    return {
        'from': source.name,
        'ended': ', '.join(kinds),
        's': ended[0] - began,
        'RSS MiB': watched.resident_mib,
        'PSS MiB': watched.own_mib,
        'RSS MiB before': resting_mib,
        'CPU %': 100 * (ended[1] - begun[1]) / (ended[0] - begun[0]),
        'CPU s to take them on': begun[1] - used,
        'CPU % before': idle,
    }


def _settled(place: ground.Ground, guests: list[str]) -> list[str]:
    """Return the guests whose job is over, as libvirt told.

    Who asked the executor all the time would measure his own questions.
    """
    return [uid for uid in guests if place.is_settled(uid)]


def _idle(watched: Watched) -> float:
    began, used = time.perf_counter(), watched.cpu_seconds()
    time.sleep(_REST_SECONDS)
    watched.look()
    took = time.perf_counter() - began
    return 100 * (watched.cpu_seconds() - used) / took


def _wanted(place: ground.Ground, uid: str) -> request.Request:
    place.forget(uid)
    source, destination = place.host(uid), place.other(uid)
    return request.Request(
        migration_id=str(uuid.uuid4()),
        instance=uid,
        source=source.name,
        destination=destination.name,
        destination_uri=destination.uri,
        migration_address=destination.address,
        accepted_at=time.time(),
    )


def _allow_all(place: ground.Ground) -> None:
    """Let the executors take eight at once, and start them anew."""
    programs = place.lab.services
    if programs is None:
        raise RuntimeError('this laboratory has no services')
    for host in place.lab.hosts:
        path = programs.executor_configuration(host)
        text = path.read_text().replace(
            '[host]\n',
            f'[host]\nmax_incoming = {_AT_ONCE}\nmax_outgoing = {_AT_ONCE}\n',
        )
        path.write_text(text)
        host.processes.stop('executor')
        programs.start_executor(host)


def _configuration(place: ground.Ground) -> cfg.ConfigOpts:
    """Return what the agent is configured with: the bus."""
    programs = place.lab.services
    if programs is None:
        raise RuntimeError('this laboratory has no services')
    conf = cfg.ConfigOpts()
    opts.register_opts(conf)
    transport.set_defaults(conf)
    conf([f'--config-file={programs.agent_configuration}'])
    return conf
