"""Hosts that an operator has emptied, for both owners of instances.

A drain is an order, not advice: it is carried out in whatever mode the agent
is, until the host is empty or what is left would not move. A host of Nova is
taken out of its placement first, and put back when the drain is taken back,
if it was this drain that took it out.
"""

import collections
import collections.abc
import dataclasses
import logging
import threading
import time
from typing import Protocol

import numpy as np

from kvm_balancer import errors
from kvm_balancer.filters import base as filter_base
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import outcome
from kvm_balancer.model import placement
from kvm_balancer.model import plan as plans
from kvm_balancer.service import remaining
from kvm_balancer.store import drains as drain_store

LOG = logging.getLogger(__name__)

#: An instance is tried so often before it is said that it would not move.
ATTEMPTS = 3


class Computes(Protocol):
    """Takes computes out of Nova's placement, and puts them back."""

    def has(self, host: str) -> bool:
        """Say whether *host* is a compute of Nova."""

    def disable(self, host: str, reason: str) -> bool:
        """Let *host* get no servers; say whether it is we that keep it so."""

    def enable(self, host: str) -> str:
        """Let *host* get servers; say why it does not all the same."""


@dataclasses.dataclass(frozen=True, slots=True)
class Progress:
    """How far a drain is.

    :ivar state: ``draining``, ``drained``, or ``stuck``: what is left would
        not move
    :ivar moved: instances that were moved away since it began
    :ivar resting: servers that stay there and do not run: whoever restarts
        the host does them no harm
    :ivar doubt: why nobody can say that the host is empty
    """

    host: str
    state: str
    reason: str
    begun_at: float
    moved: int
    left: tuple[remaining.Left, ...]
    resting: tuple[remaining.Left, ...] = ()
    doubt: str = ''


class TriedFilter(filter_base.Filter):
    """Lets no instance go where a drain has failed to bring it."""

    name = 'tried'

    def __init__(self, tried: collections.abc.Set[tuple[str, str]]) -> None:
        super().__init__()
        self._tried = frozenset(tried)

    def passes(
        self,
        state: placement.Placement,
        instances: columns.Ints,
        hosts: columns.Ints,
    ) -> columns.Bools:
        fleet = state.fleet
        passed = np.ones((len(instances), len(hosts)), np.bool_)
        column = {int(host): place for place, host in enumerate(hosts)}
        row = {int(one): place for place, one in enumerate(instances)}
        for uid, name in self._tried:
            one = fleet.instance_row.get(uid, -1)
            host = fleet.host_row.get(name, -1)
            if one in row and host in column:
                passed[row[one], column[host]] = False
        return passed

    def reason(self, state: placement.Placement, instance: int) -> str:
        return 'were tried, and it failed'


