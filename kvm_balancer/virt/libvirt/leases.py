"""Does a lock manager guard an instance, before it leaves and if it stays?

libvirt has one window of its own in which a migration can leave two copies
running: the destination starts the guest, and its word of that gets lost on
the way. With a lock manager the source then cannot start it again (seen with
libvirt 9.0 and virtlockd), as without its locks nobody runs it.

virtlockd locks files and block devices by itself; what has its disks on the
network needs a ``<lease>`` in its definition. No libvirt tells which lock
manager it has: that is read off its configuration, and a lease off the locks
of the kernel.
"""

import hashlib
import os
import pathlib
import re

from kvm_balancer.migration import events
from kvm_balancer.virt.libvirt import documents
from kvm_balancer.virt.libvirt import verdicts

NAME = 'locks'

_QEMU_CONF = 'etc/libvirt/qemu.conf'
_LOCKD_CONF = 'etc/libvirt/qemu-lockd.conf'
_LOCKS = 'proc/locks'

_MANAGER = re.compile(r'^\s*lock_manager\s*=\s*"(\w+)"', re.MULTILINE)
_LOCKSPACE = re.compile(
    r'^\s*file_lockspace_dir\s*=\s*"([^"]+)"', re.MULTILINE
)
_NO_DISKS = re.compile(r'^\s*auto_disk_leases\s*=\s*0', re.MULTILINE)
#: What libvirt has where nothing is said: a manager that locks nothing.
_NONE = 'nop'
_LOCKD = 'lockd'
#: Kinds of disks that virtlockd locks by itself.
_LOCKED = ('file', 'block')

_REMEDY = (
    'run virtlockd on all hosts, with a lock space that they share, and give '
    'the instance a <lease>'
)


def check(
    facts: documents.DomainFacts,
    end: events.End,
    local: bool,
    root: pathlib.Path = pathlib.Path('/'),
) -> events.Check:
    """Say whether the instance is guarded against a second start.

    What is not guarded may leave all the same.

    :param local: this process sees the file systems of the source host
    :param root: where those are
    """
    if not local:
        return verdicts.unknown(
            NAME,
            'whether a lock manager guards the instance cannot be seen from '
            'here',
            'let kvm-balancer-executor read it on the source',
        )
    try:
        manager = _manager(root)
        if manager == _LOCKD:
            return _check_lockd(facts, end, root)
    except OSError as error:
        return verdicts.unknown(
            NAME,
            'whether a lock manager guards the instance: '
            f'{error.filename}: {error.strerror}',
            'let kvm-balancer-executor read it on the source',
        )
    if manager != _NONE:
        return verdicts.unknown(
            NAME,
            f'whether {manager} guards the instance is not looked at',
            "see to it that it does, in its definition and libvirt's",
        )
    return verdicts.unknown(
        NAME,
        'no lock manager runs on the source: where the word of a finished '
        'migration gets lost, libvirt itself may start the instance twice',
        _REMEDY,
    )


def there(root: pathlib.Path = pathlib.Path('/')) -> events.Check:
    """Say whether this host, as a destination, has a lock manager."""
    name = f'{NAME} there'
    try:
        manager = _manager(root)
    except OSError as error:
        return verdicts.unknown(
            name,
            'whether the destination has a lock manager: '
            f'{error.filename}: {error.strerror}',
            'let kvm-balancer-executor read it there',
        )
    if manager != _NONE:
        return verdicts.passed(name)
    return verdicts.unknown(
        name,
        'no lock manager runs on the destination: it starts whatever it is '
        'told to, wherever else that runs',
        _REMEDY,
    )


