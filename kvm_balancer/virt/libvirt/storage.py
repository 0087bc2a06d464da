"""Whether both ends reach the disks of a domain, and which are to be copied.

Network disks are reached by both. Whether a file is the same one on both
hosts is tried out, with a probe beside it (:mod:`.pools`); where that cannot
be, the kind of the file system that it is on says whether it may be. libvirt
looks again at files when the migration starts, and refuses what is unsafe.
Block devices, and what images are laid over, at which it does not look, have
rules of their own (:mod:`.devices`, :mod:`.layers`).

What was not found to be another file is never copied: a disk would be copied
onto itself.
"""

import collections.abc
import contextlib
import dataclasses
import functools

import libvirt

from kvm_balancer import errors
from kvm_balancer.migration import events
from kvm_balancer.migration import request
from kvm_balancer.virt.libvirt import arrivals
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import departure
from kvm_balancer.virt.libvirt import devices
from kvm_balancer.virt.libvirt import documents
from kvm_balancer.virt.libvirt import filesystems
from kvm_balancer.virt.libvirt import images
from kvm_balancer.virt.libvirt import layers
from kvm_balancer.virt.libvirt import pools
from kvm_balancer.virt.libvirt import verdicts

NAME = 'storage'

_MIB = 2**20
#: On the hardware of a host, or of one that it alone reaches.
_FIXED = ('nvme', 'vhostuser', 'vhostvdpa')


@dataclasses.dataclass(frozen=True, slots=True)
class Survey:
    """What was found out about the disks of one instance."""

    checks: tuple[events.Check, ...]
    copies: tuple[images.Copy, ...] = ()


def survey(
    here: connection.Connection,
    there: connection.Connection,
    subject: departure.Subject,
    options: request.Options,
    local: bool,
) -> Survey:
    """Look at the disks on both ends.

    :param local: this process sees the file systems of the source host
    :raises HypervisorUnreachable: when an end stops answering
    """
    look = _Look(here, there, subject, options, local)
    for disk in subject.facts.disks:
        if disk.source:
            look.at(disk)
    return look.survey()


def local_mib(
    domain: connection.Handle, facts: documents.DomainFacts, local: bool
) -> float:
    """Return what would be copied of the disks of a domain, at most.

    Nothing of one that arrives: it would not answer before it has.

    :param local: this process sees the file systems of its host
    """
    if arrivals.is_arriving(domain):
        return 0.0
    mounts = filesystems.mounts() if local else ''
    stored = 0
    for disk in facts.disks:
        if disk.kind != 'file' or not disk.source or disk.read_only:
            continue
        if mounts and filesystems.is_shared(disk.source, mounts):
            continue
        # One that has ended meanwhile has nothing to be copied.
        with contextlib.suppress(libvirt.libvirtError):
            stored += domain.blockInfo(disk.target)[1]
    return stored / _MIB


