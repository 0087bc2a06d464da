"""Why the moves of a plan: this instance, to this host, and what else.

A plan is carried out once more on a workspace, a unit at a time, and each
move is held against what could have been done in its place.
"""

import collections.abc
import dataclasses

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import plan as plans
from kvm_balancer.planner import score
from kvm_balancer.planner import workspace
from kvm_balancer.planner.explanation import destinations
from kvm_balancer.planner.explanation import judgement
from kvm_balancer.planner.explanation import motives
from kvm_balancer.planner.explanation import records
from kvm_balancer.planner.explanation import words

#: instances that are held against the one that moves
_RIVALS = 3
_MIB_PER_GIB = 1024.0
#: causes that name a reading of the source
_OF_LOAD = (plans.CauseKind.SOURCE_LOAD, plans.CauseKind.ZONE_LOAD)

#: Says of a move, by place, instance, source and destination, if it is told.
Wanted = collections.abc.Callable[[plans.Move], bool]


def explain(
    work: workspace.Workspace, made: plans.Plan, wanted: Wanted
) -> tuple[records.Move, ...]:
    """Carry *made* out on *work*; explain the moves that are *wanted*.

    *work* is at its start, and ends where the plan does.
    """
    judge = judgement.Judge(work)
    plot = motives.Plot(work.fleet, made)
    names = work.fleet.instances.name
    found: list[records.Move] = []
    for place, move in enumerate(made.moves):
        row = work.fleet.instance_row.get(move.instance)
        bare = records.Move(
            place=place,
            instance=move.instance,
            name=move.instance if row is None else names[row],
            source=move.source,
            destination=move.destination,
            reason=move.reason,
        )
        objection = _objection(work, move)
        if row is None or objection:
            if wanted(move):
                found.append(dataclasses.replace(bare, objection=objection))
            continue
        unit = judge.unit_of(row)
        source = work.fleet.host_row[move.source]
        destination = work.fleet.host_row[move.destination]
        if int(work.state.host[row]) == destination:
            # It came with another one of its affinity group.
            if wanted(move):
                found.append(
                    dataclasses.replace(
                        bare, why_instance='it goes with its affinity group'
                    )
                )
            continue
        if wanted(move):
            teller = _Teller(judge, plot, move, unit, source, destination)
            gain = words.gain(made, place)
            found.append(teller.told(dataclasses.replace(bare, gain=gain)))
        else:
            work.move(unit, destination)
    return tuple(found)


def _objection(work: workspace.Workspace, move: plans.Move) -> str:
    """Say why a move cannot be made in this fleet; empty where it can."""
    fleet = work.fleet
    row = fleet.instance_row.get(move.instance)
    if row is None:
        return 'the instance is not in this fleet'
    for host in (move.source, move.destination):
        if host not in fleet.host_row:
            return f'{host} is not in this fleet'
    where = int(work.state.host[row])
    began = int(fleet.instances.host[row])
    if fleet.host_row[move.source] not in (where, began):
        return f'the instance is on {fleet.hosts.name[where]} in this fleet'
    return ''


def _refusal(chosen: records.Place) -> str:
    if chosen.refused is None:
        return ''
    rule = chosen.refused
    return f'{chosen.host} would be refused now ({rule.rule}): {rule.text}'


def _compared(best: records.Place, chosen: records.Place) -> str:
    """Say what another instance would do to the CPU spread."""
    mine, other = chosen.cpu_spread, best.cpu_spread
    text = f'on {best.host} it would leave '
    if words.even(mine, other):
        return f'{text}the same CPU spread, {mine:.4f}'
    return f'{text}a CPU spread of {other:.4f}, and not {mine:.4f}'


