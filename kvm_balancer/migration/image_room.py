"""Room on a destination for the disks that migrations copy. Pure.

Directories of one volume share what is free there, so room is counted by
volume. An image is counted once: by the lease of its instance before that
arrives, by what is still to be written while it does, and by what it takes
once it is there. What is reserved is what the source stores: an image may
grow beyond that, on either host.
"""

import collections.abc
import dataclasses

#: Images are counted in MiB; what binary floats lose is no lack.
_TOLERANCE_MIB = 1e-6


@dataclasses.dataclass(frozen=True, slots=True)
class Need:
    """What the images of one instance take in one directory."""

    directory: str
    mib: float


@dataclasses.dataclass(frozen=True, slots=True)
class Growth:
    """The images of one instance that arrives, in one directory.

    :ivar stored_mib: that are written already
    :ivar most_mib: by which they may grow
    """

    stored_mib: float
    most_mib: float


@dataclasses.dataclass(frozen=True, slots=True)
class Directory:
    """What a host has for images in one directory.

    :ivar volume: the file system that it is on
    :ivar arriving: images that arrive, by their instances
    """

    volume: str
    free_mib: float
    arriving: dict[str, Growth] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Promise:
    """What one lease holds.

    :ivar coming: the hypervisor does not have its instance yet
    """

    instance: str
    needs: tuple[Need, ...]
    coming: bool


def refusal(
    needs: collections.abc.Iterable[Need],
    there: collections.abc.Mapping[str, Directory],
    promises: collections.abc.Collection[Promise],
) -> str:
    """Say why the images do not fit; empty where they do.

    :param there: directories of the destination by their paths, those of all
        promises among them
    :param promises: what was promised to others
    """
    wanted: dict[str, float] = {}
    named: dict[str, str] = {}
    for need in needs:
        if need.directory not in there:
            return f'there is no active storage pool for {need.directory}'
        volume = there[need.directory].volume
        wanted[volume] = wanted.get(volume, 0.0) + need.mib
        named.setdefault(volume, need.directory)
    for volume, mib in wanted.items():
        inside = {
            path: one for path, one in there.items() if one.volume == volume
        }
        left = _left(inside, promises)
        if mib > left + _TOLERANCE_MIB:
            return (
                f'its disks need {mib:,.0f} MiB in {named[volume]}, and '
                f'{max(0.0, left):,.0f} MiB are left'
                + _holders(inside, promises)
            )
    return ''


def _left(
    inside: collections.abc.Mapping[str, Directory],
    promises: collections.abc.Collection[Promise],
) -> float:
    """Return what is free and promised to nobody.

    :param inside: the directories of one volume
    """
    left = min(one.free_mib for one in inside.values())
    leased = {one.instance: _of(one, inside) for one in promises}
    for promise in promises:
        if promise.coming:
            left -= leased[promise.instance]
    growths: dict[str, list[Growth]] = {}
    for directory in inside.values():
        for instance, growth in directory.arriving.items():
            growths.setdefault(instance, []).append(growth)
    for instance, found in growths.items():
        if instance in leased:
            stored = sum(one.stored_mib for one in found)
            left -= max(0.0, leased[instance] - stored)
        else:
            left -= sum(one.most_mib for one in found)
    return left


def _of(
    promise: Promise, inside: collections.abc.Mapping[str, Directory]
) -> float:
    return sum(one.mib for one in promise.needs if one.directory in inside)


def _holders(
    inside: collections.abc.Mapping[str, Directory],
    promises: collections.abc.Collection[Promise],
) -> str:
    """Say who holds what of a volume; empty where nobody does."""
    arriving = {name for one in inside.values() for name in one.arriving}
    told = [
        f'{_of(one, inside):,.0f} MiB to {one.instance}'
        for one in promises
        if _of(one, inside) and (one.coming or one.instance in arriving)
    ]
    told += [
        f'the rest of {name} (arriving, without lease)'
        for name in sorted(arriving - {one.instance for one in promises})
    ]
    return f'; promised: {", ".join(told)}' if told else ''
