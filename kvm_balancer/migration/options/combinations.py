"""Means that do not go together, or that this version lacks.

Pure. libvirt or QEMU would refuse some of these when the migration starts,
fall silently short of others (xbzrle over several streams), and break with
the worst of them when it is too late to go back (post-copy over several
streams). Here they are refused before anything is touched.
"""

import collections.abc
import dataclasses

from kvm_balancer.migration import request


@dataclasses.dataclass(frozen=True, slots=True)
class Versions:
    """What carries a migration, as libvirt's numbers: 7.2.22 is 7002022.

    Of the two ends it is the older one that counts. 0 where it is not
    known; no version is then held against it.
    """

    hypervisor: int = 0
    library: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Refusal:
    """A combination that cannot be.

    :ivar reason: what does not go together
    :ivar remedy: what to ask for instead
    """

    reason: str
    remedy: str


_Applies = collections.abc.Callable[[request.Options, Versions], bool]

_ONE_OF_THE_TWO = 'ask for one of the two'

#: Compression by threads of QEMU's own. It damages what it carries: a guest
#: that was moved by it several times in a row stood still, or took null for a
#: pointer (QEMU 7.2). Its developers found "too many races" in it, and did
#: away with it in QEMU 9.1.
_DAMAGES = 'mt'

#: Compression of a single stream, and of several.
_SINGLE = frozenset({'xbzrle'})
_SEVERAL = frozenset({'zlib', 'zstd'})

_LIBVIRT_SEVERAL = 9_004_000
#: Of post-copy whose stream broke, over another one.
_LIBVIRT_RECOVERY = 8_005_000
_QEMU_PARALLEL_TLS = 6_000_000
_QEMU_PARALLEL_POST_COPY = 10_001_000


def _parallel(options: request.Options) -> bool:
    return options.parallel_connections > 1


def _before(version: int, first: int) -> bool:
    return 0 < version < first


#: What is refused, in the order in which it is told.
TABLE: tuple[tuple[_Applies, Refusal], ...] = (
    (
        lambda options, _: (
            options.compression not in {'', _DAMAGES, *_SINGLE, *_SEVERAL}
        ),
        Refusal(
            'no libvirt knows this method of compression',
            'ask for xbzrle, or for zstd or zlib over parallel connections',
        ),
    ),
    (
        lambda options, _: options.compression == _DAMAGES,
        Refusal(
            'compression by mt damages the memory that it carries, and is'
            ' gone since QEMU 9.1',
            'ask for xbzrle, or for zstd over parallel connections',
        ),
    ),
    (
        lambda options, versions: (
            options.compression in _SEVERAL
            and _before(versions.library, _LIBVIRT_SEVERAL)
        ),
        Refusal(
            'this libvirt compresses neither by zstd nor by zlib (since 9.4)',
            'ask for xbzrle, or for no compression',
        ),
    ),
    (
        lambda options, versions: (
            options.compression in _SEVERAL
            and not _parallel(options)
            # else it has none of them over parallel connections either
            and not _before(versions.library, _LIBVIRT_SEVERAL)
        ),
        Refusal(
            'zstd and zlib compress parallel connections only',
            'ask for at least 2 parallel_connections, or for xbzrle',
        ),
    ),
    (
        lambda options, _: (
            options.compression in _SINGLE and _parallel(options)
        ),
        Refusal(
            'there is no xbzrle over parallel connections',
            _ONE_OF_THE_TWO,
        ),
    ),
    (
        lambda options, versions: (
            options.post_copy and _before(versions.library, _LIBVIRT_RECOVERY)
        ),
        Refusal(
            'this libvirt cannot take post-copy up again whose stream broke'
            ' (since 8.5): the instance would be lost',
            'ask for no post-copy, or bring libvirt up to 8.5 on both hosts',
        ),
    ),
    (
        lambda options, versions: (
            options.post_copy
            and _parallel(options)
            and _before(versions.hypervisor, _QEMU_PARALLEL_POST_COPY)
        ),
        Refusal(
            'this QEMU has no post-copy over parallel connections'
            ' (since 10.1)',
            _ONE_OF_THE_TWO,
        ),
    ),
    (
        lambda options, versions: (
            options.tls
            and _parallel(options)
            and _before(versions.hypervisor, _QEMU_PARALLEL_TLS)
        ),
        Refusal(
            'this QEMU has no TLS over parallel connections (since 6.0)',
            _ONE_OF_THE_TWO,
        ),
    ),
)


def refusals(
    options: request.Options, versions: Versions | None = None
) -> tuple[Refusal, ...]:
    """Return what cannot be of *options*; nothing where all is well."""
    known = versions or Versions()
    return tuple(
        refusal for applies, refusal in TABLE if applies(options, known)
    )
