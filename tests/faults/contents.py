"""What a guest has in its memory and on its disk, after a fault."""

from kvm_balancer import errors
from kvm_balancer.lab import bootsector
from kvm_balancer.lab import storage
from kvm_balancer.lab.faults import contract
from tests.faults import ground as grounds

#: What it says of it, once more when it was rebooted.
_FIRST_ROUND = 'R 00000001 '


def problems(case):
    """Return what is wrong with the memory and the disk of the guest.

    Where it runs, it has to go over all of both again.
    """
    running = [
        name for name, state in case.copies().items() if state == 'running'
    ]
    if case.went_back():
        # What it told of, and wrote, is from more than one life.
        return []
    found = []
    if len(running) == 1 and case.fate is not contract.Fate.BROKEN:
        found += _go_round(case, case.ground.lab.host(running[0]))
    if case.fault.reboots and not _has_rebooted(case):
        found.append('it was not rebooted')
    before = _report(case)
    disk = case.guest.disk_at(case.disk_host()).read_bytes()
    report = _report(case)
    if report.damaged:
        found.append(f'{report.damaged} pages or sectors are damaged')
    if not report.in_order:
        found.append(
            'its rounds are not in order, as if it had run twice, or lost '
            f'one: {report.disorder}'
        )
    lost = bootsector.lost_rounds(disk, before.rounds, report.rounds)
    if lost:
        found.append(f'its disk has lost the rounds {lost}')
    return found + _of_disks(case)


def _of_disks(case):
    """Both disks hold what no guest writes to, where there are two."""
    if not case.guest.description.local_disk:
        return []
    hosts = dict.fromkeys((case.ground.lab.hosts[0], case.disk_host()))
    return [
        f'the disk at {host.name} is not whole'
        for host in hosts
        if not storage.is_whole(case.guest.disk_at(host), case.guest.name)
    ]


def _go_round(case, host):
    guest = case.guest
    fast = bootsector.Load(
        0.05, grounds.FAST_MIB_S, guest.description.load.working_set_mib
    )
    try:
        case.ground.lab.set_load(guest, host, fast)
        guest.wait_for_rounds(bootsector.SLOTS + 2)
    except errors.LabError as error:
        return [f'the guest does not go on: {error}']
    return []


def _has_rebooted(case):
    told = case.guest.log.read_text(errors='replace')
    return told.count(_FIRST_ROUND) > 1


def _report(case):
    told = case.guest.log.read_text(errors='replace')
    if case.fault.reboots:
        told = told[max(0, told.rfind(_FIRST_ROUND)) :]
    return bootsector.read(told)