class Drains:
    """The drains of the fleet, and what came of them.

    :param computes: None where there is no Nova
    :param on_change: told the names of all hosts that are drained
    """

    def __init__(
        self,
        kept: drain_store.DrainStore,
        on_change: collections.abc.Callable[
            [collections.abc.Iterable[str]], None
        ],
        computes: Computes | None = None,
        clock: collections.abc.Callable[[], float] = time.time,
    ) -> None:
        self._kept = kept
        self._on_change = on_change
        self._computes = computes
        self._clock = clock
        self._lock = threading.Lock()
        self._drains: dict[str, drain_store.DrainRecord] = {}
        self._tried: set[tuple[str, str]] = set()
        self._failures: collections.Counter[str] = collections.Counter()
        self._last: dict[str, str] = {}
        self._moved: collections.Counter[str] = collections.Counter()
        self._unplaced: dict[str, str] = {}

    def recover(self) -> None:
        """Take up the drains of an earlier run.

        :raises StoreError: when they are not known
        """
        with self._lock:
            self._drains = {one.host: one for one in self._kept.all()}
        self._changed()

    @property
    def hosts(self) -> frozenset[str]:
        """Names of the hosts that are drained."""
        with self._lock:
            return frozenset(self._drains)

    def in_nova(self, host: str) -> bool:
        """Say whether a host is a compute of Nova.

        :raises CloudUnreachable: when that cannot be told
        """
        return self._computes is not None and self._computes.has(host)

    def begin(self, host: str, reason: str, in_nova: bool) -> None:
        """Drain a host; asking again changes nothing but the reason.

        :param in_nova: it is a compute of Nova
        :raises CloudUnreachable: when Nova does not answer; nothing is
            drained then
        :raises StoreError: when it could not be kept
        """
        with self._lock:
            before = self._drains.get(host)
        begun_at = self._clock() if before is None else before.begun_at
        made = drain_store.DrainRecord(host, reason, begun_at, in_nova)
        # Written down first: an agent that ends now has to know that it may
        # have disabled the compute.
        self._kept.keep(made)
        if in_nova and self._computes is not None:
            try:
                took = self._computes.disable(host, reason)
            except errors.KVMBalancerError:
                # Who is told that it failed does not expect it after the
                # next start of the agent. Should Nova have done it, its
                # reason says by whom.
                if before is None:
                    self._kept.forget(host)
                else:
                    self._kept.keep(before)
                raise
            made = dataclasses.replace(made, disabled_in_nova=took)
            self._kept.keep(made)
        with self._lock:
            self._drains[host] = made
            if before is None:
                self._moved[host] = 0
            self._failures.clear()
            self._tried.clear()
        self._changed()
        LOG.info('Host %s is drained: %s', host, reason)

    def end(self, host: str) -> str:
        """Take a drain back.

        :returns: why Nova gives it no servers all the same; empty where it
            does, or is not asked
        :raises NotFound: when the host is not drained
        :raises CloudUnreachable: when Nova does not answer
        """
        with self._lock:
            found = self._drains.get(host)
        if found is None:
            raise errors.NotFound(f'{host} is not drained')
        left = ''
        if found.disabled_in_nova:
            left = (
                'its compute stays disabled: [nova] auth_type is not set '
                'any more'
                if self._computes is None
                else self._computes.enable(host)
            )
        self._kept.forget(host)
        with self._lock:
            del self._drains[host]
        self._changed()
        LOG.info('Host %s is drained no more%s', host, left and f'; {left}')
        return left

    def only(self, fleet: columns.Fleet) -> columns.Fleet:
        """Return *fleet* with no other hosts to be emptied.

        What its own configuration marks is left to the policies, and to the
        agent's mode.
        """
        state = fleet.hosts.state.copy()
        marked = state == columns.HostState.DRAINING
        ordered = np.isin(np.array(fleet.hosts.name), list(self.hosts))
        state[marked & ~ordered] = columns.HostState.DISABLED
        return dataclasses.replace(
            fleet, hosts=dataclasses.replace(fleet.hosts, state=state)
        )

    def exhausted(self, fleet: columns.Fleet) -> columns.Bools:
        """Say of which instances enough was tried, ``(instances,)``."""
        with self._lock:
            spent = {uid for uid, n in self._failures.items() if n >= ATTEMPTS}
        return np.array([uid in spent for uid in fleet.instances.id], np.bool_)

    def filter(self) -> TriedFilter:
        """Return what keeps moves from where they failed."""
        with self._lock:
            return TriedFilter(self._tried)

    def note_plan(self, plan: plans.Plan) -> None:
        """Note what a plan found no place for."""
        with self._lock:
            self._unplaced = {
                one.instance: one.reason for one in plan.unplaced
            }

    def note_outcome(self, ended: outcome.Outcome) -> None:
        """Note what came of a migration away from a host."""
        with self._lock:
            if ended.source not in self._drains:
                return
            if ended.outcome is outcome.OutcomeKind.COMPLETED:
                self._moved[ended.source] += 1
                self._failures.pop(ended.instance, None)
            elif ended.outcome is not outcome.OutcomeKind.CANCELLED:
                self._failures[ended.instance] += 1
                self._tried.add((ended.instance, ended.destination))
                self._last[ended.instance] = ended.reason

    def progress(
        self,
        host: str,
        fleet: columns.Fleet,
        busy: collections.abc.Container[str],
        why: collections.abc.Callable[[str], str],
        besides: remaining.Besides,
    ) -> Progress:
        """Say how far a drain is.

        :param busy: instances that are in a migration
        :param why: says why an instance may not be moved at all
        :param besides: what is known of the host besides *fleet*
        :raises NotFound: when the host is not drained
        """
        with self._lock:
            found = self._drains.get(host)
            if found is None:
                raise errors.NotFound(f'{host} is not drained')
            moved = self._moved[host]
        resting = {one.instance for one in besides.resting}
        left = tuple(
            remaining.Left(
                fleet.instances.id[row],
                fleet.instances.name[row],
                self._reason(fleet, row, busy, why),
            )
            for row in _rows(fleet, host)
            if fleet.instances.id[row] not in resting
        )
        told = {one.instance for one in left}
        left += tuple(
            dataclasses.replace(one, reason='')
            if one.instance in busy
            else one
            for one in besides.servers
            if one.instance not in told
        )
        return Progress(
            host,
            _state(left, besides),
            found.reason,
            found.begun_at,
            moved,
            left,
            besides.resting,
            besides.doubt,
        )

    def _reason(
        self,
        fleet: columns.Fleet,
        row: int,
        busy: collections.abc.Container[str],
        why: collections.abc.Callable[[str], str],
    ) -> str:
        uid = fleet.instances.id[row]
        if uid in busy:
            return ''
        if not fleet.instances.movable[row]:
            return why(uid) or 'it may not be moved'
        with self._lock:
            if self._failures[uid] >= ATTEMPTS:
                return (
                    f'{ATTEMPTS} migrations of it failed; the last one: '
                    f'{self._last.get(uid, "")}'
                )
            unplaced = self._unplaced.get(uid, '')
            if not unplaced or not self._failures[uid]:
                return unplaced
            return f'{unplaced}; the last time: {self._last.get(uid, "")}'

    def _changed(self) -> None:
        self._on_change(self.hosts)


def _state(
    left: collections.abc.Collection[remaining.Left],
    besides: remaining.Besides,
) -> str:
    if not all(one.reason for one in left):
        return 'draining'
    if besides.doubt:
        return 'stuck' if besides.lasting else 'draining'
    return 'stuck' if left else 'drained'


def _rows(fleet: columns.Fleet, host: str) -> list[int]:
    place = fleet.host_row.get(host)
    if place is None:
        return []
    rows: list[int] = np.flatnonzero(fleet.instances.host == place).tolist()
    return rows
