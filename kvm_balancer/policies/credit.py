"""How far the gains that policies predict show in the loads seen afterwards.

A plan that was carried out was to bring the level of its policies down on the
hosts that it touched (see :mod:`.promise`). Once loads have settled the level
of those is looked at again, and held against what it would be had nothing
changed but the places of the instances that were moved: what was dropped or
failed is not the policy's fault, nor what became of other hosts. The share of
the gain that shows makes the policy's credit, of which recent plans count
most. A policy of little credit has to see more gain in a move before it makes
it, and says so.

What outlives a restart is what a plan was to bring as far as it had come:
the rest of it is not carried out.
"""

import collections
import collections.abc
import dataclasses
import logging
import math
from typing import Any

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement
from kvm_balancer.model import plan as plans
from kvm_balancer.policies import assignment
from kvm_balancer.policies import base
from kvm_balancer.policies import promise as promises

LOG = logging.getLogger(__name__)

#: how much the last plan counts against all before it
_RECENT = 0.5
#: what a policy keeps whatever it predicts: it can earn it back
_LEAST = 0.1
#: credit under which it is asked for more, and spoken of
_POOR = 0.5
#: judgements that are kept
_VERDICTS = 100
#: after a restart, until hosts are heard of and averages are what they were
_SETTLING_SECONDS = 300.0
#: what was due so long before a restart is not judged: all has changed
_LATE_SECONDS = 3600.0

#: A policy at a place, by their names.
Key = tuple[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """What a plan has brought one policy.

    :ivar promised: by how much its level was to come down
    :ivar seen: by how much it did
    """

    policy: str
    at: float
    promised: float
    seen: float


class Credits:
    """The credit of policies; all begin with all of it.

    :ivar verdicts: the last of them, for whoever asks
    """

    def __init__(self) -> None:
        self.verdicts: collections.deque[Verdict] = collections.deque(
            maxlen=_VERDICTS
        )
        self._share: dict[Key, float] = {}
        self._promise: promises.Promise | None = None
        #: as far as the plan had come when it was last followed
        self._expected: tuple[promises.Expected, ...] = ()
        #: when loads have settled, in seconds since the epoch
        self._due = math.inf
        self._restored = False

    def promise(
        self,
        plan: plans.Plan,
        fleet: columns.Fleet,
        acting: promises.Acting,
        due: float,
    ) -> None:
        """Take down what a plan for *fleet* is to bring."""
        self._promise = promises.Promise.of(plan, fleet, acting)
        self._expected, self._due, self._restored = (), due, False

    def follow(
        self,
        fleet: columns.Fleet,
        under_way: collections.abc.Iterable[placement.InFlight] = (),
    ) -> None:
        """Take down how far the plan has come, to be judged by after all.

        :param under_way: migrations that are going to arrive
        """
        if self._promise is not None:
            arriving = {one.instance: one.destination for one in under_way}
            self._expected = self._promise.expected(fleet, arriving)

    def look(
        self,
        fleet: columns.Fleet,
        parts: collections.abc.Iterable[assignment.Part],
        now: float,
    ) -> None:
        """Judge what was promised, if that is due.

        :param parts: of *fleet*
        """
        if self._restored:
            self._restored = False
            late = now > self._due + _LATE_SECONDS
            self._due = (
                math.inf if late else max(self._due, now + _SETTLING_SECONDS)
            )
        if now < self._due:
            return
        expected = self._expected
        if self._promise is not None:
            expected = self._promise.expected(fleet, {})
        self._promise, self._expected, self._due = None, (), math.inf
        there = {
            (part.name, policy.name): (policy, part.hosts)
            for part in parts
            for policy in part.policies
        }
        for one in expected:
            if (one.place, one.policy) in there:
                self._look_at(one, fleet, *there[one.place, one.policy], now)

    def _look_at(
        self,
        one: promises.Expected,
        fleet: columns.Fleet,
        policy: base.Policy,
        hosts: columns.Bools,
        now: float,
    ) -> None:
        """Hold what was seen against what was to be expected.

        Where the level is not known by now nothing is.
        """
        seen = one.seen(policy, fleet, hosts)
        if math.isnan(seen):
            return
        self.verdicts.append(Verdict(one.policy, now, one.gain, seen))
        self._judge((one.place, one.policy), seen / one.gain)

    def _judge(self, key: Key, kept: float) -> None:
        before = self.share(*key)
        share = _RECENT * min(1.0, max(0.0, kept)) + (1 - _RECENT) * before
        self._share[key] = max(_LEAST, share)
        if self.text(*key):
            LOG.warning('Policy %s: %s', key[1], self.text(*key))

    def share(self, place: str, policy: str) -> float:
        """Return the credit of a policy at a place, 0 to 1."""
        return self._share.get((place, policy), 1.0)

    def document(self) -> list[tuple[str, str, float]]:
        """Return what is to survive a restart."""
        return [(*key, share) for key, share in self._share.items()]

    def restore(
        self, document: collections.abc.Iterable[tuple[str, str, float]]
    ) -> None:
        """Take over what an earlier run has kept."""
        for place, policy, share in document:
            self._share[place, policy] = min(1.0, max(_LEAST, share))

    def promised(self) -> dict[str, Any] | None:
        """Return what the last plan is to bring; None where none waits."""
        if not self._expected:
            return None
        return {
            'due': self._due,
            'expected': [dataclasses.astuple(one) for one in self._expected],
        }

    def restore_promise(
        self, document: collections.abc.Mapping[str, Any] | None
    ) -> None:
        """Take over what an earlier run had promised.

        :raises KeyError, TypeError, ValueError: when it is damaged
        """
        if document is None:
            return
        found = [promises.read(one) for one in document['expected']]
        self._expected = tuple(one for one in found if one.any)
        self._due, self._restored = float(document['due']), True

    def strictness(self, place: str, policy: str) -> float:
        """Return how many times the gain of a move it has to see."""
        share = self.share(place, policy)
        return 1.0 if share >= _POOR else 1.0 / share

    def applied(
        self, parts: collections.abc.Iterable[assignment.Part]
    ) -> list[assignment.Part]:
        """Return *parts* with what is asked of their policies by now."""
        return [
            dataclasses.replace(
                part,
                strictness={
                    one.name: self.strictness(part.name, one.name)
                    for one in part.policies
                },
            )
            for part in parts
        ]

    def text(self, place: str, policy: str) -> str:
        """Return what there is to say of it; empty while it is good."""
        share = self.share(place, policy)
        if share >= _POOR:
            return ''
        return (
            f'of the gains it predicted {share:.0%} showed, so a move has to '
            f'be worth {1.0 / share:.1f} times as much'
        )
