"""What is simulated: the agent of the configuration, and ways to change it.

A variant is the same simulation with one option set otherwise.
"""

import argparse
import dataclasses
from typing import Any

from oslo_config import cfg

from kvm_balancer import errors
from kvm_balancer.cmd import written
from kvm_balancer.conf import policy_scopes
from kvm_balancer.conf import windows
from kvm_balancer.messages import fleet_document
from kvm_balancer.messages import load_document
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import traces
from kvm_balancer.planner import cooldown
from kvm_balancer.policies import assignment
from kvm_balancer.policies import decision
from kvm_balancer.service import convergence
from kvm_balancer.service import plugins
from kvm_balancer.service import restraint
from kvm_balancer.service import watch
from kvm_balancer.simulation import engine
from kvm_balancer.simulation import load as loads
from kvm_balancer.simulation import mind
from kvm_balancer.simulation import scenario as scenarios

#: of ``--compare``: a fleet that nobody balances
NOTHING = 'nothing'
#: the end of the calendar: of the year 9998
_LAST_MOMENT = 253_370_764_800.0


@dataclasses.dataclass(frozen=True, slots=True)
class Variant:
    """One way to set the agent up.

    :ivar name: as it is shown
    :ivar agent: what is to be simulated
    """

    name: str
    agent: mind.Agent


def variants(
    conf: Any, policies: list[str] | None, compared: list[str]
) -> list[Variant]:
    """Return the agent as it is configured, then every variant of it.

    :param compared: ``nothing``, or ``GROUP.OPTION=VALUE`` each
    :raises ConfigurationError: when an option or value is wrong
    """
    found = [Variant('as configured', _agent(conf, policies))]
    for one in compared:
        if one == NOTHING:
            found.append(
                Variant(
                    NOTHING,
                    dataclasses.replace(
                        found[0].agent, watches=(), assigned=None
                    ),
                )
            )
        else:
            found.append(Variant(one, _changed(conf, policies, one)))
    return found


def _changed(conf: Any, policies: list[str] | None, text: str) -> mind.Agent:
    """Return the agent with one option set otherwise."""
    place, equals, value = text.partition('=')
    group, dot, option = place.rpartition('.')
    if not equals or not dot:
        raise errors.ConfigurationError(
            f'--compare {text}: must be {NOTHING!r} or GROUP.OPTION=VALUE, '
            'such as relieve.hold_seconds=600'
        )
    try:
        conf.set_override(option, value, group)
    except (cfg.NoSuchOptError, cfg.NoSuchGroupError):
        raise errors.ConfigurationError(
            f'--compare {text}: there is no option {option} in [{group}]'
        ) from None
    except ValueError as error:
        raise errors.ConfigurationError(
            f'--compare {text}: {written.reason(error)}'
        ) from None
    try:
        # The option's own word counts for more than the command line's.
        named = place == 'agent.policies'
        return _agent(conf, None if named else policies)
    finally:
        conf.clear_override(option, group)


def _agent(conf: Any, policies: list[str] | None) -> mind.Agent:
    if policies is None:
        assigned = policy_scopes.read(conf)
        loaded = plugins.load_assigned(conf, assigned)
    else:
        assigned = assignment.Assignment(tuple(policies))
        loaded = plugins.load_policies(conf, policies)
    return mind.Agent(
        watches=tuple(
            decision.Watch(one, plugins.hold_seconds(conf, one.name))
            for one in loaded
        ),
        assigned=assigned,
        template=plugins.make_context(conf, convergence.read_migration(conf)),
        ingest=watch.params(conf),
        cooldowns=cooldown.Params(
            conf.agent.instance_cooldown_seconds,
            conf.agent.host_cooldown_seconds,
            conf.agent.undo_seconds,
        ),
        budgets=restraint.budgets(conf),
        schedules=windows.read(conf),
        interval_seconds=conf.agent.interval_seconds,
        max_migrations=conf.agent.max_migrations,
    )


def read_fleet(document: bytes, name: str) -> columns.Fleet:
    """Read a fleet that can be simulated.

    :raises DocumentError: when it is none
    """
    try:
        fleet = fleet_document.decode(document)
    except errors.DocumentError as error:
        raise errors.DocumentError(f'{name}: {error}') from error
    if not len(fleet.hosts):
        raise errors.DocumentError(f'{name}: hosts: there are none')
    return fleet


def read_load(document: bytes, name: str) -> traces.Traces:
    """Read a recorded load.

    :raises DocumentError: when it is none
    """
    try:
        return load_document.decode(document)
    except errors.DocumentError as error:
        raise errors.DocumentError(f'{name}: {error}') from error


def load_of(
    recording: traces.Traces | None, parsed_args: argparse.Namespace
) -> engine.LoadOf:
    """Return what makes the load: of a recording, or made up."""
    seed = parsed_args.seed

    def make(instances: columns.Instances) -> loads.Load:
        if recording is None:
            return loads.synthetic(instances, seed)
        return loads.recorded(
            instances,
            recording,
            parsed_args.step,
            seed,
            parsed_args.load_factor,
        )

    return make


def scenario(
    parsed_args: argparse.Namespace,
    limit: float,
    recording: traces.Traces | None,
) -> scenarios.Scenario:
    """Return what is to happen.

    :param recording: it begins with, unless it is told when
    :raises ConfigurationError: when no calendar has the time
    """
    start = parsed_args.start
    if start is None:
        start = 0.0 if recording is None else recording.start
    if start + parsed_args.hours * scenarios.HOUR_SECONDS > _LAST_MOMENT:
        raise errors.ConfigurationError(
            f'it would begin {start:.0f} seconds after 1970, and end in no '
            'year that there is: give --start, and fewer --hours'
        )

    def share(percent: float) -> float:
        return percent / 100.0

    return scenarios.Scenario(
        hours=parsed_args.hours,
        start=start,
        watch_hours=parsed_args.watch_hours,
        step_seconds=parsed_args.step,
        seed=parsed_args.seed,
        limit=limit,
        arrivals_a_day=parsed_args.arrivals,
        departures_a_day=parsed_args.departures,
        failures_a_day=parsed_args.host_failures,
        failing_migrations=share(parsed_args.migration_failures),
        samples=scenarios.Samples(
            lost=share(parsed_args.lost_samples),
            wrong=share(parsed_args.wrong_samples),
            noise=share(parsed_args.noise),
        ),
    )
