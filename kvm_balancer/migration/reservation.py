"""What a host has reserved for instances still to come: its leases.

Pure. A destination keeps one :class:`Ledger`, shows it what its hypervisor
has whenever somebody wants to reserve, and promises no more than is left. An
instance is counted once: by the hypervisor as soon as that has it, arriving
or arrived, and by its lease before that. A lease that is not renewed lapses,
as its source may be gone.

Two things bound what may come: the memory that instances are given, against
what the host has for instances (as the planner counts it); and what the
kernel has free right now, less what arriving instances have yet to fill. The
disks that are copied along need room, too (:mod:`.image_room`).
"""

import collections.abc
import dataclasses

from kvm_balancer.migration import capacity
from kvm_balancer.migration import image_room

#: Name of the check that says whether memory was reserved.
CHECK = 'reservation'

#: Guests and hosts are counted in MiB; what binary floats lose is no lack.
_TOLERANCE_MIB = 1e-6


@dataclasses.dataclass(frozen=True, slots=True)
class Claim:
    """What one migration asks a destination to reserve.

    :ivar memory_mib: what the instance is given
    :ivar huge_page_kib: size of the huge pages that it is in; 0 for the
        default size of the host; None for ordinary memory
    :ivar bandwidth_mib_s: the most that its stream can use; 0 for all
    :ivar images: what the disks need that are copied along
    """

    migration_id: str
    instance: str
    source: str
    memory_mib: float
    huge_page_kib: int | None = capacity.ORDINARY
    bandwidth_mib_s: float = 0.0
    images: tuple[image_room.Need, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Lease:
    """What was reserved, and until when.

    :ivar pool: size in KiB of the huge pages it is in, or
        :data:`.capacity.ORDINARY`
    :ivar expires_at: on the clock of who keeps the ledger, in seconds
    """

    claim: Claim
    pool: int | None
    expires_at: float


@dataclasses.dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing is reserved.

    :ivar reason: one line with figures, and who holds what
    """

    reason: str
    remedy: str


class Ledger:
    """The leases of one host."""

    def __init__(self, terms: capacity.Terms) -> None:
        self._terms = terms
        self._leases: dict[str, Lease] = {}

    def expire(self, now: float) -> list[Claim]:
        """Let leases lapse that were not renewed in time.

        :returns: what they were for
        """
        lapsed = [
            one.claim for one in self._leases.values() if one.expires_at <= now
        ]
        for claim in lapsed:
            del self._leases[claim.migration_id]
        return lapsed

    def leases(self) -> tuple[Lease, ...]:
        """Return the leases that were neither released nor let lapse."""
        return tuple(self._leases.values())

    def renew(self, claim: Claim, expires_at: float) -> bool:
        """Prolong the lease of a migration.

        What is promised stays so, whether all of it is asked for again: who
        takes a migration up anew does not know what its disks need.

        :returns: False when it has none, or one of less memory
        """
        held = self._leases.get(claim.migration_id)
        if held is None or not _within(claim, held.claim):
            return False
        self._leases[claim.migration_id] = dataclasses.replace(
            held,
            claim=dataclasses.replace(
                held.claim, bandwidth_mib_s=claim.bandwidth_mib_s
            ),
            expires_at=expires_at,
        )
        return True

    def weigh(
        self,
        claim: Claim,
        host: capacity.Capacity,
        expires_at: float,
        before: collections.abc.Iterable[Lease] = (),
    ) -> Lease | Refusal:
        """Say whether it fits; nothing is promised by that.

        What was promised before to the same migration, or to an earlier one of
        the same instance, would be given up for it.

        :param host: what the hypervisor has
        :param before: the leases as they were before it was looked at; those
            that ended since count as well, as who had them may have come
            after the look
        :returns: the lease, for :meth:`keep`
        """
        held = {one.claim.migration_id: one for one in before}
        held.update(self._leases)
        others = [one for one in held.values() if not _same(claim, one.claim)]
        pool = _pool(claim, host)
        refusal = _Count(claim, pool, host, others).refusal(self._terms)
        return refusal or Lease(claim, pool, expires_at)

    def replaced_by(self, claim: Claim) -> list[str]:
        """Return the other migrations whose leases :meth:`keep` ends.

        :returns: those of the same instance
        """
        return [
            migration_id
            for migration_id, one in self._leases.items()
            if migration_id != claim.migration_id and _same(claim, one.claim)
        ]

    def keep(self, lease: Lease) -> None:
        """Make a lease hold, in place of any other of its instance."""
        for migration_id in self.replaced_by(lease.claim):
            del self._leases[migration_id]
        self._leases[lease.claim.migration_id] = lease

    def restore(self, claim: Claim, expires_at: float) -> None:
        """Take up a lease of an earlier run, which promised it.

        Which huge pages a host's default means is not known any more: the
        lease counts against all of them.
        """
        self.keep(Lease(claim, claim.huge_page_kib, expires_at))

    def release(self, migration_id: str) -> Claim | None:
        """Give up a lease.

        :returns: what it was for; None when there was no such lease
        """
        released = self._leases.pop(migration_id, None)
        return None if released is None else released.claim


class _Count:
    """What is taken of a host, were nobody but *others* to come."""

    def __init__(
        self,
        claim: Claim,
        pool: int | None,
        host: capacity.Capacity,
        others: list[Lease],
    ) -> None:
        self._claim = claim
        self._pool = pool
        self._host = host
        seen = {one.id: one for one in host.occupants}
        self._here = seen.pop(claim.instance, None)
        self._occupants = seen
        #: leases of those that the hypervisor does not have yet
        self._coming = [
            one for one in others if one.claim.instance not in seen
        ]
        self._pools = {one.claim.instance: one.pool for one in others}
        self._arriving = [one for one in seen.values() if one.arriving]
        self._held = others

    def refusal(self, terms: capacity.Terms) -> Refusal | None:
        """Say why it does not fit, if so."""
        busy = len(self._coming) + len(self._arriving)
        if busy >= terms.max_incoming:
            told = f', and as many come: {self._holders()}' if busy else ''
            return Refusal(
                f'[host] max_incoming is {terms.max_incoming}{told}',
                'wait for them, or choose another destination',
            )
        if self._here is not None:
            # The hypervisor has counted it already.
            return None
        return (
            self._short(
                self._given_left(terms), 'of what it gives to instances'
            )
            or self._short(self._free_left(), self._kind())
            or self._cramped()
        )

    def _cramped(self) -> Refusal | None:
        """Say why its disks do not fit, if so."""
        reason = image_room.refusal(
            self._claim.images,
            self._host.directories,
            [
                image_room.Promise(
                    one.claim.instance,
                    one.claim.images,
                    coming=one in self._coming,
                )
                for one in self._held
            ],
        )
        if not reason:
            return None
        return Refusal(
            reason, 'choose another destination, or make room there first'
        )

    def _given_left(self, terms: capacity.Terms) -> float:
        """Return the memory that may be given to one more instance."""
        mib = self._host.total_mib - terms.memory_reserved_mib
        given = sum(one.memory_mib for one in self._occupants.values())
        promised = sum(one.claim.memory_mib for one in self._coming)
        return mib * terms.memory_allocation_ratio - given - promised

    def _free_left(self) -> float | None:
        """Return what the kernel has left; None where that is not told."""
        if self._pool is capacity.ORDINARY:
            free = self._host.free_mib
        else:
            free = self._host.huge_free_mib.get(self._pool, 0.0)
        if free is None:
            return None
        filling = sum(
            one.memory_mib for one in self._arriving if self._is_filling(one)
        )
        promised = sum(
            one.claim.memory_mib
            for one in self._coming
            if self._is_ours(one.pool)
        )
        return free - filling - promised

    def _is_filling(self, one: capacity.Occupant) -> bool:
        """Say whether memory of our pool is still to be taken by it.

        QEMU takes huge pages when it starts, and ordinary memory as it is
        filled. Who arrives without a lease is taken to be in ordinary one.
        """
        pool = self._pools.get(one.id, capacity.ORDINARY)
        if pool is capacity.ORDINARY:
            return self._pool is capacity.ORDINARY
        return one.starting and self._is_ours(pool)

    def _is_ours(self, pool: int | None) -> bool:
        if pool is capacity.ORDINARY or self._pool is capacity.ORDINARY:
            return pool is self._pool
        return pool in (0, self._pool)

    def _short(self, left: float | None, what: str) -> Refusal | None:
        needed = self._claim.memory_mib
        if left is None or needed <= left + _TOLERANCE_MIB:
            return None
        told = self._holders()
        return Refusal(
            f'the instance needs {needed:.0f} MiB, and'
            f' {max(0.0, left):.0f} MiB {what} are left'
            + (f'; promised: {told}' if told else ''),
            'wait until the others have arrived, or choose another destination'
            if told
            else 'choose another destination, or free memory there first',
        )

    def _kind(self) -> str:
        if self._pool is capacity.ORDINARY:
            return 'of its free memory'
        return f'in free huge pages of {self._pool} KiB'

    def _holders(self) -> str:
        """Say who holds what: leases first, then who just arrives."""
        leased = {one.claim.instance for one in self._held}
        told = [
            f'{one.claim.memory_mib:.0f} MiB to {one.claim.instance}'
            f' (migration {one.claim.migration_id} from {one.claim.source})'
            for one in self._held
            if one in self._coming
            or self._occupants[one.claim.instance].arriving
        ]
        told += [
            f'{one.memory_mib:.0f} MiB to {one.id} (arriving, without lease)'
            for one in self._arriving
            if one.id not in leased
        ]
        return ', '.join(told)


def _same(claim: Claim, other: Claim) -> bool:
    """Say whether two claims are for one migration, or one instance."""
    return (
        claim.migration_id == other.migration_id
        or claim.instance == other.instance
    )


def _within(claim: Claim, held: Claim) -> bool:
    """Say whether a lease covers what is asked for."""
    return (
        claim.instance == held.instance
        and claim.huge_page_kib == held.huge_page_kib
        and claim.memory_mib <= held.memory_mib
        and set(claim.images) <= set(held.images)
    )


def _pool(claim: Claim, host: capacity.Capacity) -> int | None:
    """Say which memory a claim is to be taken from.

    No hypervisor tells which size of huge pages is the default of its host:
    it is taken to be that of which most is free.
    """
    if claim.huge_page_kib != 0:
        return claim.huge_page_kib
    free = host.huge_free_mib
    return max(free, key=lambda size: free[size], default=0)
