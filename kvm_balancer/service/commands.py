"""Commands to the executors, and questions about what became of them.

A command is sent with the id of its migration and may be lost, so a
migration that was not heard of for a while is asked about again: an executor
that never confirmed it gets the same command, until it expires; one that did
is asked for its state. An executor that says that it knows no such migration
will not begin it later either, so that its word is the end of it. What
cannot be known stays in the air, and its instance is left alone; of an
executor that is silent for long it is told that nobody knows, until it is
back and tells more.
"""

import collections.abc
import dataclasses
import datetime
import logging
import threading
from typing import Protocol

from kvm_balancer import errors
from kvm_balancer.messages import migration as messages
from kvm_balancer.migration import hearsay
from kvm_balancer.migration import request
from kvm_balancer.model import outcome
from kvm_balancer.model import owners
from kvm_balancer.service import flights

LOG = logging.getLogger(__name__)


class Executors(Protocol):
    """Whoever takes commands; each may raise UnreachableError."""

    def migrate(self, wanted: request.Request) -> str: ...
    def cancel(self, host: str, migration_id: str, reason: str) -> str: ...
    def settle(self, host: str, wish: messages.Settle) -> str: ...
    def state(self, host: str, migration_id: str) -> str: ...


#: Keeps the end of a migration, and says whether it is to be announced, as no
#: executor does; raises StoreError when it could not.
Conclude = collections.abc.Callable[[outcome.Outcome, bool], None]

