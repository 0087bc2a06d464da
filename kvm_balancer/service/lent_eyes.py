"""Migrations of servers, seen by the executors of their sources.

Stands between whoever runs a migration through Nova and the driver that does
it: events of the driver and what the executor on the source sees become one
story (:mod:`kvm_balancer.migration.witnesses`). Instructions go to the
driver alone, so that whatever is decided by these eyes is done by Nova.
Where the source has no executor, or it does not answer, the driver's own
events are all there is.
"""

import collections.abc
import logging
import threading

from kvm_balancer import errors
from kvm_balancer.messages import observation as messages
from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from kvm_balancer.migration import request
from kvm_balancer.migration import witnesses
from kvm_balancer.virt import driver
from kvm_balancer.virt import steady

LOG = logging.getLogger(__name__)

#: Asks the executor of a host what it sees; raises KVMBalancerError.
Ask = collections.abc.Callable[[str, messages.Ask], messages.Answer]

#: An executor that did not answer is asked again after so long.
_AGAIN_SECONDS = 5.0

#: After these there is a job, or will be.
_BEGINS = (instructions.Start, instructions.Follow)


class SeenCarriers(driver.Carriers):
    """Carriers whose migrations are seen from their sources.

    :param behind: carries them out
    :param ask: the executor of a source
    :param interval_seconds: between two questions to it
    """

    def __init__(
        self, behind: driver.Carriers, ask: Ask, interval_seconds: float
    ) -> None:
        self._behind = behind
        self._ask = ask
        self._interval_seconds = interval_seconds

    def connect(self) -> None:
        self._behind.connect()

    def carrier(
        self,
        wanted: request.Request,
        sink: driver.Sink,
        clock: steady.Clock | None = None,
    ) -> driver.Carrier:
        return _SeenCarrier(
            self._behind,
            self._ask,
            self._interval_seconds,
            wanted,
            sink,
            clock or steady.SteadyClock(),
        )

    def close(self) -> None:
        self._behind.close()


class _SeenCarrier(driver.Carrier):
    """One migration that is seen from its source as well."""

    def __init__(
        self,
        behind: driver.Carriers,
        ask: Ask,
        interval_seconds: float,
        wanted: request.Request,
        sink: driver.Sink,
        clock: steady.Clock,
    ) -> None:
        self._wanted = wanted
        self._sink = sink
        self._ask = ask
        self._interval_seconds = interval_seconds
        self._clock = clock
        self._telling = threading.Lock()
        self._both = witnesses.Witnesses()
        self._closed = threading.Event()
        self._looking = False
        self._trouble = ''
        self._carrier = behind.carrier(wanted, self._of_records, clock)

    def perform(self, instruction: instructions.Instruction) -> None:
        self._carrier.perform(instruction)
        if isinstance(instruction, _BEGINS) and not self._looking:
            self._looking = True
            threading.Thread(
                target=self._look,
                name=f'eyes-{self._wanted.migration_id[:8]}',
                daemon=True,
            ).start()

    def close(self) -> None:
        with self._telling:
            self._closed.set()
        self._carrier.close()

    def _of_records(self, event: events.Event) -> None:
        self._tell(self._both.of_records, event)

    def _tell(
        self,
        take: collections.abc.Callable[
            [events.Event], tuple[events.Event, ...]
        ],
        event: events.Event,
    ) -> None:
        with self._telling:
            if not self._closed.is_set():
                for told in take(event):
                    self._sink(told)

    # The eyes

    def _look(self) -> None:
        """Ask the source again and again, until its job is over."""
        watch, after, over = '', 0, False
        while not over:
            wait = self._interval_seconds
            try:
                answer = self._ask(
                    self._wanted.source,
                    messages.Ask(
                        self._wanted.instance,
                        self._wanted.migration_id,
                        watch,
                        after,
                    ),
                )
                if answer.watch != watch:
                    watch, after = answer.watch, 0
                for seen in answer.seen:
                    after = seen.number
                    over |= self._take(seen)
                self._trouble = ''
            except errors.KVMBalancerError as error:
                self._complain(str(error))
                wait = max(wait, _AGAIN_SECONDS)
            except Exception:
                LOG.exception('Looking by the eyes of another host broke')
                return
            over |= self._closed.wait(wait)

    def _take(self, seen: messages.Seen) -> bool:
        """Tell what was seen; return whether the job is over."""
        event = messages.event(seen, self._clock())
        self._tell(self._both.of_source, event)
        return isinstance(event, events.CallReturned)

    def _complain(self, text: str) -> None:
        if text != self._trouble:
            self._trouble = text
            LOG.info(
                'Migration %s is seen by its records alone: %s',
                self._wanted.migration_id,
                text,
            )
