"""What each rule of damping is worth: a week, one rule changed at a time.

Run ``python -m benchmarks.damping [--seed N] [--step SECONDS]``; the load, the
fleet and the agent are those of :mod:`benchmarks.simulation`. It takes a
minute or so for each row.
"""

import argparse
import collections.abc

from benchmarks import simulation
from kvm_balancer.model import observation
from kvm_balancer.planner import cooldown
from kvm_balancer.policies import decision
from kvm_balancer.policies import relieve
from kvm_balancer.policies import spread
from kvm_balancer.simulation import mind
from kvm_balancer.simulation import scenario as scenarios


def _watches(
    relieve_seconds: float, spread_seconds: float = 600.0
) -> dict[str, object]:
    """Have policies hold for so long before they act."""
    return {
        'watches': (
            decision.Watch(relieve.Relieve(), relieve_seconds),
            decision.Watch(spread.Spread(), spread_seconds),
        )
    }


def _lasting(seconds: float) -> dict[str, object]:
    """Believe at once what all readings of so long show; 0 for nothing."""
    return {'ingest': observation.Params(lasting_seconds=seconds)}


_NO_COOLDOWNS: dict[str, object] = {'cooldowns': cooldown.Params(0.0, 0.0)}

RULES: dict[str, collections.abc.Callable[[], mind.Agent]] = {
    'as installed': simulation.agent,
    'the average alone': lambda: simulation.agent(**_lasting(0.0)),
    'lasting: 120 s': lambda: simulation.agent(**_lasting(120.0)),
    'relieve holds 60 s': lambda: simulation.agent(**_watches(60.0)),
    'relieve holds 30 s': lambda: simulation.agent(**_watches(30.0)),
    'relieve does not hold': lambda: simulation.agent(**_watches(0.0)),
    'no cooldowns': lambda: simulation.agent(**_NO_COOLDOWNS),
    'no damping, the average alone': simulation.undamped,
    'no damping, lasting load counts': lambda: simulation.agent(
        **_watches(0.0, 0.0), **_NO_COOLDOWNS
    ),
}


def main(argv: collections.abc.Sequence[str] | None = None) -> None:
    """Live through the week with each of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--step', type=float, default=30.0)
    chosen = parser.parse_args(argv)
    scenario = scenarios.Scenario(
        hours=24.0 * simulation.FULL.days,
        step_seconds=chosen.step,
        limit=simulation.LIMIT,
    )
    print(f'{"":34}{"hours over":>10}{"moves":>8}{"twice in 2 h":>14}')
    for name, make in RULES.items():
        found = simulation.lived(
            simulation.FULL, make(), chosen.seed, scenario
        )
        print(
            f'{name:34}{found.over_hours:10.2f}{found.moves:8,}'
            f'{found.moved_twice:14}',
            flush=True,
        )


if __name__ == '__main__':
    main()