#: Keeps where one stands that was told to be unknown; raises as that does.
Stand = collections.abc.Callable[[str, str], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Params:
    """How patient the agent is with executors.

    :ivar retry_seconds: silence after which an executor is asked
    :ivar lifetime_seconds: a command is not begun after it
    :ivar lost_seconds: nobody waits longer for an executor, or for an
        outcome that it says there is
    """

    retry_seconds: float = 30.0
    lifetime_seconds: float = 120.0
    lost_seconds: float = 300.0


class Commands:
    """Sends the command of a migration, and watches over what is in the air.

    :param air: what is under way
    :param conclude: told the end of a migration that no executor will tell
    :param stand: told, of one of which nobody knew, the state that it is in
    """

    def __init__(
        self,
        executors: Executors,
        air: flights.Flights,
        conclude: Conclude,
        stand: Stand,
        params: Params,
        clock: collections.abc.Callable[[], float],
    ) -> None:
        self._executors = executors
        self._air = air
        self._conclude = conclude
        self._stand = stand
        self._params = params
        self._clock = clock
        self._stopping = threading.Event()

    @property
    def stopping(self) -> bool:
        """True when nothing more is to be sent."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Send nothing more after the command that is being sent."""
        self._stopping.set()

    def send(self, flight: flights.Flight) -> None:
        """Send a command; one that is refused has ended.

        :raises StoreError: when its end could not be kept
        """
        wanted = flight.wanted
        try:
            state = self._executors.migrate(wanted)
        except errors.UnreachableError as error:
            LOG.warning(
                'Migration %s: the executor of %s did not take it on, it is '
                'asked again: %s',
                wanted.migration_id,
                wanted.source,
                error,
            )
            self._air.asked(wanted.migration_id, self._clock())
        except errors.MigrationError as error:
            self._end(wanted, outcome.OutcomeKind.FAILED, str(error))
        except errors.KVMBalancerError as error:
            # It may have failed before the migration began, or after.
            self._ask(flight, str(error))
        else:
            self._air.heard(wanted.migration_id, self._clock(), state)

    def ask_about_silent(self) -> None:
        """Ask for what was not heard of for a while.

        :raises StoreError: when an end could not be kept
        """
        now = self._clock()
        for flight in self._air.silent(now - self._params.retry_seconds):
            if self.stopping:
                return
            if flight.confirmed or now > flight.wanted.expires_at:
                self._ask(flight)
            else:
                self.send(flight)

    def cancel(self, migration_id: str, reason: str) -> str:
        """Ask the executor to end a migration.

        :returns: the state it is in
        :raises NotFound: when it is not under way
        :raises BusError: when its executor does not answer
        """
        flight = self._air.get(migration_id)
        if flight is None:
            raise errors.NotFound(
                f'migration {migration_id} is not under way; see '
                f'kvm-balancer migrations show {migration_id}'
            )
        try:
            return self._executors.cancel(
                flight.wanted.source, migration_id, reason
            )
        except errors.NotFound:
            if flight.confirmed:
                raise
            # The command was lost, and is refused from now on.
            kind = outcome.OutcomeKind.CANCELLED
            self._end(
                flight.wanted, kind, f'cancelled before it began: {reason}'
            )
            return kind.value

    def settle(self, wanted: request.Request, wish: messages.Settle) -> str:
        """Have a person's word on a migration kept that is unknown.

        Its executor is asked first, which may look at it still, and knows
        more. Where that is gone, or has forgotten it, the word is kept here,
        unless what came to the destination speaks against it.

        :returns: the state it is in
        :raises MigrationError: when an executor knows more, with what
        :raises StoreError: when it could not be kept
        """
        try:
            return self._executors.settle(wanted.source, wish)
        except (errors.UnreachableError, errors.NotFound) as error:
            LOG.warning(
                'Migration %s is settled without its executor: %s',
                wanted.migration_id,
                error,
            )
        left = self._free(wanted, wish)
        self._end(
            wanted, wish.outcome, f'settled by hand: {wish.reason}{left}'
        )
        return wish.outcome.value

    def _free(self, wanted: request.Request, wish: messages.Settle) -> str:
        """Have what came to the destination movable again.

        It is kept there as long as it is unknown what became of it.

        :returns: what is left to do about it, for the record
        :raises MigrationError: when it speaks against what is settled
        """
        try:
            self._executors.settle(wanted.destination, wish)
        except errors.NotFound:
            # Its executor has taken the mark off, if there was any.
            return ''
        except errors.MigrationError:
            raise
        except errors.KVMBalancerError as error:
            LOG.warning(
                'Migration %s may have left a mark on %s: %s',
                wanted.migration_id,
                wanted.destination,
                error,
            )
            return (
                f'; the instance may be marked on {wanted.destination} and '
                'not be moved from there: settle it once more, in the same '
                'way, when the executor there answers'
            )
        return ''

    def _ask(self, flight: flights.Flight, trouble: str = '') -> None:
        """Ask an executor what became of a migration.

        :param trouble: what it said when it got the command
        """
        wanted = flight.wanted
        try:
            state = self._executors.state(wanted.source, wanted.migration_id)
        except errors.NotFound as error:
            self._end_unknown(flight, trouble or str(error))
        except errors.KVMBalancerError as error:
            LOG.warning(
                'Migration %s: nothing is known of it: %s',
                wanted.migration_id,
                error,
            )
            self._air.asked(wanted.migration_id, self._clock())
            self._doubt_lost(flight, str(error))
        else:
            news = self._air.heard(wanted.migration_id, self._clock(), state)
            if flight.doubted and news is not None:
                self._stand(wanted.migration_id, state)
            self._end_overdue(flight)

    def _doubt_lost(self, flight: flights.Flight, trouble: str) -> None:
        """Tell that nobody knows, once, where its executor is long silent.

        It is asked on: what it tells when it is back takes the place of this.
        """
        since = flight.silent_since
        if flight.unknown or since is None:
            return
        if self._clock() - since < self._params.lost_seconds:
            return
        wanted = flight.wanted
        moment = datetime.datetime.fromtimestamp(since, datetime.UTC)
        who = f'the executor of {wanted.source}'
        if wanted.owner == owners.Owner.NOVA:
            who = 'Nova'
        begun = f'it was {flight.state} when it was last heard of'
        if not flight.confirmed:
            begun = 'it may not even have begun'
        self._end(
            wanted,
            outcome.OutcomeKind.UNKNOWN,
            f'{who} has not answered since {moment:%Y-%m-%d %H:%M:%S} UTC '
            f'({trouble}), and {begun}; the instance may be on '
            f'{wanted.source} or on {wanted.destination}: look for it on '
            f'both, and see to {who}, which goes on with it when it is back; '
            f'where {wanted.source} is gone for good, settle it by '
            f'{hearsay.settling(wanted.migration_id)}',
        )

    def _end_unknown(self, flight: flights.Flight, said: str) -> None:
        if flight.unknown:
            # It was told before, and nobody there will ever know more.
            self._air.asked(flight.wanted.migration_id, self._clock())
        elif flight.confirmed:
            self._end(
                flight.wanted,
                outcome.OutcomeKind.UNKNOWN,
                f'its executor has forgotten it: {said}; look for the '
                'instance on both hosts',
            )
        else:
            self._end(
                flight.wanted,
                outcome.OutcomeKind.FAILED,
                f'it was never begun: {said}',
            )

    def _end_overdue(self, flight: flights.Flight) -> None:
        """Believe an executor whose outcome must have been lost."""
        over_at = flight.over_at
        if over_at is None or (
            self._clock() - over_at < self._params.lost_seconds
        ):
            return
        self._end(
            flight.wanted,
            outcome.OutcomeKind(flight.state),
            'its executor says so; the record of it never came',
            # Whoever else listens had it from there.
            announce=False,
        )

    def _end(
        self,
        wanted: request.Request,
        kind: outcome.OutcomeKind,
        reason: str,
        announce: bool = True,
    ) -> None:
        """Record a migration whose outcome no executor will ever tell here.

        :param announce: nor anywhere else
        """
        self._conclude(
            hearsay.outcome_of(wanted, kind, reason, self._clock()), announce
        )
