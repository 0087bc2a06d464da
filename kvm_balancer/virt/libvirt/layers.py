"""The images that those of a domain are laid over, on both hosts.

libvirt looks at the image that is written to, and at none below it: where that
is shared, the destination lays it over whatever file of its own has the name
of the backing file. All that the guest never wrote is then another's (seen
with libvirt 9.0). So every layer is looked at here.
"""

import collections.abc
import functools

from kvm_balancer import errors
from kvm_balancer.migration import events
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import documents
from kvm_balancer.virt.libvirt import filesystems
from kvm_balancer.virt.libvirt import pools
from kvm_balancer.virt.libvirt import verdicts

NAME = 'backing files'

#: Says of a directory whether it is the same one on both hosts, if it can.
IsSame = collections.abc.Callable[[str], bool | None]

_REMEDY = (
    'have them on storage that both hosts share; or, where images of one '
    'name are copies of each other on all hosts, say so: trust_disk_paths'
)


def chain(disk: documents.Disk) -> list[documents.Backing]:
    """Return what a disk is laid over, from the top."""
    found, layer = [], disk.backing
    while layer is not None:
        found.append(layer)
        layer = layer.backing
    return found


def are_shared(disk: documents.Disk, is_same: IsSame) -> bool:
    """Say whether both hosts are known to have all that it is laid over."""
    return all(
        one.kind == 'network'
        or (one.kind == 'file' and is_same(pools.directory(one.source)))
        for one in chain(disk)
    )


class Layers:
    """A look at the layers of disks whose own images both hosts reach.

    :param mounts: what is mounted on the source; empty where not known
    """

    def __init__(
        self,
        here: connection.Connection,
        there: connection.Connection,
        mounts: str,
        is_same: IsSame,
    ) -> None:
        self._here = here
        self._there = there
        self._mounts = mounts
        self._is_same = is_same
        self._wrong: list[str] = []
        self._open: list[str] = []
        self._served: list[str] = []
        self._looked = False

    def at(self, disk: documents.Disk) -> None:
        """Look at all layers that are no devices."""
        for layer in chain(disk):
            self._looked = True
            named = f'{layer.source} of {disk.target}'
            if layer.kind == 'file':
                self._at_file(layer.source, named)
            elif layer.kind not in ('network', 'block'):
                self._open.append(named)

    def _at_file(self, path: str, named: str) -> None:
        same = self._is_same(pools.directory(path))
        if same:
            return
        if same is None and self._is_served(path):
            self._served.append(named)
            return
        ours, theirs = (
            _size(link, path) for link in (self._here, self._there)
        )
        if theirs == 0:
            self._wrong.append(f'the destination has no {named}')
        elif ours and theirs and ours != theirs:
            self._wrong.append(
                f'the destination has another {named}: it holds {theirs} '
                f'bytes there, and {ours} here'
            )
        else:
            self._open.append(named)

    def _is_served(self, path: str) -> bool:
        return bool(self._mounts) and filesystems.is_shared(path, self._mounts)

    def checks(self, trust: bool) -> tuple[events.Check, ...]:
        """Return what was found; nothing where there are no layers.

        :param trust: what cannot be told may be taken for the same
        """
        if not self._looked:
            return ()
        if self._wrong:
            return (
                verdicts.failed(
                    NAME,
                    '; '.join(self._wrong),
                    'have the same image there, or move it to storage that '
                    'both hosts share',
                ),
            )
        if not (self._open or self._served):
            return (verdicts.passed(NAME),)
        told = 'whether the destination has the same {} cannot be told'
        if self._open and not trust:
            reason = told.format(', '.join(self._open))
            return (verdicts.failed(NAME, reason, _REMEDY),)
        reason = told.format(', '.join((*self._open, *self._served)))
        if self._open:
            reason += '; it is taken for the same: trust_disk_paths'
        return (verdicts.unknown(NAME, reason),)


def _size(link: connection.Connection, path: str) -> int | None:
    """Return how many bytes an image holds for a guest.

    :returns: 0 where there is none; None where that is not told
    :raises HypervisorUnreachable: when libvirt does not answer
    """
    try:
        return link.call(functools.partial(_capacity, path=path))
    except errors.HypervisorUnreachable:
        raise
    except errors.KVMBalancerError:
        return None


def _capacity(handle: connection.Handle, path: str) -> int | None:
    found = pools.pool(handle, pools.directory(path))
    if found is None:
        return None
    image = pools.volume(found, path)
    return 0 if image is None else pools.capacity_bytes(image)
