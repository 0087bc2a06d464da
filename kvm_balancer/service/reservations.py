"""What a migration has reserved at its destination, from where it starts.

Each reservation has a thread of its own while it lives: a destination that
does not answer holds up nobody else. It asks for a lease, renews the lease for
as long as the migration runs, and passes on what both hosts leave of their
bandwidth.
"""

import collections.abc
import dataclasses
import logging
import threading
import time
from typing import Protocol

from kvm_balancer import errors
from kvm_balancer.messages import reservation as messages
from kvm_balancer.migration import events
from kvm_balancer.migration import image_room
from kvm_balancer.migration import request
from kvm_balancer.migration import reservation
from kvm_balancer.service import network as networks
from kvm_balancer.service import reserved
from kvm_balancer.service import sharing
from kvm_balancer.virt import driver

LOG = logging.getLogger(__name__)

#: A lease is renewed well within its term, and this often at least: with
#: each renewal the destination says what it leaves of its bandwidth.
RENEWALS_A_TERM = 4
RENEW_SECONDS = 5.0

#: The end of a migration is told after its lease was given back, but is not
#: held up for long by a destination that does not answer.
RELEASE_SECONDS = 2.0


#: Reads an instance on this host.
Look = collections.abc.Callable[[], driver.InstanceView]


class Destinations(Protocol):
    """How destinations are asked; :class:`.peers.Peers` is one."""

    def reserve(self, host: str, ask: messages.Ask) -> messages.Answer:
        """Ask for a lease, or for more time."""

    def release(self, host: str, migration_id: str) -> None:
        """Give a lease back."""


class Reservations:
    """Makes the reservations of one host's migrations.

    :param network: of this host; None where nobody looks at it
    """

    def __init__(
        self,
        destinations: Destinations,
        shared: sharing.Sharing,
        clock: collections.abc.Callable[[], float] = time.time,
        network: networks.Network | None = None,
    ) -> None:
        self._destinations = destinations
        self._shared = shared
        self._clock = clock
        self._network = network

    def prepare(
        self, wanted: request.Request, view: driver.InstanceView
    ) -> 'Reservation':
        """Make ready to reserve for a migration."""
        return Reservation(
            self._destinations,
            self._shared,
            self._clock,
            wanted,
            _claim(wanted, view),
            self._network,
        )

    def adopt(self, wanted: request.Request, look: Look) -> 'Reservation':
        """Take up the reservation of an earlier run, and renew it from now.

        :param look: asks the hypervisor for the instance, which may take its
            time: what it is given stands in no journal
        """
        made = Reservation(
            self._destinations,
            self._shared,
            self._clock,
            wanted,
            None,
            self._network,
        )
        self._shared.join(
            wanted.migration_id,
            wanted.options.bandwidth_mib_s,
            0.0,
            wanted.destination,
            lambda limit, streams, why: None,
        )
        made.keep(look)
        return made


