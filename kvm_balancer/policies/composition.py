"""Several policies, one after the other, in one plan.

The first has its way; the next goes on where it stopped, and never moves
again what it has moved. Where places have policies of their own, what has to
go anywhere goes before what is only better elsewhere.
"""

import collections.abc

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import plan
from kvm_balancer.planner import assembly
from kvm_balancer.planner import context as contexts
from kvm_balancer.planner import purposes
from kvm_balancer.planner import workspace
from kvm_balancer.policies import assignment
from kvm_balancer.policies import base

_RESERVED = (
    '{} does nothing: at an eagerness of 1 only what is mandatory is done'
)


def propose(
    policies: collections.abc.Sequence[base.Policy],
    fleet: columns.Fleet,
    context: contexts.Context,
) -> plan.Plan:
    """Make one plan of all *policies* for all hosts, in the order given."""
    everywhere = np.ones(len(fleet.hosts), np.bool_)
    whole = assignment.Part('', tuple(policies), everywhere)
    return propose_parts((whole,), fleet, context)


def propose_parts(
    parts: collections.abc.Sequence[assignment.Part],
    fleet: columns.Fleet,
    context: contexts.Context,
) -> plan.Plan:
    """Make one plan of the policies of all *parts*.

    A policy that raises is named in the plan's warnings; what the ones
    before it decided stands, and what it had begun is taken back.
    """
    work = workspace.Workspace(fleet, context)
    found: list[assembly.Findings] = []
    places: dict[str, list[columns.Bools]] = {}
    for part, policy in _turns(parts):
        if context.worth.reserved and not policy.mandatory:
            found.append(assembly.Findings(_RESERVED.format(policy.name)))
            continue
        done = len(work.steps)
        work.look_after(part.hosts)
        work.demand(part.strictness.get(policy.name, 1.0))
        work.profile, work.cause = policy.profile, policy.cause
        try:
            said = policy.search(work)
        except Exception as error:
            work.problems[policy.name] = (
                f'policy {policy.name} is left out: '
                f'{type(error).__name__}: {error}'
            )
            work.rewind(done)
            continue
        found.append(said.of(part.name))
        places.setdefault(policy.name, []).append(part.hosts)
    names = {policy.name: policy for part in parts for policy in part.policies}
    aims = [
        purposes.Aim(name, policy.purpose, tuple(places[name]))
        for name, policy in names.items()
        if name in places
    ]
    return assembly.assemble(','.join(names), work, found, aims)


def _turns(
    parts: collections.abc.Sequence[assignment.Part],
) -> list[tuple[assignment.Part, base.Policy]]:
    """Return the policies in their order, each with its part."""
    turns = [(part, policy) for part in parts for policy in part.policies]
    if len(parts) > 1:
        turns.sort(key=lambda turn: not turn[1].mandatory)
    return turns
