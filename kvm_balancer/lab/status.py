"""How a laboratory is doing, as seen from outside its services.

Where guests run is what the libvirt daemons say, and what happened to their
memory is what they say themselves: agent and executors are not asked.
"""

import contextlib
import dataclasses

import libvirt

from kvm_balancer import errors
from kvm_balancer.lab import fleet
from kvm_balancer.lab import guests
from kvm_balancer.lab import hosts
from kvm_balancer.lab import linux
from kvm_balancer.lab import readings
from kvm_balancer.lab import watches


@dataclasses.dataclass(frozen=True)
class GuestStatus:
    """One guest that checks its memory.

    :ivar hosts: where it runs: one, unless something is wrong or it is
        being migrated (the destination then has it as well, paused)
    :ivar rounds: how often it has gone over its memory
    :ivar damaged: pages that did not hold what it had written
    :ivar in_order: whether no round of it was lost or came twice
    """

    name: str
    uuid: str
    hosts: tuple[str, ...]
    cpu: float
    dirty_mib_s: float
    working_set_mib: int
    rounds: int
    damaged: int
    in_order: bool


@dataclasses.dataclass(frozen=True)
class LinuxStatus:
    """One guest that runs Linux.

    :ivar hosts: as of the others
    :ivar report: what its watches have told
    :ivar problems: what of it is not as it has to be
    """

    name: str
    uuid: str
    hosts: tuple[str, ...]
    address: str
    mac: str
    report: watches.Report
    problems: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class HostStatus:
    """One host.

    :ivar pid: of the process that holds its namespaces; None when it is down
    :ivar executor: whether it runs; None where there is none
    :ivar guests: how many run on it; None when libvirtd does not answer
    :ivar cpu_load: what its guests are told to burn and its overhead, as a
        share of its cores
    """

    name: str
    address: str
    uri: str
    pid: int | None
    libvirtd: bool
    executor: bool | None
    guests: int | None
    cpus: float
    memory_mib: float
    cpu_load: float


@dataclasses.dataclass(frozen=True)
class LabStatus:
    """All of it.

    :ivar broker: whether it answers; None where there is none
    :ivar agent: whether it runs; None where there is none
    :ivar problems: what is not as it has to be, a line each
    """

    name: str
    directory: str
    virtualisation: str
    broker: bool | None
    agent: bool | None
    hosts: tuple[HostStatus, ...]
    guests: tuple[GuestStatus, ...]
    linux_guests: tuple[LinuxStatus, ...]
    problems: tuple[str, ...]


def look(lab: fleet.Lab) -> LabStatus:
    """Look at a laboratory."""
    running = {host.name: _running(host) for host in lab.hosts}
    fleet_guests = tuple(_guest(guest, running) for guest in lab.guests)
    linux_guests = tuple(_linux(guest, running) for guest in lab.linux_guests)
    fleet_hosts = tuple(
        _host(host, running[host.name], fleet_guests, lab.services is not None)
        for host in lab.hosts
    )
    services = lab.services
    broker = services.bus.answers() if services else None
    agent = services.processes.is_alive('agent') if services else None
    problems = [
        *_problems_of_services(broker, agent),
        *_problems_of_hosts(fleet_hosts),
        *_problems_of_guests(fleet_guests),
        *(
            f'{guest.name}: {line}'
            for guest in linux_guests
            for line in guest.problems
        ),
        *_problems_of_places((*fleet_guests, *linux_guests)),
    ]
    return LabStatus(
        name=lab.description.name,
        directory=str(lab.directory),
        virtualisation=lab.description.virtualisation,
        broker=broker,
        agent=agent,
        hosts=fleet_hosts,
        guests=fleet_guests,
        linux_guests=linux_guests,
        problems=tuple(problems),
    )


def _running(host: hosts.Host) -> set[str] | None:
    """Return the uuids of domains whose CPUs run, or None."""
    if not host.is_alive('libvirtd'):
        return None
    try:
        with contextlib.closing(host.connect()) as connection:
            domains = connection.listAllDomains(
                libvirt.VIR_CONNECT_LIST_DOMAINS_RUNNING
            )
            return {domain.UUIDString() for domain in domains}
    except (errors.LabError, libvirt.libvirtError):
        return None


def _guest(
    guest: guests.Guest, running: dict[str, set[str] | None]
) -> GuestStatus:
    report = guest.report()
    load = guest.description.load
    return GuestStatus(
        name=guest.name,
        uuid=guest.uuid,
        hosts=_places(guest.uuid, running),
        cpu=load.cpu,
        dirty_mib_s=load.dirty_mib_s,
        working_set_mib=load.working_set_mib,
        rounds=report.rounds,
        damaged=report.damaged,
        in_order=report.in_order,
    )


def _linux(
    guest: linux.LinuxGuest, running: dict[str, set[str] | None]
) -> LinuxStatus:
    report = guest.report()
    return LinuxStatus(
        name=guest.name,
        uuid=guest.uuid,
        hosts=_places(guest.uuid, running),
        address=guest.address,
        mac=guest.mac,
        report=report,
        problems=report.problems,
    )


def _places(
    guest: str, running: dict[str, set[str] | None]
) -> tuple[str, ...]:
    return tuple(
        name for name, found in running.items() if guest in (found or ())
    )


def _host(
    host: hosts.Host,
    running: set[str] | None,
    fleet_guests: tuple[GuestStatus, ...],
    with_executor: bool,
) -> HostStatus:
    try:
        figures = readings.read(host.readings)
    except errors.LabError:
        figures = readings.Readings()
    burnt = sum(
        guest.cpu for guest in fleet_guests if host.name in guest.hosts
    )
    return HostStatus(
        name=host.name,
        address=host.address,
        uri=host.uri,
        pid=host.holder if host.is_alive('holder') else None,
        libvirtd=running is not None,
        executor=host.is_alive('executor') if with_executor else None,
        guests=None if running is None else len(running),
        cpus=figures.cpus,
        memory_mib=figures.memory_mib,
        cpu_load=(burnt + figures.cpu_overhead) / figures.cpus,
    )


def _problems_of_services(
    broker: bool | None, agent: bool | None
) -> list[str]:
    found = []
    if broker is False:
        found.append('RabbitMQ does not answer')
    if agent is False:
        found.append('the agent does not run')
    return found


def _problems_of_hosts(fleet_hosts: tuple[HostStatus, ...]) -> list[str]:
    found = []
    for host in fleet_hosts:
        if host.pid is None:
            found.append(f'{host.name} is down')
        elif not host.libvirtd:
            found.append(f'libvirtd of {host.name} does not answer')
        if host.executor is False:
            found.append(f'the executor of {host.name} does not run')
    return found


def _problems_of_guests(fleet_guests: tuple[GuestStatus, ...]) -> list[str]:
    found = []
    for guest in fleet_guests:
        if guest.damaged:
            found.append(f'{guest.name} has found {guest.damaged} bad pages')
        if not guest.in_order:
            found.append(f'{guest.name} lost a round or ran one twice')
    return found


def _problems_of_places(
    all_guests: tuple[GuestStatus | LinuxStatus, ...],
) -> list[str]:
    found = []
    for guest in all_guests:
        if not guest.hosts:
            found.append(f'{guest.name} runs nowhere')
        elif len(guest.hosts) > 1:
            where = ' and '.join(guest.hosts)
            found.append(f'{guest.name} runs twice: on {where}')
    return found