class _Teller:
    """Tells of one move, before it is made, and makes it."""

    def __init__(
        self,
        judge: judgement.Judge,
        plot: motives.Plot,
        move: plans.Move,
        unit: int,
        source: int,
        destination: int,
    ) -> None:
        self._judge = judge
        self._plot = plot
        self._work = judge.work
        self._move = move
        self._unit = unit
        self._source, self._destination = source, destination

    def told(self, bare: records.Move) -> records.Move:
        work, fleet = self._work, self._work.fleet
        hosts = work.neighbours(self._source)
        if self._destination not in hosts:
            others = np.append(hosts, self._destination).astype(np.int32)
            hosts = np.sort(others)
        places, chosen = self._places(hosts)
        if chosen.refused is not None:
            # What has to go goes where it is not wished for.
            work.heeds_wishes = False
            places, chosen = self._places(hosts)
            work.heeds_wishes = True
        why_instance, rivals = self._why_instance(bare.place, hosts, chosen)
        choice = destinations.Choice(
            work, self._plot, self._move, self._unit, places
        )
        why_host, refused = choice.text(), judgement.tally(places)
        spread = score.spread(work.state.cpu_load, fleet.counted)
        ends = (self._source, self._destination)
        before = [self._loads(end) for end in ends]
        work.move(self._unit, self._destination)
        after = [self._loads(end) for end in ends]
        return dataclasses.replace(
            bare,
            objection=_refusal(chosen),
            cpu_spread_before=spread,
            cpu_spread_after=chosen.cpu_spread,
            ends=tuple(
                records.End(
                    fleet.hosts.name[end], was[0], now[0], was[1], now[1]
                )
                for end, was, now in zip(ends, before, after, strict=True)
            ),
            why_instance=why_instance,
            why_host=why_host,
            second=choice.second,
            rivals=rivals,
            refused=refused,
        )

    def _places(
        self, hosts: columns.Ints
    ) -> tuple[tuple[records.Place, ...], records.Place]:
        """Return what all of *hosts* are like, and the destination."""
        places = self._judge.places(self._unit, hosts)
        name = self._work.fleet.hosts.name[self._destination]
        return places, next(one for one in places if one.host == name)

    def _loads(self, host: int) -> tuple[float, float]:
        state = self._work.state
        # What is left of sums of floats is nothing.
        cpu = max(0.0, state.cores[host] / self._work.fleet.hosts.cpus[host])
        return float(cpu), max(0.0, float(state.memory_load[host]))

    def _why_instance(
        self, place: int, hosts: columns.Ints, chosen: records.Place
    ) -> tuple[str, tuple[records.Rival, ...]]:
        """Say why this one goes, and what the others are like.

        :param place: of the move in the plan
        """
        work, cause = self._work, self._move.cause
        must = motives.whatever_else(
            work, self._plot, place, self._move, self._unit
        )
        if must:
            return must, ()
        if cause is not None and cause.kind in _OF_LOAD:
            relief = motives.Relief(work, cause, self._source, self._unit)
            if relief.told:
                others = relief.others[:_RIVALS]
                return relief.text(), tuple(
                    self._rival(unit, fit, chosen, relief.has(unit))[1]
                    for unit, fit in self._fits(others, hosts)
                )
        return self._evened(hosts, chosen)

    def _evened(
        self, hosts: columns.Ints, chosen: records.Place
    ) -> tuple[str, tuple[records.Rival, ...]]:
        """Say it of a move that evens CPU load out."""
        name = self._work.fleet.hosts.name[self._source]
        rivals = self._rivals(hosts, chosen)
        lower = [
            one
            for one in rivals
            if one.cpu_spread is not None
            and one.cpu_spread < chosen.cpu_spread
            and not words.even(one.cpu_spread, chosen.cpu_spread)
        ]
        shown = tuple(rivals[:_RIVALS])
        if not rivals:
            return f'no other instance of {name} may leave it', ()
        if not lower:
            return (
                f'of {len(rivals) + 1} instances of {name} that may leave, '
                f'none leaves a lower CPU spread',
                shown,
            )
        mib = float(self._work.units.mib[self._unit])
        best = lower[0]
        copied = (
            f', but copies {best.mib / _MIB_PER_GIB:.1f} GiB and not '
            f'{mib / _MIB_PER_GIB:.1f}'
            if best.mib > mib
            else ''
        )
        alone = 'by itself' if len(lower) == 1 else 'by themselves'
        return (
            f'of {len(rivals) + 1} instances of {name} that may leave, '
            f'{len(lower)} would leave a lower CPU spread {alone}: '
            f'{best.name} on {best.host}, {best.cpu_spread:.4f}{copied}; '
            'with the other moves of the plan this one serves better',
            shown,
        )

    def _rivals(
        self, hosts: columns.Ints, chosen: records.Place
    ) -> list[records.Rival]:
        """Return the others that may leave the source, best first."""
        work = self._work
        units = work.units_on(self._source)
        units = units[units != self._unit]
        units = units[work.units.cpu_usage[units] > 0]
        found = [
            self._rival(unit, fit, chosen)
            for unit, fit in self._fits(units, hosts)
        ]
        found.sort(key=lambda one: one[0])
        return [rival for _, rival in found]

    def _fits(
        self, units: columns.Ints, hosts: columns.Ints
    ) -> collections.abc.Iterator[tuple[int, columns.Ints]]:
        """Go through *units*, each with those of *hosts* that take it."""
        if len(units):
            fits = self._work.allowed(units, hosts)
            for place, unit in enumerate(units.tolist()):
                yield unit, hosts[fits[place]]

    def _rival(
        self,
        unit: int,
        fit: columns.Ints,
        chosen: records.Place,
        has: str = '',
    ) -> tuple[float, records.Rival]:
        """Return what *unit* would do instead, and its CPU spread.

        :param fit: hosts that take it
        :param has: what there is to say of it besides
        """
        work, fleet = self._work, self._work.fleet
        members = work.units.of(unit)
        best: records.Place | None = min(
            self._judge.spreads(unit, fit),
            key=lambda one: one.cpu_spread,
            default=None,
        )
        if best is None:
            hosts = work.neighbours(self._source)
            text = (
                f'no host takes it: of {len(hosts)}, '
                f'{work.admission.refusals(members, hosts)}'
            )
        else:
            text = _compared(best, chosen)
        spread = None if best is None else best.cpu_spread
        return np.inf if spread is None else spread, records.Rival(
            instance=fleet.instances.id[int(members[0])],
            name=fleet.instances.name[int(members[0])],
            host='' if best is None else best.host,
            cpu_spread=spread,
            mib=float(work.units.mib[unit]),
            text=f'{has}; {text}' if has else text,
        )