class _Look:
    """A look at the disks of one instance, one after the other."""

    def __init__(
        self,
        here: connection.Connection,
        there: connection.Connection,
        subject: departure.Subject,
        options: request.Options,
        local: bool,
    ) -> None:
        self._here = here
        self._there = there
        self._subject = subject
        self._copying = options.copy_storage
        self._trust = options.trust_disk_paths
        self._mounts = filesystems.mounts() if local else ''
        self._failed: list[tuple[str, str]] = []
        self._unknown: list[tuple[str, str]] = []
        self._copies: list[images.Copy] = []
        #: block devices, in words, and their paths
        self._devices: list[tuple[str, str]] = []
        self._is_same = functools.cache(
            lambda place: pools.is_same(here, there, place)
        )
        self._layers = layers.Layers(here, there, self._mounts, self._is_same)

    def at(self, disk: documents.Disk) -> None:
        """Look at a disk that has a source, and at what it is laid over."""
        if disk.kind == 'volume':
            disk = pools.resolve(self._here, self._there, disk)
        if self._is_only_here(disk):
            self._at_local(disk, _named(disk))
            return
        self._layers.at(disk)
        self._devices += [
            (f'{one.source} of {disk.target}', one.source)
            for one in layers.chain(disk)
            if one.kind == 'block'
        ]
        if disk.kind in ('block', 'volume'):
            self._devices.append((_named(disk), disk.source))
        elif disk.kind != 'network':
            self._at_own(disk, _named(disk))

    def _is_only_here(self, disk: documents.Disk) -> bool:
        """Say whether it is a disk of the source alone."""
        if disk.kind != 'file':
            return disk.kind in _FIXED
        if disk.read_only:
            return False
        same = self._is_same(pools.directory(disk.source))
        return same is False or (same is None and self._is_local(disk))

    def _at_own(self, disk: documents.Disk, named: str) -> None:
        """Look at a disk that the destination may have."""
        if disk.kind != 'file':
            told = 'see to it there'
        elif self._is_same(pools.directory(disk.source)):
            return
        elif disk.read_only:
            self._at_read_only(disk, named)
            return
        else:
            told = _pool_remedy(disk)
        self._unknown.append(
            (
                f'whether the destination has the same {named} cannot be '
                'seen from here',
                told,
            )
        )

    def _is_local(self, disk: documents.Disk) -> bool:
        if not self._mounts:
            return False
        return not filesystems.is_shared(disk.source, self._mounts)

    def _at_read_only(self, disk: documents.Disk, named: str) -> None:
        """A copy of it on every host does as well."""
        has = self._destination_has(disk.source)
        if has is None:
            self._unknown.append(
                (
                    f'whether the destination has {named} as well cannot be '
                    'seen from here',
                    _pool_remedy(disk),
                )
            )
        elif not has:
            self._failed.append(
                (
                    f'the destination has no {named}',
                    'have the same image there, or eject it',
                )
            )

    def _at_local(self, disk: documents.Disk, named: str) -> None:
        size = self._subject.sizes.get(disk.target)
        if not self._copying or disk.kind != 'file' or disk.shareable:
            self._failed.append(
                (
                    f'local disk {named}: the destination does not have it',
                    'move it to shared or network storage first'
                    + (
                        ''
                        if self._copying
                        else ', or let it be copied: copy_storage'
                    ),
                )
            )
            return
        has = self._destination_has(disk.source)
        if has is None:
            self._failed.append(
                (
                    f'{named} is to be copied, and the destination has no '
                    'active storage pool for its directory',
                    _pool_remedy(disk),
                )
            )
        elif has:
            self._failed.append(
                (
                    f'{named} is to be copied, and the destination has '
                    'another file of that name, perhaps of an earlier '
                    'migration',
                    'make sure that nobody needs it, then delete it there: '
                    'virsh vol-delete',
                )
            )
        elif size is None:
            self._unknown.append((f'how large {named} is was not told', ''))
        else:
            self._copies.append(
                images.Copy(
                    disk.target,
                    disk.source,
                    disk.format,
                    *size,
                    self._shared_backing(disk),
                )
            )

    def _shared_backing(
        self, disk: documents.Disk
    ) -> documents.Backing | None:
        shared = layers.are_shared(disk, self._is_same)
        return disk.backing if shared else None

    def _destination_has(self, path: str) -> bool | None:
        """Say whether there is such a file; None where that is not told."""

        def ask(handle: connection.Handle) -> bool | None:
            found = pools.pool(handle, pools.directory(path))
            if found is None:
                return None
            return pools.volume(found, path) is not None

        try:
            return self._there.call(ask)
        except errors.HypervisorUnreachable:
            raise
        except errors.KVMBalancerError:
            return None

    def survey(self) -> Survey:
        """Return what was found."""
        self._refuse_mixture()
        found = []
        if self._devices:
            found.append(
                devices.check(
                    self._here, self._there, self._devices, self._trust
                )
            )
        found += self._layers.checks(self._trust)
        if self._failed:
            return Survey((_verdict(verdicts.failed, self._failed), *found))
        found.insert(
            0,
            _verdict(verdicts.unknown, self._unknown)
            if self._unknown
            else verdicts.passed(NAME, images.words(self._copies)),
        )
        if self._copies:
            found.append(images.space_check(self._there, self._copies))
        return Survey(tuple(found), tuple(self._copies))

    def _refuse_mixture(self) -> None:
        """One flag of libvirt's says for all disks what is copied of them."""
        layered = {
            disk.target for disk in self._subject.facts.disks if disk.backing
        }
        whole = [
            one.target
            for one in self._copies
            if one.backing is None and one.target in layered
        ]
        if whole and any(one.backing for one in self._copies):
            self._failed.append(
                (
                    'of some disks the destination has the backing file, and '
                    f'of {", ".join(whole)} it has not: libvirt copies all '
                    'of them one way or the other',
                    'have all backing files on shared storage, or none',
                )
            )


def _named(disk: documents.Disk) -> str:
    return f'{disk.target} ({disk.source})'


def _verdict(
    made: collections.abc.Callable[[str, str, str], events.Check],
    found: list[tuple[str, str]],
) -> events.Check:
    reasons, remedies = zip(*found, strict=True)
    return made(
        NAME,
        '; '.join(reasons),
        '; '.join(dict.fromkeys(filter(None, remedies))),
    )


def _pool_remedy(disk: documents.Disk) -> str:
    place = pools.directory(disk.source)
    return (
        f'have an active storage pool for {place} on both hosts: virsh '
        f'pool-create-as NAME dir --target {place}'
    )
