"""What was seen of the fleet while it was balanced. Pure.

Everything comes from the agent's answers, as an operator gets them.
"""

import collections.abc
import dataclasses
import statistics
from typing import Any

Row = dict[str, Any]

_MIB_A_GIB = 1024.0


@dataclasses.dataclass(frozen=True, slots=True)
class Look:
    """One look at the fleet.

    :ivar at: seconds since the record began
    :ivar loads: CPU load by host
    :ivar calm: no policy wants to act and nothing is under way
    """

    at: float
    loads: dict[str, float]
    calm: bool = False

    @property
    def spread(self) -> float:
        """Standard deviation of CPU load over the hosts."""
        return statistics.pstdev(self.loads.values())

    @property
    def peak(self) -> float:
        """Highest CPU load."""
        return max(self.loads.values())

    @property
    def hottest(self) -> str:
        """Name of the host of the highest load."""
        return max(self.loads, key=lambda name: self.loads[name])

    def over(self, limit: float) -> int:
        """Return how many hosts are over a limit."""
        return sum(load > limit for load in self.loads.values())


@dataclasses.dataclass(frozen=True, slots=True)
class Trip:
    """One migration, as the agent last told of it.

    :ivar begun_at: seconds since the record began
    :ivar ended_at: None while it is under way
    :ivar outcome: empty while it is under way
    :ivar share: of its memory that is across, 0 to 1
    :ivar reason: why it ended as it did
    :ivar why: why it was planned
    """

    id: str
    name: str
    source: str
    destination: str
    begun_at: float
    ended_at: float | None
    outcome: str
    state: str
    share: float
    gib: float
    downtime_ms: float | None
    throttle_percent: int
    reason: str
    why: str = ''
    seconds_left: float | None = None

    @property
    def under_way(self) -> bool:
        """True until its outcome is known."""
        return not self.outcome


class Record:
    """All looks, migrations and plans, in the order of their time.

    :param began_at: seconds since the epoch
    :param names: of the instances, by uuid
    :ivar decisions: one line for each plan and each of its moves
    :ivar summaries: one line for each plan
    """

    def __init__(
        self, began_at: float, names: collections.abc.Mapping[str, str]
    ) -> None:
        self._began_at = began_at
        self._names = dict(names)
        self._plans: set[str] = set()
        self._whys: dict[tuple[str, str], str] = {}
        self.looks: list[Look] = []
        self.trips: dict[str, Trip] = {}
        self.decisions: list[tuple[float, str]] = []
        self.summaries: list[tuple[float, str]] = []

    @property
    def last(self) -> Look:
        """The last look."""
        return self.looks[-1]

    @property
    def under_way(self) -> list[Trip]:
        """The migrations that have not ended, oldest first."""
        return [one for one in self.trips.values() if one.under_way]

    @property
    def ended(self) -> list[Trip]:
        """The migrations that have ended, by the time they did."""
        return sorted(
            (one for one in self.trips.values() if not one.under_way),
            key=lambda one: one.ended_at or 0.0,
        )

    def look(
        self, at: float, hosts: list[Row], policies: list[Row], idle: bool
    ) -> None:
        """Take in what the hosts are like.

        :param at: seconds since the epoch
        :param policies: what each thinks of it
        """
        calm = idle and bool(policies)
        calm &= all(one['mood'] == 'content' for one in policies)
        loads = {
            row['name']: row['cpu_load']
            for row in sorted(hosts, key=lambda row: str(row['name']))
        }
        self.looks.append(Look(at - self._began_at, loads, calm))

    def note_migrations(self, rows: list[Row]) -> list[Trip]:
        """Take in the migrations; return those that changed."""
        changed = []
        for row in reversed(rows):
            trip = self._trip(row)
            if self.trips.get(trip.id) != trip:
                self.trips[trip.id] = trip
                changed.append(trip)
        return changed

    def unseen_plans(self, rows: list[Row]) -> list[str]:
        """Return the ids of plans not taken in yet, oldest first."""
        found = [row['id'] for row in reversed(rows)]
        return [one for one in found if one not in self._plans]

    def note_plan(self, plan: Row) -> None:
        """Take in a plan, with a line for each of its moves."""
        self._plans.add(plan['id'])
        at = plan['created_at'] - self._began_at
        many = len(plan['moves'])
        moves = '1 move' if many == 1 else f'{many} moves'
        summary = plan['summary']
        self.summaries.append((at, f'{plan["policy"]}: {moves}; {summary}'))
        self.decisions.append(self.summaries[-1])
        for move in plan['moves']:
            self._whys[plan['id'], move['instance']] = move['reason']
            name = self._names.get(move['instance'], move['instance'])
            way = f'{move["source"]} -> {move["destination"]}'
            self.decisions.append((at, f'{name}  {way}: {move["reason"]}'))

    def _trip(self, row: Row) -> Trip:
        seen = row.get('statistics') or {}
        sent = seen.get('transferred_mib', 0.0)
        whole = sent + seen.get('remaining_mib', 0.0)
        ended = row.get('ended_at')
        outcome = row.get('outcome') or ''
        return Trip(
            id=row['id'],
            name=self._names.get(row['instance'], row['instance'][:8]),
            source=row['source'],
            destination=row['destination'],
            begun_at=row['accepted_at'] - self._began_at,
            ended_at=None if ended is None else ended - self._began_at,
            outcome=outcome,
            state=row['state'],
            share=1.0 if outcome else (sent / whole if whole else 0.0),
            gib=(row.get('transferred_mib') or sent) / _MIB_A_GIB,
            downtime_ms=row.get('downtime_ms'),
            throttle_percent=row.get('max_throttle_percent')
            or seen.get('throttle_percent', 0),
            reason=row.get('reason') or '',
            why=self._whys.get(
                (row.get('plan_id') or '', row['instance']), ''
            ),
            seconds_left=row.get('remaining_seconds'),
        )
