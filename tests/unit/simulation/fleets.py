"""Fleets, agents and loads of simulations, small and quick."""

import dataclasses

import numpy as np

from kvm_balancer.policies import decision
from kvm_balancer.policies import relieve
from kvm_balancer.policies import spread
from kvm_balancer.simulation import mind
from tests.fixtures import fleets
from tests.unit.planner import plans


def agent(*policies, hold_seconds=120.0, **fields):
    """Make an agent: relieve and spread unless others are named."""
    chosen = policies or (relieve.Relieve(), spread.Spread())
    return mind.Agent(
        watches=tuple(decision.Watch(one, hold_seconds) for one in chosen),
        template=plans.full_context(),
        **fields,
    )


def idle_agent():
    return dataclasses.replace(agent(), watches=())


def even(hosts=10, each=5, cpu=1.0, vcpus=4):
    """Make a fleet in which all hosts and instances are alike."""
    return fleets.build(
        [fleets.host(f'h{row}') for row in range(hosts)],
        [
            fleets.instance(
                f'i{row}-{number}', f'h{row}', cpu=cpu, vcpus=vcpus
            )
            for row in range(hosts)
            for number in range(each)
        ],
    )


def skewed(hosts=10, hot=2, each=5):
    """Make a fleet of which the first hosts are far over the limit."""
    return fleets.build(
        [fleets.host(f'h{row}') for row in range(hosts)],
        [
            fleets.instance(
                f'i{row}-{number}', f'h{row}', cpu=1.9 if row < hot else 0.5
            )
            for row in range(hosts)
            for number in range(each)
        ],
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Steady:
    """A load that never changes."""

    usage: np.ndarray

    def cpu_usage(self, seconds):
        return self.usage

    def memory(self, seconds):
        return None


def steady(instances):
    return Steady(instances.cpu_usage)
