"""The room of this host, as its executor promises it to others.

One promise at a time: the hypervisor is asked what it has, and the ledger
what was promised, under one lock, so that of two who ask for the last memory
one gets it. Nothing is released in between either: an instance whose lease
ended because it had arrived would be counted by neither.

Promises are written down before they are made, and those of an earlier run
hold for one more term: an executor that came back and knew nothing of them
would promise the same memory again. The other way, to promise nothing for a
term, would fail all migrations to a host whose executor was just upgraded.
What is written down are the claims alone: a lease that is renewed costs no
write, and its time is that of a clock that no reboot survives.
"""

import collections.abc
import dataclasses
import logging
import threading
import time

import msgspec

from kvm_balancer import errors
from kvm_balancer.messages import room as messages
from kvm_balancer.migration import bandwidth
from kvm_balancer.migration import events
from kvm_balancer.migration import room
from kvm_balancer.store import outbox
from kvm_balancer.virt import driver

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Params:
    """What this host offers to instances to come.

    :ivar lease_seconds: room is kept so long without a word of its source
    :ivar migration_mib_s: what its migration network carries
    """

    terms: room.Terms
    lease_seconds: float
    migration_mib_s: float


class Reception:
    """Promises room on this host."""

    def __init__(
        self,
        params: Params,
        hypervisor: driver.Driver,
        memory: outbox.Outbox,
        clock: collections.abc.Callable[[], float] = time.monotonic,
    ) -> None:
        self._params = params
        self._hypervisor = hypervisor
        self._memory = memory
        self._clock = clock
        self._lock = threading.Lock()
        self._ledger = room.Ledger(params.terms)

    def recover(self) -> None:
        """Take up what an earlier run has promised, for one more term."""
        with self._lock:
            for kept in self._memory.leases():
                try:
                    claim = messages.decode_claim(
                        msgspec.json.decode(kept.claim)
                    )
                except (errors.DocumentError, msgspec.DecodeError) as error:
                    LOG.error(
                        'The lease of migration %s cannot be read: %s',
                        kept.migration_id,
                        error,
                    )
                    self._memory.drop_lease(kept.migration_id)
                    continue
                self._ledger.restore(claim, self._until())

    def reserve(self, ask: messages.Ask) -> messages.Answer:
        """Promise room, or keep it on; asking again changes nothing.

        :returns: the answer; refused where its lease is of no time
        :raises HypervisorUnreachable: when what is free is not known
        :raises StoreError: when the promise cannot be written down
        """
        claim = ask.claim
        with self._lock:
            if self._ledger.renew(claim, self._until()):
                return self._granted(claim, ())
            refusal = self._grant(claim)
        if refusal is not None:
            failed = events.Verdict.FAILED
            check = events.Check(
                'room', failed, refusal.reason, refusal.remedy
            )
            LOG.info(
                'No room for %s of migration %s from %s: %s',
                claim.instance,
                claim.migration_id,
                claim.source,
                refusal.reason,
            )
            return messages.Answer((check,))
        found = self._hypervisor.welcome(ask.options)
        with self._lock:
            return self._granted(claim, found)

    def release(self, migration_id: str) -> None:
        """Take room back, if there was any.

        :raises StoreError: when that cannot be written down; it lapses then
        """
        with self._lock:
            if self._ledger.release(migration_id):
                self._memory.drop_lease(migration_id)

    def _grant(self, claim: room.Claim) -> room.Refusal | None:
        """Promise room, on the disk first."""
        for lapsed in self._ledger.expire(self._clock()):
            LOG.warning('The room of migration %s lapsed', lapsed)
            self._memory.drop_lease(lapsed)
        # Only now: what is released or lapses later is in it still.
        space = self._hypervisor.space()
        refusal = self._ledger.grant(claim, space, self._until())
        if refusal is None:
            try:
                self._memory.keep_lease(
                    claim.migration_id,
                    msgspec.json.encode(messages.encode_claim(claim)),
                )
            except errors.StoreError:
                self._ledger.release(claim.migration_id)
                raise
        return refusal

    def _until(self) -> float:
        return self._clock() + self._params.lease_seconds

    def _granted(
        self, claim: room.Claim, found: tuple[events.Check, ...]
    ) -> messages.Answer:
        """Make the answer to who has room here.

        What others may use of the network they learn when they renew.
        """
        caps = {
            one.claim.migration_id: one.claim.bandwidth_mib_s
            for one in self._ledger.leases()
        }
        capacity = self._params.migration_mib_s
        share, said = 0.0, f'{capacity:g} MiB/s for it alone'
        if len(caps) > 1 and claim.migration_id in caps:
            share = bandwidth.shares(capacity, caps)[claim.migration_id]
            said = (
                f'{share:.0f} of {capacity:g} MiB/s are left to it, as '
                f'{len(caps)} come at a time'
            )
        passed = events.Verdict.PASSED
        kept = f'{claim.memory_mib:.0f} MiB are reserved'
        return messages.Answer(
            checks=(
                events.Check('room', passed, kept),
                events.Check('bandwidth', passed, said),
                *found,
            ),
            lease_seconds=self._params.lease_seconds,
            bandwidth_mib_s=share,
        )
