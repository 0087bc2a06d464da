"""Descent: the best single moves again and again, until the target.

Hosts wait in a heap by what they promised last. The few on top are looked
at together (see :mod:`.survey`), and of what they offer the best is taken,
then the next best, as long as it beats what the others in the heap promise.
A promise can only shrink while its source cools down and the destinations
warm up, so no better move is missed but for one thing: a host moves one
unit, and takes one, in a round. Its next move waits for the next round,
while hosts with hardly less to gain go first. In the end all of them go.

The cost of a move does not grow with the fleet: the more hosts there are,
the more moves a round makes.
"""

import heapq

import numpy as np

from kvm_balancer.planner import gain
from kvm_balancer.planner import reasons
from kvm_balancer.planner import survey
from kvm_balancer.planner import workspace

#: a move that gains this share of what the next host promises is taken at
#: once: promises are hardly ever kept to the full
_GOOD_ENOUGH = 0.85
#: hosts that promise this share of what the best does share a round
_ALIKE = 0.7
#: hosts of a round: at least, at most, and one in so many
_FEWEST, _MOST, _ONE_IN = 4, 192, 16


class Descent:
    """One descent on a workspace."""

    def __init__(
        self,
        work: workspace.Workspace,
        explain: bool = False,
        exponent: float | None = None,
    ) -> None:
        """Begin where *work* is.

        :param explain: say of every move what its destination has before
            others; not worth the time where moves are sorted out later
        :param exponent: how sparing with MiB (see :mod:`.gain`)
        """
        self.work = work
        self._explain = explain
        self._gains = gain.Gains(work, exponent)
        self._survey = survey.Survey(work, self._gains)
        count = len(work.fleet.hosts)
        self._width = min(_MOST, max(_FEWEST, count // _ONE_IN))
        #: steps after which a host was changed last
        self._changed = np.zeros(count, np.int64)
        self._offers: dict[int, tuple[survey.Offer, int]] = {}
        self._heap: list[tuple[float, int]] = []

    @property
    def spread(self) -> float:
        """The spread of CPU load as it is now."""
        return self._gains.spread.stddev

    def run(self, target: float) -> None:
        """Move until the spread is at most *target*, or nothing helps."""
        self._heap = self._promises()
        while self._heap and self.spread > target and not self.work.spent:
            self._round(target)

    def _promises(self) -> list[tuple[float, int]]:
        """Return a heap of upper bounds of what each host can gain."""
        best = self._survey.at_most()
        heap = [
            (-float(best[host]), host)
            for host in np.flatnonzero(best > survey.LEAST_GAIN).tolist()
        ]
        heapq.heapify(heap)
        return heap

    def _round(self, target: float) -> None:
        """Look at the hosts that promise most; take what is good enough."""
        sources = self._candidates()
        enough = _GOOD_ENOUGH * -self._heap[0][0] if self._heap else 0.0
        stale = [host for host in sources if not self._fresh(host)]
        prospects = self._survey.look(stale, enough) if stale else {}
        self._take(sources, prospects, enough, target)

    def _candidates(self) -> list[int]:
        """Take the hosts off the heap that promise most."""
        least = _ALIKE * -self._heap[0][0]
        found: list[int] = []
        while (
            self._heap
            and len(found) < self._width
            and -self._heap[0][0] >= least
        ):
            found.append(heapq.heappop(self._heap)[1])
        return found

    def _fresh(self, host: int) -> bool:
        """Say whether the last offer of *host* still stands."""
        if host not in self._offers:
            return False
        offer, seen = self._offers[host]
        if not self.work.admission.local and seen < len(self.work.steps):
            return False
        return bool(
            seen >= self._changed[host]
            and seen >= self._changed[offer.destination]
        )

    def _take(
        self,
        sources: list[int],
        prospects: dict[int, survey.Prospects],
        enough: float,
        target: float,
    ) -> None:
        """Take offers, best first; hosts whose turn has not come wait."""
        began = len(self.work.steps)
        busy = np.zeros(len(self.work.fleet.hosts), np.bool_)
        queue = self._queue(sources, prospects)
        while queue:
            promise, host, destination = heapq.heappop(queue)
            found = prospects.get(host)
            if busy[host]:
                self._wait(host, -promise)
            elif busy[destination]:
                best = found.best(busy) if found else None
                if best is not None:
                    heapq.heappush(queue, (-best[0], host, best[1]))
                else:
                    # what is left gains less than enough
                    self._wait(host, min(-promise, enough or -promise))
            else:
                offer = (
                    found.offer(self.work, busy)
                    if found
                    else self._offers[host][0]
                )
                done = self.spread <= target or self.work.spent
                if done or -promise < enough:
                    self._offers[host] = offer, began
                    self._wait(host, -promise)
                elif not self._possible(offer, began):
                    busy[offer.destination] = True
                    heapq.heappush(queue, (promise, host, destination))
                elif not self._gains.worthy(offer.unit, offer.gain):
                    self._gains.give_up(offer.unit)
                    self._offers.pop(host, None)
                    self._wait(host, -promise)
                elif self.work.may_move(offer.unit):
                    self._apply(offer, host)
                    busy[host] = busy[offer.destination] = True
                    self._wait(host, -promise)

    def _queue(
        self, sources: list[int], prospects: dict[int, survey.Prospects]
    ) -> list[tuple[float, int, int]]:
        """Return a heap of the best offers of *sources*.

        Hosts that have to be looked at more closely wait.
        """
        queue: list[tuple[float, int, int]] = []
        nobody = np.zeros(len(self.work.fleet.hosts), np.bool_)
        for host in sources:
            if host not in prospects:
                offer = self._offers[host][0]
                queue.append((-offer.gain, host, offer.destination))
                continue
            self._offers.pop(host, None)
            found = prospects[host]
            best = found.best(nobody)
            if best is not None and best[0] >= found.rest:
                queue.append((-best[0], host, best[1]))
            elif found.rest > survey.LEAST_GAIN:
                self._wait(host, found.rest)
        heapq.heapify(queue)
        return queue

    def _possible(self, offer: survey.Offer, began: int) -> bool:
        """Say whether a move is still possible after others of a round."""
        if len(self.work.steps) == began or self.work.admission.local:
            return True
        unit = np.array((offer.unit,), np.int32)
        there = np.array((offer.destination,), np.int32)
        return bool(self.work.allowed(unit, there)[0, 0])

    def _wait(self, host: int, promise: float) -> None:
        heapq.heappush(self._heap, (-promise, host))

    def _apply(self, offer: survey.Offer, source: int) -> None:
        """Carry one move out on the workspace."""
        work = self.work
        why = ''
        if self._explain:
            why = reasons.standing(work, offer.unit, offer.destination)
        work.move(offer.unit, offer.destination, why)
        for host in (source, offer.destination):
            self._gains.update(host)
            self._changed[host] = len(work.steps)
        self._offers.pop(source, None)
