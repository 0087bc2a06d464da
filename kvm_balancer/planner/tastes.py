"""Tastes: what weighers make of the places that units may go to.

A search that changes a set of moves again and again cannot ask all weighers
at each step. They are asked once for each unit that it looks at, about all
hosts of its zone where rules let it be; what they say is kept as a number of
one byte for each place. A place that they like less costs a little more.
"""

import numpy as np
import numpy.typing as npt

from kvm_balancer.model import fleet as columns
from kvm_balancer.planner import workspace
from kvm_balancer.weighers import base as weighers

#: what the least liked place costs more than the one liked best, as a share
#: of what the move costs: more than even loads are worth, and less than
#: a move
_WEIGHT = 0.1
#: levels of a byte
_LEVELS = 255


class Tastes:
    """What decisive weighers like, for units of a workspace.

    Looks at the placement of the workspace, which has to be that of the
    search, at the time of the first question about a unit.
    """

    def __init__(self, work: workspace.Workspace) -> None:
        self._work = work
        zone = work.fleet.hosts.zone
        #: place of each host among those of its zone
        self._place = np.empty(len(zone), np.int32)
        for number in range(len(work.fleet.zones)):
            inside = np.flatnonzero(zone == number)
            self._place[inside] = np.arange(len(inside))
        self._known: dict[int, npt.NDArray[np.uint8]] = {}

    def surcharge(
        self, units: columns.Ints, home: columns.Ints, hosts: columns.Ints
    ) -> columns.Floats:
        """Return what units cost more on hosts, as a share of their cost.

        :param home: host of each unit before its move: it costs nothing
        :param hosts: of the zone of all units
        :returns: shape ``(len(units), len(hosts))``
        """
        places = self._place[hosts]
        rows = [
            self._of(unit, host)[places]
            for unit, host in zip(units.tolist(), home.tolist(), strict=True)
        ]
        found: columns.Floats = np.array(rows, np.float64) * (
            _WEIGHT / _LEVELS
        )
        found[home[:, None] == hosts[None, :]] = 0.0
        return found

    def at(self, unit: int, home: int, host: int) -> float:
        """Return what *unit* costs more on *host*, as a share of its cost."""
        if host == home:
            return 0.0
        level = int(self._of(unit, home)[self._place[host]])
        return _WEIGHT * level / _LEVELS

    def _of(self, unit: int, home: int) -> npt.NDArray[np.uint8]:
        """Return how little each host of its zone is liked for *unit*."""
        if unit not in self._known:
            self._known[unit] = self._ask(unit, home)
        return self._known[unit]

    def _ask(self, unit: int, home: int) -> npt.NDArray[np.uint8]:
        work = self._work
        zone = work.fleet.hosts.zone
        levels = np.full(
            int(np.count_nonzero(zone == zone[home])), _LEVELS, np.uint8
        )
        hosts = work.neighbours(home)
        row = np.array((unit,), np.int32)
        hosts = hosts[work.admission.static(work.units.first(row), hosts)[0]]
        if not len(hosts):
            return levels
        members, now = work.units.of(unit), work.home(unit)
        if now != home:
            work.state.take_back(members, home)
        liked = weighers.normalised(work.weights(unit, hosts))
        if now != home:
            work.state.move(members, now)
        if not liked.any():
            liked = np.ones(len(hosts))
        levels[self._place[hosts]] = np.rint(_LEVELS * (1.0 - liked))
        return levels


def of(work: workspace.Workspace) -> Tastes | None:
    """Return the tastes of decisive weighers; None where none is on."""
    return Tastes(work) if work.particular else None
