"""Looking on while a fleet is balanced, over the bus as operators do."""

import collections.abc
import time

from kvm_balancer import errors
from kvm_balancer.cmd.demo import fleet
from kvm_balancer.cmd.demo import record
from kvm_balancer.cmd.demo import theatre
from kvm_balancer.cmd.demo import verdict

#: Takes the record and the migrations of which there is news.
Show = collections.abc.Callable[[record.Record, list[record.Trip]], None]

_LOOK_SECONDS = 0.25
#: Everything that there is in the store of a demonstration.
_ALL = 1000
#: The first look waits so long until all hosts have told of themselves.
_FIRST_SECONDS = 60.0


def watch(
    stage: theatre.Theatre,
    goals: theatre.Goals,
    seconds: float,
    show: Show = lambda seen, changed: None,
) -> record.Record:
    """Look on until the fleet is balanced, or time is up.

    :raises KVMBalancerError: when not all hosts have sent a sample in time
    """
    _wait_for_hosts(stage)
    names = {row['id']: row['name'] for row in stage.agent.instances()}
    until = time.monotonic() + seconds
    seen = record.Record(time.time(), names)
    while True:
        changed = _look(stage, seen)
        show(seen, changed)
        left = until - time.monotonic()
        if left <= 0.0 or verdict.is_over(seen, goals):
            return seen
        time.sleep(min(_LOOK_SECONDS, left))


def _look(stage: theatre.Theatre, seen: record.Record) -> list[record.Trip]:
    """Ask the agent once; return the migrations of which there is news."""
    agent = stage.agent
    plans = agent.plans(limit=_ALL)
    for plan_id in seen.unseen_plans(plans):
        seen.note_plan(agent.plan(plan_id))
    changed = seen.note_migrations(agent.migrations(limit=_ALL))
    status = agent.status()
    idle = not status['migrations'] and not any(
        one['state'] == 'running' for one in plans
    )
    seen.look(time.time(), agent.hosts(), status['policies'], idle)
    return changed


def _wait_for_hosts(stage: theatre.Theatre) -> None:
    """Wait until every host has sent a sample with its usage in it."""
    until = time.monotonic() + _FIRST_SECONDS
    while time.monotonic() < until:
        hosts = stage.agent.hosts()
        if len(hosts) == fleet.HOSTS and all(
            row['cpu_load'] > 0.0 and row['instances'] for row in hosts
        ):
            return
        time.sleep(_LOOK_SECONDS)
    raise errors.KVMBalancerError(
        f'only {len(stage.agent.hosts())} of {fleet.HOSTS} hosts have sent '
        'a sample: see demo.log'
    )