def given_up(
    facts: documents.DomainFacts, root: pathlib.Path = pathlib.Path('/')
) -> tuple[str, ...]:
    """Return what virtlockd is to hold of an instance that runs, and does not.

    libvirt gives the locks up when the instance is stopped to go. Where the
    migration then fails and QEMU itself lets the instance run again, it does
    not take them back (seen with libvirt 9.0, QEMU 7.2).

    :param root: where the file systems of this host are
    :returns: keys of leases, or paths of disks
    """
    try:
        if _manager(root) != _LOCKD:
            return ()
        held = _held(root)
        if facts.leases:
            return tuple(
                one.key for one in facts.leases if _file(one, root) not in held
            )
        if _locks_no_disks(root):
            return ()
        return tuple(
            one.source
            for one in facts.disks
            if one.kind == 'file'
            and one.source
            and not (one.read_only or one.shareable)
            and _identity(_lock_of(one.source, root)) not in held
        )
    except OSError:
        # Before the next migration it is looked at anew.
        return ()


def _check_lockd(
    facts: documents.DomainFacts, end: events.End, root: pathlib.Path
) -> events.Check:
    if facts.leases:
        if end.state is not events.EndState.RUNNING:
            # It gives them up while it stands still.
            return verdicts.passed(NAME)
        held = _held(root)
        loose = [one for one in facts.leases if _file(one, root) not in held]
        if not loose:
            return verdicts.passed(NAME)
        return verdicts.unknown(
            NAME,
            'nobody is seen to hold its lease '
            + ', '.join(one.key for one in loose),
            'restart libvirtd and the instance, so that both know of '
            'virtlockd',
        )
    disks = [one for one in facts.disks if one.source and not one.read_only]
    loose_disks = [
        one.target
        for one in disks
        if one.kind not in _LOCKED or _locks_no_disks(root)
    ]
    if disks and len(loose_disks) < len(disks):
        # One that it does not get is enough to keep it from starting.
        return verdicts.passed(NAME)
    what = 'it has no disk that is written to'
    if disks:
        what = f'it does not lock {", ".join(loose_disks)} by itself'
    return verdicts.unknown(
        NAME,
        f'virtlockd runs on the source, but does not guard the instance: '
        f'{what}',
        'give the instance a <lease>',
    )


def _manager(root: pathlib.Path) -> str:
    """Return which lock manager libvirt's configuration names.

    :raises OSError: when it cannot be read
    """
    found = _MANAGER.findall(_text(root / _QEMU_CONF))
    return found[-1] if found else _NONE


def _locks_no_disks(root: pathlib.Path) -> bool:
    return bool(_NO_DISKS.search(_text(root / _LOCKD_CONF)))


def _text(path: pathlib.Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        return ''


def _held(root: pathlib.Path) -> frozenset[tuple[int, int, int]]:
    """Return what is locked for writing: device numbers and inode.

    virtlockd's locks are POSIX's; QEMU's own ones are not.
    """
    held = set()
    for line in _text(root / _LOCKS).splitlines():
        words = line.split()
        if words[1:4] != ['POSIX', 'ADVISORY', 'WRITE'] or len(words) < 6:
            continue
        major, minor, inode = words[5].split(':')
        held.add((int(major, 16), int(minor, 16), int(inode)))
    return frozenset(held)


def _file(
    lease: documents.Lease, root: pathlib.Path
) -> tuple[int, int, int] | None:
    """Return device numbers and inode of a lease; None where it is not."""
    return _identity(root / lease.path.lstrip('/') / lease.space / lease.key)


def _lock_of(source: str, root: pathlib.Path) -> pathlib.Path:
    """Return the file that virtlockd locks for a disk in a file."""
    spaces: list[str] = _LOCKSPACE.findall(_text(root / _LOCKD_CONF))
    if not spaces:
        return root / source.lstrip('/')
    name = hashlib.sha256(source.encode()).hexdigest()
    return root / spaces[-1].lstrip('/') / name


def _identity(path: pathlib.Path) -> tuple[int, int, int] | None:
    """Return device numbers and inode of a file; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return os.major(found.st_dev), os.minor(found.st_dev), found.st_ino
