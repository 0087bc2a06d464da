"""Pre-flight on the destination: is there memory for the instance?

Memory that arriving instances were promised counts as taken: what the
kernel calls free has theirs in it until they have filled it.
"""

import math

import libvirt

from kvm_balancer.migration import events
from kvm_balancer.virt.libvirt import arrivals
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import documents
from kvm_balancer.virt.libvirt import failures
from kvm_balancer.virt.libvirt import identity
from kvm_balancer.virt.libvirt import verdicts

_MEMORY = 'memory'
_HUGE = 'hugepages'
_WHOLE_HOST = -1
_SEE_FREE = 'see on the destination: virsh freepages --all'
_FREE_SOME = 'choose another destination, or free memory there first'


def checks(
    there: connection.Connection,
    facts: documents.DomainFacts,
    told: identity.HostIdentity,
) -> list[events.Check]:
    """Say whether the destination has the memory that it needs.

    :raises HypervisorUnreachable: when it stops answering
    """
    if facts.memory.huge:
        return [_huge_check(there, facts, told)]
    return [_memory_check(there, facts)]


def _memory_check(
    there: connection.Connection,
    facts: documents.DomainFacts,
) -> events.Check:
    try:
        told = there.call(
            lambda handle: handle.getMemoryStats(
                libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS
            )
        )
        arriving = there.call(arrivals.arriving_mib)
    except failures.Refused as error:
        return verdicts.unknown(
            _MEMORY, str(error), 'see on the destination: free -m'
        )
    # Buffers and caches give way to a guest.
    free = sum(told.get(n, 0) for n in ('free', 'buffers', 'cached')) / 1024
    promised = sum(arriving.values())
    if free - promised >= facts.memory_mib:
        return verdicts.passed(_MEMORY)
    short = (
        f'the instance needs {facts.memory_mib:.0f} MiB, the destination '
        f'has {free:.0f} MiB free'
    )
    if free < facts.memory_mib:
        return verdicts.failed(_MEMORY, short, _FREE_SOME)
    return verdicts.failed(
        _MEMORY,
        f'{short}, of which up to {promised:.0f} MiB are for '
        f'{", ".join(sorted(arriving))}, still arriving',
        'wait until those have arrived, or choose another destination',
    )


def _huge_check(
    there: connection.Connection,
    facts: documents.DomainFacts,
    told: identity.HostIdentity,
) -> events.Check:
    named = facts.memory.page_kib
    lacking = [size for size in named if size not in told.page_kib]
    if lacking:
        return verdicts.failed(
            _HUGE,
            f'the destination has no pages of {_sizes(lacking)}',
            'choose another destination',
        )
    sizes = list(named or told.page_kib[1:])
    try:
        free = _free_pages(there, sizes)
    except failures.Refused as error:
        return verdicts.unknown(_HUGE, str(error), _SEE_FREE)
    needed = {size: math.ceil(facts.memory_mib * 1024 / size) for size in free}
    # Where no size is named it is the host's default, which is not told.
    fits = [free[size] >= needed[size] for size in free]
    if any(fits) and (all(fits) or not facts.memory.partial):
        return verdicts.passed(_HUGE)
    left = ', '.join(f'{n} of {_sizes([size])}' for size, n in free.items())
    if facts.memory.partial and all(free.values()):
        return verdicts.unknown(
            _HUGE,
            'which of its cells needs how many huge pages is not looked at; '
            f'free are {left}',
            _SEE_FREE,
        )
    return verdicts.failed(
        _HUGE,
        f'the instance needs {facts.memory_mib:.0f} MiB in huge pages; the '
        f'destination has free {left or "none"}',
        'reserve more there, as by sysctl vm.nr_hugepages, or choose '
        'another destination',
    )


def _free_pages(
    there: connection.Connection, sizes: list[int]
) -> dict[int, int]:
    """Return how many pages of each size are free."""
    if not sizes:
        return {}
    told = there.call(
        lambda handle: handle.getFreePages(sizes, _WHOLE_HOST, 1, 0)
    )
    return dict(told[_WHOLE_HOST])


def _sizes(kib: list[int]) -> str:
    return ', '.join(
        f'{size // 1024} MiB' if size >= 1024 else f'{size} KiB'
        for size in kib
    )