class Reservation(reserved.Reservation):
    """The lease of one migration.

    :param claim: None for that of an earlier run: see :meth:`keep`
    :param network: of this host; None where nobody looks at it
    """

    def __init__(
        self,
        destinations: Destinations,
        shared: sharing.Sharing,
        clock: collections.abc.Callable[[], float],
        wanted: request.Request,
        claim: reservation.Claim | None,
        network: networks.Network | None = None,
    ) -> None:
        self._destinations = destinations
        self._shared = shared
        self._clock = clock
        self._wanted = wanted
        self._claim = claim
        self._network = network
        self._adopted = claim is None
        self._over = threading.Event()
        self._to_release = False
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._trouble = ''

    def reserve(
        self,
        tell: reserved.Tell,
        images: tuple[image_room.Need, ...] = (),
    ) -> None:
        if self._claim is not None:
            self._claim = dataclasses.replace(self._claim, images=images)
        self._spawn(lambda: self._run(tell))

    def share(self, tell: reserved.Tell) -> None:
        if self._adopted:
            self._join(messages.Answer(()), tell)

    def keep(self, look: Look) -> None:
        """Renew the lease of an earlier run, until it is released or left.

        One that has lapsed meanwhile is asked for anew.
        """
        self._spawn(lambda: self._keep(look))

    def release(self) -> None:
        with self._lock:
            self._to_release = True
            self._over.set()
            thread = self._thread
        if thread is None:
            thread = self._spawn(self._end)
        thread.join(RELEASE_SECONDS)

    def leave(self) -> None:
        self._shared.leave(self._wanted.migration_id)
        self._over.set()

    def _spawn(
        self, work: collections.abc.Callable[[], None]
    ) -> threading.Thread:
        made = threading.Thread(
            target=work,
            name=f'reservation-{self._wanted.migration_id[:8]}',
            daemon=True,
        )
        with self._lock:
            # Who waits for one that never began waits in vain.
            made.start()
            self._thread = made
        return made

    def _run(self, tell: reserved.Tell) -> None:
        try:
            seconds = self._ask_first(tell)
            while seconds and not self._over.wait(_pause(seconds)):
                seconds = self._renew(seconds)
            # refused, or over; a lease is asked for until then
            self._over.wait()
        finally:
            self._end()

    def _keep(self, look: Look) -> None:
        try:
            seconds = RENEWALS_A_TERM * RENEW_SECONDS
            while not self._over.is_set() and self._is_here(look):
                if self._claim is not None:
                    seconds = self._renew(seconds)
                self._over.wait(_pause(seconds))
            # what is not here any more is counted where it is
            self._over.wait()
        finally:
            self._end()

    def _is_here(self, look: Look) -> bool:
        """Find out once what the instance is given, as soon as that is told.

        :returns: False when it is not on this host any more
        """
        if self._claim is not None:
            return True
        try:
            self._claim = _claim(self._wanted, look())
        except errors.NotFound:
            return False
        except errors.KVMBalancerError as error:
            self._note(str(error))
        except Exception:
            LOG.exception('What an instance is given could not be read')
        return True

    def _end(self) -> None:
        """Share no more, and give the lease back unless it was left."""
        self._shared.leave(self._wanted.migration_id)
        if not self._to_release:
            return
        try:
            self._destinations.release(
                self._wanted.destination, self._wanted.migration_id
            )
        except errors.KVMBalancerError as error:
            LOG.warning(
                'Migration %s: its lease at %s lapses by itself: %s',
                self._wanted.migration_id,
                self._wanted.destination,
                error,
            )

    def _ask(self) -> messages.Answer:
        if self._claim is None:
            raise errors.MigrationError('there is no claim to be asked for')
        usable = self._shared.usable(
            self._wanted.migration_id, self._wanted.options.bandwidth_mib_s
        )
        claim = dataclasses.replace(self._claim, bandwidth_mib_s=usable)
        return self._destinations.reserve(
            self._wanted.destination,
            messages.Ask(
                claim, self._wanted.options, self._wanted.stream_address
            ),
        )

    def _ask_first(self, tell: reserved.Tell) -> float:
        """Ask for a lease, and tell; return how long it is kept.

        Whatever goes wrong is told as well: the migration waits for a word.
        """
        here: tuple[events.Check, ...] = ()
        try:
            here = self._look()
            answer = self._ask()
            if answer.lease_seconds > 0:
                # Before the start is: it begins with its limit.
                self._join(answer, tell)
        except errors.KVMBalancerError as error:
            answer = messages.Answer((self._silent(error),))
        except Exception as error:
            LOG.exception('A lease could not be asked for')
            answer = messages.Answer((self._silent(error),))
        tell(
            events.Reserved(
                at=self._clock(),
                cause=f'the executor of {self._wanted.destination}',
                checks=answer.checks,
                here=here,
            )
        )
        return answer.lease_seconds

    def _look(self) -> tuple[events.Check, ...]:
        """Say whether this host's own network has bandwidth left."""
        if self._network is None:
            return ()
        others = self._shared.others(self._wanted.migration_id)
        return (self._network.outgoing(self._wanted, others),)

    def _silent(self, error: Exception) -> events.Check:
        """Make the check of who did not answer: silent is not free."""
        return events.Check(
            'reservation',
            events.Verdict.FAILED,
            f'nothing could be reserved at {self._wanted.destination}: '
            f'{error}',
            'see to kvm-balancer-executor there, or choose another '
            'destination',
        )

    def _join(self, answer: messages.Answer, tell: reserved.Tell) -> None:
        self._shared.join(
            self._wanted.migration_id,
            self._wanted.options.bandwidth_mib_s,
            answer.bandwidth_mib_s,
            self._wanted.destination,
            lambda limit, streams, why: tell(
                events.BandwidthShared(
                    at=self._clock(), cause=why, mib_s=limit, streams=streams
                )
            ),
            self._carries(),
            answer.streams,
        )

    def _carries(self) -> float | None:
        """Return what the interface carries by which it leaves, if known."""
        if self._network is None:
            return None
        return self._network.carries(
            self._wanted.stream_address, incoming=False
        )

    def _renew(self, before: float) -> float:
        """Ask for more time; return how long it is kept.

        The copy has begun: what comes of this is for the log. The memory is
        taken by then, and counted by the destination's hypervisor.
        """
        try:
            answer = self._ask()
            if answer.lease_seconds <= 0:
                self._note('; '.join(one.reason for one in answer.checks))
                return before
            self._shared.leave_to(
                self._wanted.migration_id,
                answer.bandwidth_mib_s,
                answer.streams,
            )
        except errors.KVMBalancerError as error:
            self._note(str(error))
            return before
        except Exception:
            # Who is not released would hold memory until it lapses.
            LOG.exception('A lease could not be kept on')
            return before
        self._trouble = ''
        return answer.lease_seconds

    def _note(self, trouble: str) -> None:
        if trouble != self._trouble:
            LOG.warning(
                'Migration %s: the lease at %s was not kept on: %s',
                self._wanted.migration_id,
                self._wanted.destination,
                trouble,
            )
        self._trouble = trouble


def _claim(
    wanted: request.Request, view: driver.InstanceView
) -> reservation.Claim:
    return reservation.Claim(
        migration_id=wanted.migration_id,
        instance=wanted.instance,
        source=wanted.source,
        memory_mib=view.memory_mib,
        huge_page_kib=view.huge_page_kib,
    )


def _pause(lease_seconds: float) -> float:
    return min(RENEW_SECONDS, lease_seconds / RENEWALS_A_TERM)
