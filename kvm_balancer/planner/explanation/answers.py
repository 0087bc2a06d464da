"""Answers to "why?": of a plan, an instance or a host.

Worked out when asked for, from a plan and the fleet that it is for. Nothing
of it is kept.
"""

import collections

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import plan as plans
from kvm_balancer.planner import context as contexts
from kvm_balancer.planner import gauges
from kvm_balancer.planner import workspace
from kvm_balancer.planner.explanation import judgement
from kvm_balancer.planner.explanation import moves
from kvm_balancer.planner.explanation import records
from kvm_balancer.planner.explanation import subjects
from kvm_balancer.planner.explanation import words

#: places that are read out; all of them are among the figures
_PLACES = 5
#: instances of a plan that a host is held against
_ASKED = 64
#: instances that are named of those with the same reason to stay
_NAMED = 3


class Answers:
    """Explains one plan for one fleet.

    :param context: that the plan was made with
    :param known: says why instances may not be moved, where that is known
    """

    def __init__(
        self,
        fleet: columns.Fleet,
        context: contexts.Context,
        made: plans.Plan,
        known: judgement.Known | None = None,
    ) -> None:
        self._known = known
        self._fleet = fleet
        self._context = context
        self._made = made

    def of(self, subject: subjects.Subject) -> records.Explanation:
        """Explain an instance or a host."""
        if subject.kind == 'host':
            return self.host(subject.row)
        return self.instance(subject.row)

    def plan(self, name: str = '') -> records.Explanation:
        """Explain every move of the plan."""
        made = self._made
        found = self._moves(lambda move: True)
        head = (made.summary or 'nothing is said of it', *words.bound(made))
        sections = [
            records.Section('Plan', head),
            *(_section(one) for one in found),
            *self._left(),
        ]
        return records.Explanation(
            kind='plan',
            subject=name or made.policy,
            policy=made.policy,
            sections=tuple(sections),
            moves=found,
        )

    def _left(self) -> list[records.Section]:
        """Return what the plan could not do."""
        found: list[records.Section] = []
        for title, lines in (
            (
                'Stay hot',
                [
                    f'{one.host}, {one.load:.2f} {one.reading.words}: '
                    f'{one.reason}'
                    for one in self._made.still_hot
                ],
            ),
            (
                'Unplaced',
                [
                    f'{one.instance}: {one.reason}'
                    for one in self._made.unplaced
                ],
            ),
            ('Warnings', self._made.warnings),
        ):
            if lines:
                found.append(records.Section(title, tuple(lines)))
        return found

    def _moves(self, wanted: moves.Wanted) -> tuple[records.Move, ...]:
        return moves.explain(self._workspace(), self._made, wanted)

    def _workspace(self) -> workspace.Workspace:
        return workspace.Workspace(self._fleet, self._context)

    def _judge(self) -> judgement.Judge:
        return judgement.Judge(self._workspace(), self._known)

    def instance(self, row: int) -> records.Explanation:
        """Explain why an instance goes where it goes, or stays."""
        uid = self._fleet.instances.id[row]
        found = self._moves(lambda move: move.instance == uid)
        judge = self._judge()
        stays = None if found else judge.staying(row)
        unit = judge.unit_of(row)
        home = int(self._fleet.instances.host[row])
        if self._fleet.hosts.state[home] == columns.HostState.DRAINING:
            # It goes whatever is wished for: no wish keeps it.
            judge.work.heeds_wishes = False
        places = self._places(judge, unit)
        sections = [records.Section('Instance', self._portrait(row))]
        sections += [_section(one) for one in found]
        if not found:
            why = self._why_it_stays(uid, stays, places)
            sections.append(records.Section('Why it stays', why))
        fit = [one for one in places if one.refused is None]
        if fit:
            lines = [words.place(one) for one in fit[:_PLACES]]
            if len(fit) > _PLACES:
                lines.append(f'and {len(fit) - _PLACES} more')
            sections.append(records.Section('It could go to', tuple(lines)))
        refused = judgement.tally(places)
        if refused:
            sections.append(
                records.Section(
                    'It could not go to', tuple(words.refusals(refused))
                )
            )
        return records.Explanation(
            kind='instance',
            subject=uid,
            policy=self._made.policy,
            sections=tuple(sections),
            moves=found,
            stays=stays,
            places=places,
        )

    def _places(
        self, judge: judgement.Judge, unit: int
    ) -> tuple[records.Place, ...]:
        """Return every other host, those that fit first, the best first."""
        hosts = np.arange(len(self._fleet.hosts), dtype=np.int32)
        hosts = hosts[hosts != judge.work.home(unit)]
        found = judge.places(unit, hosts)
        return tuple(
            sorted(
                found,
                key=lambda one: (one.refused is not None, one.cpu_spread),
            )
        )

    def _portrait(self, row: int) -> tuple[str, ...]:
        fleet = self._fleet
        one = fleet.instances
        groups = [
            f'{fleet.groups.name[group]} '
            f'({_policy(int(fleet.groups.policy[group]))})'
            for group in fleet.groups_of.get(row, ())
        ]
        lines = [
            f'{one.name[row]} ({one.id[row]}) on '
            f'{fleet.hosts.name[one.host[row]]}',
            f'uses {one.cpu_usage[row]:.2f} cores of {one.vcpus[row]:.0f} '
            f'vCPUs and has {one.memory_mib[row]:.0f} MiB, of which a '
            f'migration copies {one.memory_usage_mib[row]:.0f}',
        ]
        if groups:
            lines.append(f'belongs to {", ".join(groups)}')
        return tuple(lines)

    def _why_it_stays(
        self,
        uid: str,
        stays: records.Rule | None,
        places: tuple[records.Place, ...],
    ) -> tuple[str, ...]:
        made = self._made
        lost = [one.reason for one in made.unplaced if one.instance == uid]
        if stays is not None:
            return (f'{words.rule(stays)} ({stays.rule})', *lost)
        fit = [one for one in places if one.refused is None]
        if not fit:
            return ('no other host takes it', *lost)
        now = made.before.cpu_stddev
        best = fit[0]
        value = (
            f'to {best.host} it would take the CPU spread from {now:.4f} to '
            f'{best.cpu_spread:.4f}'
            if best.cpu_spread < now and not words.even(best.cpu_spread, now)
            else f'no host it could go to would leave a CPU spread under the '
            f'{now:.4f} that it is, but for a trifle'
        )
        return (
            *lost,
            f'nothing keeps it: {made.policy} does without moving it',
            value,
            f'the plan: {made.summary}',
        )

    def host(self, row: int) -> records.Explanation:
        """Explain why a host gives, takes, or neither."""
        name = self._fleet.hosts.name[row]
        found = self._moves(
            lambda move: name in (move.source, move.destination)
        )
        judge = self._judge()
        sections = [records.Section('Host', self._host_portrait(row))]
        sections += [_section(one) for one in found]
        hot = [one for one in self._made.still_hot if one.host == name]
        if hot:
            lines = tuple(one.reason for one in hot)
            sections.append(records.Section('Why it stays hot', lines))
        sections.append(
            records.Section('What stays on it', self._staying(judge, row))
        )
        sections.append(
            records.Section('What comes to it', self._coming(judge, row))
        )
        return records.Explanation(
            kind='host',
            subject=name,
            policy=self._made.policy,
            sections=tuple(sections),
            moves=found,
        )

    def _host_portrait(self, row: int) -> tuple[str, ...]:
        fleet, hosts = self._fleet, self._fleet.hosts
        state = columns.HostState(int(hosts.state[row])).name.lower()
        zone = fleet.zones[hosts.zone[row]]
        colder = int(np.count_nonzero(fleet.cpu_load < fleet.cpu_load[row]))
        running = int(np.count_nonzero(fleet.instances.host == row))
        return (
            f'{hosts.name[row]} is {state}'
            f'{f", in zone {zone}" if zone else ""}'
            f'{", and has gone silent" if hosts.silent[row] else ""}',
            f'CPU {fleet.cpu_load[row]:.2f}, memory '
            f'{fleet.memory_load[row]:.2f}, '
            f'{words.count(running, "instance")}; {colder} of {len(hosts)} '
            'hosts have a lower CPU load',
            *self._measured(row),
        )

    def _measured(self, row: int) -> tuple[str, ...]:
        """Tell what else there is a limit of, where it was measured."""
        figures = [
            (one, float(gauges.Gauge(self._fleet, one).read[row]))
            for one in plans.Reading
            if one not in (plans.Reading.CPU, plans.Reading.ALLOCATION)
        ]
        told = [
            f'{load:.2f} {one.words}'
            for one, load in figures
            if np.isfinite(load) and (load or one is not plans.Reading.STEAL)
        ]
        return (', '.join(told),) if told else ()

    def _staying(self, judge: judgement.Judge, row: int) -> tuple[str, ...]:
        """Say what keeps the instances that the plan leaves on a host."""
        names = self._fleet.instances.name
        leaving = {move.instance for move in self._made.moves}
        kept: dict[records.Rule | None, list[str]] = collections.defaultdict(
            list
        )
        for one in np.flatnonzero(self._fleet.instances.host == row).tolist():
            if self._fleet.instances.id[one] not in leaving:
                kept[self._keeps(judge, one)].append(names[one])
        lines: list[str] = []
        for rule, who in kept.items():
            more = ', ...' if len(who) > _NAMED else ''
            named = f'{len(who)} ({", ".join(who[:_NAMED])}{more})'
            lines.append(
                f'{named}: nothing keeps them, the plan does without'
                if rule is None
                else f'{named} ({rule.rule}): {words.rule(rule)}'
            )
        return tuple(lines) or ('nothing',)

    def _keeps(self, judge: judgement.Judge, row: int) -> records.Rule | None:
        """Say what keeps an instance on its host, or that nobody takes it."""
        uid = self._fleet.instances.id[row]
        for lost in self._made.unplaced:
            if lost.instance == uid:
                return records.Rule('unplaced', lost.reason)
        return judge.staying(row)

    def _coming(self, judge: judgement.Judge, row: int) -> tuple[str, ...]:
        """Say why what the plan moves elsewhere does not come to a host."""
        name = self._fleet.hosts.name[row]
        here = np.array((row,), np.int32)
        rows = [
            self._fleet.instance_row[move.instance]
            for move in self._made.moves
            if name not in (move.source, move.destination)
            and move.instance in self._fleet.instance_row
        ]
        asked = [
            judge.places(judge.unit_of(one), here)[0] for one in rows[:_ASKED]
        ]
        if not asked:
            return ('nothing else is moved by the plan',)
        names = self._fleet.instances.name
        refused: dict[str, list[tuple[str, records.Rule]]] = {}
        for one, place in zip(rows, asked, strict=False):
            if place.refused is not None:
                by_rule = refused.setdefault(place.refused.rule, [])
                by_rule.append((names[one], place.refused))
        lines = [
            f'not {words.count(len(found), "instance")} ({rule}); '
            f'{found[0][0]}, for one: {words.rule(found[0][1])}'
            for rule, found in refused.items()
        ]
        fit = sum(one.refused is None for one in asked)
        if fit:
            lines.append(
                f'{words.count(fit, "instance")} of '
                f'{words.count(len(asked), "move")} could come, and do '
                'better elsewhere'
            )
        return tuple(lines)


def _section(one: records.Move) -> records.Section:
    title, *lines = words.move(one)
    return records.Section(f'Move {title}', tuple(lines))


def _policy(number: int) -> str:
    return columns.GroupPolicy(number).name.lower().replace('_', '-')
