"""The fleet as the agent sees it: samples in, snapshots out.

A lock around :class:`kvm_balancer.model.observed.ObservedFleet`, and the log
of what was refused. Samples come on the reader's thread; decisions and
questions ask from theirs.
"""

import collections
import collections.abc
import logging
import threading
import time

from oslo_config import cfg

from kvm_balancer import errors
from kvm_balancer.messages import sample as messages
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import observation
from kvm_balancer.model import observed
from kvm_balancer.model import owners
from kvm_balancer.model import sample
from kvm_balancer.model.cloud import overlay
from kvm_balancer.model.cloud import rules

LOG = logging.getLogger(__name__)

#: Returns what is known of the cloud now.
Known = collections.abc.Callable[[], rules.Rules]

#: A host that sends rubbish does so every few seconds: it is told this often.
_TELL_SECONDS = 300.0


def params(
    conf: cfg.ConfigOpts, nova_moves: bool = False
) -> observation.Params:
    """Return how samples become a fleet, as ``[samples]`` has it."""
    group = conf.samples
    return observation.Params(
        window_samples=group.window_samples,
        ewma_seconds=group.ewma_seconds,
        lasting_seconds=group.lasting_seconds,
        percentile=group.percentile,
        estimate=observation.Estimate(group.estimate),
        silent_after_seconds=group.silent_after_seconds,
        future_tolerance_seconds=group.future_tolerance_seconds,
        forget_after_seconds=group.forget_after_seconds,
        foresight_seconds=group.foresight_seconds,
        caution=group.caution,
        nova_moves=nova_moves,
    )


class FleetWatch:
    """Everything that is known of the fleet.

    :param known: what a cloud says of it; None where there is no cloud
    """

    def __init__(
        self,
        limits: observation.Params,
        clock: collections.abc.Callable[[], float] = time.time,
        known: Known | None = None,
    ) -> None:
        self._known = known
        self._drains: frozenset[str] = frozenset()
        self._fleet = observed.ObservedFleet(limits)
        self._clock = clock
        self._lock = threading.Lock()
        self._told: dict[str, float] = {}

    def take(self, bodies: collections.abc.Sequence[bytes]) -> None:
        """Take a batch of samples as they came from the bus."""
        now = self._clock()
        readings: list[sample.Sample] = []
        refusals: list[errors.SampleRefused] = []
        for body in bodies:
            try:
                readings.append(messages.decode_sample(body))
            except errors.SampleRefused as refused:
                refusals.append(refused)
        with self._lock:
            for refusal in refusals:
                self._fleet.refuse(refusal)
            refusals += self._fleet.apply(readings, now)
        for refusal in refusals:
            self._tell(refusal, now)

    def snapshot(self) -> columns.Fleet:
        """Return the fleet as it is now, under the rules of its cloud."""
        with self._lock:
            seen = self._fleet.snapshot(self._clock())
            if self._known is None:
                return overlay.drained(seen, self._drains)
            owned = self._fleet.owned(seen.instances.id, owners.Owner.NOVA)
        found = overlay.apply(seen, self._known(), owned)
        return overlay.drained(found, self._drains)

    def drain(self, hosts: collections.abc.Iterable[str]) -> None:
        """Set which hosts are to be emptied, whatever they say."""
        self._drains = frozenset(hosts)

    def rules(self) -> rules.Rules | None:
        """Return what is known of the cloud; None where there is none."""
        return None if self._known is None else self._known()

    def take_readings(
        self, readings: collections.abc.Iterable[sample.Sample]
    ) -> None:
        """Take samples of hosts that have no executor."""
        now = self._clock()
        with self._lock:
            refusals = self._fleet.apply(readings, now)
        for refusal in refusals:
            self._tell(refusal, now)

    def is_novas(self, uid: str) -> bool:
        """Say whether an instance is Nova's, by what its host says."""
        (held,) = self.custodies((uid,))
        return held is not None and held.owner == owners.Owner.NOVA

    @property
    def slot(self) -> int:
        """The half hour that is under way, since the epoch; -1 for none."""
        with self._lock:
            return self._fleet.slot

    def habits(self, first: int, count: int) -> observation.Habits:
        """Return what some instances do all day, for keeping."""
        with self._lock:
            return self._fleet.habits(first, count)

    def remember(self, kept: observation.Habits) -> None:
        """Take over what an earlier run has kept of them."""
        with self._lock:
            self._fleet.remember(kept)

    def facts(self, host: str) -> sample.HostFacts | None:
        """Return what a host last said of itself; None if it never did."""
        try:
            return self.host(host).facts
        except errors.NotFound:
            return None

    def host(self, name: str) -> observation.ObservedHost:
        """Return a host as its last sample has it.

        :raises NotFound: when it was never heard of
        """
        with self._lock:
            return self._fleet.host(name, self._clock())

    def custodies(
        self, uids: collections.abc.Iterable[str]
    ) -> list[observation.Custody | None]:
        """Say of each whose it is; None of those that are not known."""
        with self._lock:
            return self._fleet.custodies(uids)

    def place(self, uid: str) -> str:
        """Name the host that reports an instance; empty where none does."""
        with self._lock:
            try:
                return self._fleet.instance(uid).host
            except errors.NotFound:
                return ''

    def counts(self) -> tuple[int, collections.Counter[str]]:
        """Return how many samples were taken, and refused by cause."""
        with self._lock:
            return self._fleet.accepted, self._fleet.refused.copy()

    def _tell(self, refused: errors.SampleRefused, now: float) -> None:
        """Log a refusal, but the same cause only once in a while."""
        if now - self._told.get(refused.cause, 0.0) < _TELL_SECONDS:
            return
        self._told[refused.cause] = now
        LOG.warning('A sample was refused (%s): %s', refused.cause, refused)
