"""The memory of this host, as its executor reserves it for others.

One promise at a time: of two who ask for the last memory one gets it. The
hypervisor is asked in between what it has, which may take its time; leases
are renewed and released meanwhile, and count once more as they were before:
an instance whose lease ended because it had arrived would be counted by
neither. Who gives a claim up while it is looked at is promised nothing any
more.

Promises are written down before they are made, and those of an earlier run
hold for one more term: an executor that came back and knew nothing of them
would promise the same memory again. The other way, to promise nothing for a
term, would fail all migrations to a host whose executor was just upgraded.
What is written down are the claims alone: a lease that is renewed costs no
write, and its time is that of a clock that no reboot survives.
"""

import collections
import collections.abc
import contextlib
import dataclasses
import logging
import math
import threading
import time

import msgspec

from kvm_balancer import errors
from kvm_balancer.messages import reservation as messages
from kvm_balancer.migration import bandwidth
from kvm_balancer.migration import capacity
from kvm_balancer.migration import events
from kvm_balancer.migration import headroom
from kvm_balancer.migration import reservation
from kvm_balancer.service import background
from kvm_balancer.service import network
from kvm_balancer.store import outbox
from kvm_balancer.virt import driver

LOG = logging.getLogger(__name__)

#: Who asks waits a little longer for the answer, and is then to be told why
#: there is none.
MEASURE_SECONDS = 8.0

#: A lease lapses this part of its term too late at most.
_LOOKS_A_TERM = 4


@dataclasses.dataclass(frozen=True, slots=True)
class Params:
    """What this host offers to instances to come.

    :ivar lease_seconds: a lease holds so long without a word of its source
    :ivar migration_mib_s: what its migration network carries
    :ivar network: what of it has to be free for one more
    """

    terms: capacity.Terms
    lease_seconds: float
    migration_mib_s: float
    network: headroom.Terms = dataclasses.field(default_factory=headroom.Terms)


