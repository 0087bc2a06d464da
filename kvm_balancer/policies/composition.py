"""Several policies, one after the other, in one plan.

The first has its way; the next goes on where it stopped, and never moves
again what it has moved.
"""

import collections.abc

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import plan
from kvm_balancer.planner import assembly
from kvm_balancer.planner import context as contexts
from kvm_balancer.planner import workspace
from kvm_balancer.policies import base


def propose(
    policies: collections.abc.Sequence[base.Policy],
    fleet: columns.Fleet,
    context: contexts.Context,
) -> plan.Plan:
    """Make one plan of all *policies*, in the order given.

    A policy that raises is named in the plan's warnings; what the ones
    before it decided stands, and what it had begun is taken back.
    """
    work = workspace.Workspace(fleet, context)
    found: list[assembly.Findings] = []
    for policy in policies:
        done = len(work.steps)
        work.profile = policy.profile
        try:
            found.append(policy.search(work))
        except Exception as error:
            work.problems[policy.name] = (
                f'policy {policy.name} is left out: '
                f'{type(error).__name__}: {error}'
            )
            work.rewind(done)
    name = ','.join(policy.name for policy in policies)
    return assembly.assemble(name, work, found)
