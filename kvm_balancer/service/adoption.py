"""What an earlier run of the executor has left: who is to be looked after.

The journal tells of migrations that were accepted and have not ended, the
marks of instances of those whose journal is gone. The former are taken up;
of the latter is only told what becomes of them, since nobody knows what was
asked for, and whether somebody else looks after them.
"""

import collections
import collections.abc
import contextlib
import dataclasses
import logging
from typing import Any

import msgspec

from kvm_balancer import errors
from kvm_balancer.messages import migration as messages
from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from kvm_balancer.migration import knowledge
from kvm_balancer.migration import request
from kvm_balancer.model import outcome
from kvm_balancer.service import background
from kvm_balancer.store import outbox
from kvm_balancer.virt import driver
from kvm_balancer.virt import marks

LOG = logging.getLogger(__name__)

#: Kept with a migration that was found by its mark.
_FOUND = 'found by the mark of its instance: it was in no journal'

#: A copy that a migration has not made, or not given up, entirely.
_NOT_WHOLE = frozenset(
    {
        events.EndState.PAUSED_MIGRATION,
        events.EndState.POST_COPY,
        events.EndState.POST_COPY_FAILED,
    }
)

#: Pause before a hypervisor that does not answer is asked for marks again.
_RETRY_SECONDS = 5.0


@dataclasses.dataclass(frozen=True, slots=True)
class Left:
    """A migration that nobody carries.

    :ivar owned: something may be done to it
    :ivar told_unknown: that its outcome is unknown was told
    :ivar known: what the earlier run wrote down
    :ivar trouble: why nobody can look after it; empty where somebody can
    """

    wanted: request.Request
    owned: bool = True
    told_unknown: bool = False
    known: knowledge.Knowledge = knowledge.NOTHING
    trouble: str = ''


#: Begins to look after a migration.
TakeUp = collections.abc.Callable[[Left], None]


def unfinished(memory: outbox.Outbox, host: str) -> list[Left]:
    """Return what the journal of *host* has of an earlier run."""
    found = []
    for entry in memory.unfinished():
        wanted, trouble = _read(entry, host)
        unknown = entry.state == outcome.OutcomeKind.UNKNOWN.value
        if not trouble:
            LOG.warning(
                'Migration %s was under way (%s) when this executor ended; '
                'looking at both of its ends',
                entry.migration_id,
                entry.state,
            )
        found.append(
            Left(
                wanted,
                _FOUND not in wanted.notes,
                unknown,
                memory.known(entry.migration_id),
                trouble,
            )
        )
    return found


class Search:
    """Looks for marked instances, in a thread, until the hypervisor answers.

    :param host: name of this host in the fleet
    :param take_up: called for each whose journal is gone
    """

    def __init__(
        self,
        host: str,
        hypervisor: driver.Driver,
        memory: outbox.Outbox,
        take_up: TakeUp,
    ) -> None:
        self._host = host
        self._hypervisor = hypervisor
        self._memory = memory
        self._take_up = take_up
        self._background = background.Background('marks', self._run)

    def start(self) -> None:
        """Begin."""
        self._background.start()

    def stop(self) -> None:
        """End."""
        self._background.stop()

    def _run(self) -> None:
        wait = 0.0
        while self._background.pause(wait):
            try:
                for found in self._hypervisor.marked():
                    self._look_at(found)
            except errors.KVMBalancerError as error:
                if not wait:
                    LOG.warning('Marks are looked for again: %s', error)
                wait = _RETRY_SECONDS
            else:
                return

    def _look_at(self, found: marks.Marked) -> None:
        mark = found.mark
        if mark.source != self._host:
            # its source looks after it
            return
        entry = self._memory.entry(mark.migration_id)
        if entry is None:
            self._report(found)
        elif entry.ended:
            self._take_off(marks.request_of(found))
        elif _read(entry, self._host)[1]:
            # The mark tells what the journal does not: it can be watched. What
            # is found takes the place of what was told, that nobody looks.
            self._take_up(
                Left(
                    marks.request_of(found),
                    owned=False,
                    known=self._memory.known(entry.migration_id),
                )
            )

    def _report(self, found: marks.Marked) -> None:
        """Tell of an instance whose migration nobody knows any more."""
        mark = found.mark
        LOG.error(
            'Instance %s is marked by migration %s to %s, which is in no '
            'journal of this host; it is watched, and nothing is done to it',
            found.instance,
            mark.migration_id,
            mark.destination,
        )
        wanted = dataclasses.replace(marks.request_of(found), notes=(_FOUND,))
        if self._memory.accept(
            wanted.migration_id,
            msgspec.json.encode(messages.encode_request(wanted)),
            'found',
            wanted.accepted_at,
        ):
            self._take_up(Left(wanted, owned=False))

    def settle(
        self, wish: messages.Settle, known: request.Request | None = None
    ) -> None:
        """Take the mark of a migration off all copies on this host.

        They are looked at first: a copy that is not whole was left by a
        migration that is not over, whoever says so.

        :param known: it began here, and nobody looks after it: its instance
            is looked at whether it is marked or not
        :raises MigrationError: when one of them contradicts what is said
        :raises HypervisorUnreachable: when it does not answer
        """
        left = [
            marks.request_of(found)
            for found in self._hypervisor.marked()
            if found.mark.migration_id == wish.migration_id
        ]
        for found in left if known is None else (*left, known):
            objection = self._objection(found, wish.completed)
            if objection:
                raise errors.MigrationError(
                    f'migration {wish.migration_id} is not settled by hand: '
                    f'{objection}'
                )
        for found in left:
            self._take_off(found)

    def _objection(self, wanted: request.Request, completed: bool) -> str:
        """Say what a copy here has against a person's word; empty: none."""
        try:
            end = self._hypervisor.view(wanted.instance).end
        except errors.NotFound:
            return ''
        if end.job_active or end.state in _NOT_WHOLE:
            return (
                f'what is on {self._host} is {end.state.value}, and in a '
                'migration still: let it run there if it is whole, or destroy '
                'it, and settle then'
            )
        came = wanted.source != self._host
        if end.state is events.EndState.RUNNING and completed != came:
            return f'the instance runs on {self._host}'
        return ''

    def _take_off(self, wanted: request.Request) -> None:
        LOG.info(
            'Migration %s is over, and its mark is taken off %s',
            wanted.migration_id,
            wanted.instance,
        )
        carrier = self._hypervisor.carrier(wanted, lambda _event: None)
        carrier.perform(instructions.Unmark())
        carrier.close()


def _read(entry: outbox.Entry, host: str) -> tuple[request.Request, str]:
    """Return what a migration was asked for as, or what is left of that.

    :param host: its source
    :returns: that, and why it is not all; empty where it is
    """
    try:
        payload = msgspec.json.decode(entry.request)
        return messages.decode_request(payload), ''
    except (errors.DocumentError, msgspec.DecodeError) as error:
        trouble = f'its entry in the journal of {host} cannot be read: {error}'
    named = _named(entry.request)
    return request.Request(
        entry.migration_id,
        named['instance'],
        host,
        named['destination'],
        named['destination_uri'],
        accepted_at=entry.updated_at,
        plan_id=named['plan_id'],
    ), trouble


def _named(text: bytes) -> collections.defaultdict[str, str]:
    """Return what of a command is text, and can be read; else it is empty."""
    found = collections.defaultdict[str, str](str)
    with contextlib.suppress(msgspec.DecodeError, msgspec.ValidationError):
        payload = msgspec.json.decode(text, type=dict[str, Any])
        found.update(
            (key, value)
            for key, value in payload.items()
            if isinstance(value, str)
        )
    return found