class Reception:
    """Reserves memory on this host.

    :param measure_seconds: so long the hypervisor may keep askers waiting
    """

    def __init__(
        self,
        params: Params,
        hypervisor: driver.Driver,
        memory: outbox.Outbox,
        clock: collections.abc.Callable[[], float] = time.monotonic,
        measure_seconds: float = MEASURE_SECONDS,
    ) -> None:
        self._params = params
        self._hypervisor = hypervisor
        self._memory = memory
        self._clock = clock
        self._measure_seconds = measure_seconds
        #: guards the ledger, and what is withdrawn; never held for long
        self._lock = threading.Lock()
        self._ledger = reservation.Ledger(params.terms)
        self._departed = headroom.Departed()
        self._network = network.Network(hypervisor, params.network)
        self._carries_mib_s = params.migration_mib_s
        #: how often each migration asks just now, and who gave up meanwhile
        self._asking: collections.Counter[str] = collections.Counter()
        self._withdrawn: set[str] = set()
        #: leases that are to be taken off the disk
        self._ended: set[str] = set()
        #: held while the hypervisor is asked, for one claim at a time
        self._measuring = threading.Lock()
        self._background = background.Background('leases', self._run)

    def start(self) -> None:
        """Let leases lapse from now on, also while nobody asks."""
        self._background.start()

    def stop(self) -> None:
        """Leave the leases as they are; the next run takes them up."""
        self._background.stop()

    def recover(self) -> None:
        """Take up what an earlier run has promised, for one more term."""
        with self._lock:
            for kept in self._memory.leases():
                self._restore(kept)

    def reserve(self, ask: messages.Ask) -> messages.Answer:
        """Grant a lease, or keep it on; asking again changes nothing.

        :returns: the answer; refused where its lease is of no time
        :raises HypervisorUnreachable: when what is free is not known
        :raises StoreError: when the promise cannot be written down
        """
        claim = ask.claim
        with self._lock:
            renewed = self._ledger.renew(claim, self._until())
            self._expire()
            if renewed:
                return self._granted(claim, ())
        refusal = self._promise(claim)
        if refusal is not None:
            failed = events.Verdict.FAILED
            check = events.Check(
                reservation.CHECK, failed, refusal.reason, refusal.remedy
            )
            LOG.info(
                'Nothing reserved for %s of migration %s from %s: %s',
                claim.instance,
                claim.migration_id,
                claim.source,
                refusal.reason,
            )
            return messages.Answer((check,))
        found = (self._look(ask), *self._hypervisor.welcome(ask.options))
        told = self._network.carries(ask.address, incoming=True)
        with self._lock:
            self._carries_mib_s = min(
                self._params.migration_mib_s, told or math.inf
            )
            return self._granted(claim, found)

    def _look(self, ask: messages.Ask) -> events.Check:
        """Say whether the network has bandwidth left for one more."""
        with self._lock:
            caps = self._departed.caps_mib_s(self._clock())
            for one in self._ledger.leases():
                caps[one.claim.migration_id] = one.claim.bandwidth_mib_s
        caps.pop(ask.claim.migration_id, None)
        return self._network.incoming(ask.address, ask.options, caps.values())

    def release(self, migration_id: str) -> None:
        """Take a lease back, if there was any.

        :raises StoreError: when that cannot be written down; it lapses then
        """
        with self._lock:
            if self._asking[migration_id]:
                self._withdrawn.add(migration_id)
            released = self._ledger.release(migration_id)
            if released is not None:
                self._note_end(released)
                self._forget_ended()

    def lapse(self) -> None:
        """End the leases that were not renewed in time."""
        with self._lock:
            self._expire()

    def _run(self) -> None:
        pause = self._params.lease_seconds / _LOOKS_A_TERM
        while self._background.pause(pause):
            self.lapse()

    def _promise(self, claim: reservation.Claim) -> reservation.Refusal | None:
        """Grant a lease if it fits, one claim at a time."""
        with self._heeding(claim.migration_id), self._measured():
            with self._lock:
                before = self._ledger.leases()
            host = self._hypervisor.read_capacity(
                {
                    need.directory
                    for one in (claim, *(held.claim for held in before))
                    for need in one.images
                }
            )
            with self._lock:
                return self._grant(claim, host, before)

    @contextlib.contextmanager
    def _heeding(self, migration_id: str) -> collections.abc.Iterator[None]:
        """Take note meanwhile should a migration give up what it asks."""
        with self._lock:
            self._asking[migration_id] += 1
        try:
            yield
        finally:
            with self._lock:
                self._asking[migration_id] -= 1
                if not self._asking[migration_id]:
                    del self._asking[migration_id]
                    self._withdrawn.discard(migration_id)

    @contextlib.contextmanager
    def _measured(self) -> collections.abc.Iterator[None]:
        """Have the hypervisor for oneself, unless it keeps others waiting."""
        if not self._measuring.acquire(timeout=self._measure_seconds):
            raise errors.HypervisorUnreachable(
                'the hypervisor did not say within '
                f'{self._measure_seconds:g} s what it has left; see to '
                'libvirtd there'
            )
        try:
            yield
        finally:
            self._measuring.release()

    def _grant(
        self,
        claim: reservation.Claim,
        host: capacity.Capacity,
        before: tuple[reservation.Lease, ...],
    ) -> reservation.Refusal | None:
        """Grant a lease, on the disk first."""
        if claim.migration_id in self._withdrawn:
            return reservation.Refusal(
                'the migration gave its lease up before it was promised', ''
            )
        weighed = self._ledger.weigh(claim, host, self._until(), before)
        if isinstance(weighed, reservation.Refusal):
            return weighed
        self._memory.keep_lease(
            claim.migration_id,
            msgspec.json.encode(messages.encode_claim(claim)),
            instead_of=self._ledger.replaced_by(claim),
        )
        self._ended.discard(claim.migration_id)
        self._ledger.keep(weighed)
        return None

    def _restore(self, kept: outbox.Lease) -> None:
        try:
            claim = messages.decode_claim(msgspec.json.decode(kept.claim))
        except (errors.DocumentError, msgspec.DecodeError) as error:
            LOG.error(
                'The lease of migration %s cannot be read: %s',
                kept.migration_id,
                error,
            )
            self._memory.drop_lease(kept.migration_id)
            return
        for earlier in self._ledger.replaced_by(claim):
            self._memory.drop_lease(earlier)
        self._ledger.restore(claim, self._until())

    def _expire(self) -> None:
        """End the leases that were not renewed in time, with the lock."""
        for lapsed in self._ledger.expire(self._clock()):
            LOG.warning(
                'The lease of migration %s lapsed', lapsed.migration_id
            )
            self._note_end(lapsed)
        try:
            self._forget_ended()
        except errors.StoreError as error:
            # Tried again; a run that ends before holds them one term more.
            LOG.warning('Leases that have ended stay on the disk: %s', error)

    def _note_end(self, claim: reservation.Claim) -> None:
        """Take note of a lease that has ended, with the lock."""
        self._ended.add(claim.migration_id)
        self._departed.note(
            claim.migration_id, claim.bandwidth_mib_s, self._clock()
        )

    def _forget_ended(self) -> None:
        """Take leases that have ended off the disk, with the lock.

        :raises StoreError: when one of them is to be tried again
        """
        for migration_id in tuple(self._ended):
            self._memory.drop_lease(migration_id)
            self._ended.discard(migration_id)

    def _until(self) -> float:
        return self._clock() + self._params.lease_seconds

    def _granted(
        self, claim: reservation.Claim, found: tuple[events.Check, ...]
    ) -> messages.Answer:
        """Make the answer to who has a lease here.

        What others may use of the network they learn when they renew.
        """
        caps = {
            one.claim.migration_id: one.claim.bandwidth_mib_s
            for one in self._ledger.leases()
        }
        capacity = self._carries_mib_s
        share, said = 0.0, f'{capacity:g} MiB/s for it alone'
        if len(caps) > 1 and claim.migration_id in caps:
            share = bandwidth.shares(capacity, caps)[claim.migration_id]
            said = (
                f'{share:.0f} of {capacity:g} MiB/s are left to it, as '
                f'{len(caps)} come at a time'
            )
        passed = events.Verdict.PASSED
        kept = f'{claim.memory_mib:.0f} MiB are reserved; {said}'
        return messages.Answer(
            checks=(
                events.Check(reservation.CHECK, passed, kept),
                *found,
            ),
            lease_seconds=self._params.lease_seconds,
            bandwidth_mib_s=share,
            streams=max(1, len(caps)),
        )
