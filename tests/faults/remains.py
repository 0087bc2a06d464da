"""What a migration must not leave behind on either host."""

import contextlib
import pathlib

import libvirt

from kvm_balancer.lab import leases
from kvm_balancer.lab import monitor
from kvm_balancer.lab import processes
from kvm_balancer.lab import storage
from kvm_balancer.migration.lifecycle import states

#: Where QEMU listens for memory and disks.
_PORTS = range(49152, 49216)
_LISTENS = '0A'
#: What libvirt takes for none, in MiB/s.
_NO_LIMIT = 2**43 - 1
#: An instance has it in its metadata while it is on its way.
_MARK = 'kvm-balancer-migration'
#: What libvirt names the parts of QEMU that reach the other host's disks.
_MIGRATION_NODE = 'migration-'


def of_journals(case):
    """Every entry ended, or unknown; nothing waits, nothing is promised."""
    found = []
    for host in case.ground.lab.hosts:
        kept = case.ground.journal(host)
        found += [
            f'the journal of {host.name} still has {row["migration_id"]} as '
            f'{row["state"]}'
            for row in kept['journal']
            if not row['ended'] and row['state'] != states.State.UNKNOWN.value
        ]
        for table in ('messages', 'leases'):
            if table == 'leases' and case.is_left_to_a_person():
                # What is left of it may be using that memory.
                continue
            if kept[table]:
                found.append(
                    f'{host.name} still has {len(kept[table])} {table}'
                )
    return found


def of_hosts(case):
    """Nothing of the instance is left where it is not."""
    copies = case.copies()
    defined = {}
    found = [
        *_of_domains(case, copies, defined),
        *_of_images(case, defined),
        *(of_leases(case) if not _lacks_lease(case) else ()),
        *(line for name in copies for line in _of_qemu(case, name)),
    ]
    for host in case.ground.lab.hosts:
        pids = [
            pid
            for pid in processes.belonging(host.directory)
            if processes.runs_with(pid, f'guest={case.guest.name},')
        ]
        if len(pids) > (host.name in copies):
            found.append(f'{host.name} has QEMU processes of it: {pids}')
        table = pathlib.Path(f'/proc/{host.holder}/net/tcp').read_text()
        open_ports = listening(table)
        if open_ports:
            found.append(f'{host.name} still listens at {open_ports}')
    return found


def _of_domains(case, copies, defined):
    """A definition where it is, and only there; no limit on what is next.

    :param defined: takes the hosts that know it, by whether it is active
    """
    found = []
    for host in case.ground.lab.hosts:
        with contextlib.closing(host.connect()) as connection:
            for domain in connection.listAllDomains():
                if domain.name() != case.guest.name:
                    continue
                defined[host.name] = bool(domain.isActive())
                if _MARK in domain.XMLDesc(0):
                    found.append(f'it is still marked at {host.name}')
                if defined[host.name] and limits(domain) != case.limits:
                    found.append(
                        f'it was left with other limits at {host.name}: '
                        f'{limits(domain)}, not {case.limits}'
                    )
    away = [name for name in defined if copies and name not in copies]
    if away:
        found.append(f'its definition is left at {away}')
    if not copies and len(defined) > 1:
        found.append(f'it is defined at {list(defined)}')
    lacks = [name for name in copies if not defined.get(name, False)]
    if lacks:
        found.append(f'libvirt does not know it at {lacks}')
    return found


def _of_images(case, defined):
    """The source keeps its disk; the destination has one if it has it."""
    if not case.guest.description.local_disk:
        return []
    source, destination = case.ground.lab.hosts
    found = []
    if not case.guest.disk_at(source).exists():
        found.append(f'{source.name} has lost its disk')
    image = case.guest.disk_at(destination)
    if destination.name in defined and not image.exists():
        found.append(f'{destination.name} has no disk of it')
    if (
        destination.name not in defined
        and image.exists()
        and not _is_told(case, image.name)
    ):
        found.append(f'{destination.name} still has a disk of it')
    return found


def _is_told(case, image):
    """Say whether a person was told to look after an image.

    Of an instance that has ended, when nobody watched where: whether it ran
    on the destination before, and wrote to it, nobody can know. And of a
    destination that was not waited for any longer.
    """
    told = case.ground.outcomes.of(case.migration_id)
    if case.copies() and 'cannot be asked' not in told[-1].reason:
        return False
    return any(
        image in line.text and 'may be left' in line.text
        for one in told
        for line in one.story
    )


def _lacks_lease(case):
    """Say whether it was told that nobody holds the lease any more."""
    told = case.ground.outcomes.of(case.migration_id)
    return any(
        line.text.startswith('virtlockd does not hold')
        for one in told
        for line in one.story
    )


def of_leases(case):
    """Whoever runs it holds its lease, and nobody else does."""
    if not case.ground.guarded:
        return []
    copies = case.copies()
    lab, guest = case.ground.lab, case.guest
    name = guest.name
    if guest.description.local_disk:
        name = str(storage.IMAGES / guest.disk_at(lab.hosts[0]).name)
    found = leases.held(lab.description, name)
    holders = [
        host.name
        for host in lab.hosts
        for pid in found
        if host.processes.find('virtlockd').pid == pid
    ]
    running = [one for one, state in copies.items() if state == 'running']
    if holders == running and len(found) == len(holders):
        return []
    return [f'its lease is held at {holders} by {found}, it runs at {running}']


def limits(domain):
    """Return what a migration of a domain is limited to."""
    post_copy = domain.migrateGetMaxSpeed(
        libvirt.VIR_DOMAIN_MIGRATE_MAX_SPEED_POSTCOPY
    )
    return {
        'MiB/s': domain.migrateGetMaxSpeed(0),
        # Both stand for none: nobody had set one, or it was put back.
        'MiB/s in post-copy': 0 if post_copy >= _NO_LIMIT else post_copy,
        'ms': domain.migrateGetMaxDowntime(0),
    }


def _of_qemu(case, name):
    """Nothing is exported, nothing is copied, nothing is held back."""
    path = case.ground.lab.host(name).runtime(
        monitor.HANDS.format(guest=case.guest.name)
    )
    with contextlib.closing(monitor.Monitor(path)) as asked:
        try:
            found = {
                'exports': asked.ask('query-block-exports'),
                'block jobs': asked.ask('query-block-jobs'),
                'parts of a copy': [
                    name
                    for node in asked.ask('query-named-block-nodes')
                    if (name := node['node-name']).startswith(_MIGRATION_NODE)
                ],
                'bitmaps': [
                    bitmap['name']
                    for node in asked.ask('query-named-block-nodes')
                    for bitmap in node.get('dirty-bitmaps', ())
                ],
            }
        except (monitor.Gone, monitor.Silent) as error:
            return [f'its QEMU at {name} does not answer {error}']
    return [
        f'{name} still has {what}' for what, there in found.items() if there
    ]


def listening(table):
    """Return the migration ports that are listened at.

    :param table: as the kernel has it in ``/proc/PID/net/tcp``
    """
    found = []
    for line in table.splitlines()[1:]:
        _, local, _, state, *_ = line.split()
        port = int(local.rpartition(':')[2], 16)
        if state == _LISTENS and port in _PORTS:
            found.append(port)
    return sorted(found)
