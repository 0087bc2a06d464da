"""The clock and the message broker."""

import pathlib
import signal
import time

from kvm_balancer import errors
from kvm_balancer.lab import prerequisites
from kvm_balancer.lab import programs
from kvm_balancer.lab.faults import contract
from kvm_balancer.lab.faults import daemons

#: A program that shows the time may take so long to start.
_NEAR_SECONDS = 60.0


class ClockShifted(contract.Fault):
    """The clock of the source's executor is set, to and fro."""

    name = 'clock-shifted'
    title = "The clock of the source's executor is set by hours"
    hold_seconds = (1.0, 4.0)

    def prepare(self, scene: contract.Scene) -> None:
        """Let the executor run by a clock of its own, still right."""
        self._set(scene, 0)
        scene.source.processes.stop('executor')
        daemons.programs(scene).start_executor(
            scene.source, self._environment(scene)
        )

    def begin(self, scene: contract.Scene) -> None:
        wanted = scene.chance.choice((-7200, -600, 600, 7200))
        self._set(scene, wanted)
        off = self._shown(scene) - time.time()
        if abs(off - wanted) > _NEAR_SECONDS:
            raise errors.LabError(f'the clock is off by {off:.0f} s only')

    def heal(self, scene: contract.Scene) -> None:
        self._set(scene, 0)

    def clear(self, scene: contract.Scene) -> None:
        scene.source.processes.stop('executor')
        daemons.programs(scene).start_executor(scene.source)

    def _shown(self, scene: contract.Scene) -> float:
        """Return what a program shows that has the executor's clock."""
        variables = [f'{k}={v}' for k, v in self._environment(scene).items()]
        return float(programs.run(['env', *variables, 'date', '+%s']))

    def _environment(self, scene: contract.Scene) -> dict[str, str]:
        library = prerequisites.faketime()
        if library is None:
            raise errors.LabError('libfaketime is not installed')
        return {
            'LD_PRELOAD': str(library),
            'FAKETIME_TIMESTAMP_FILE': str(self._file(scene)),
            'FAKETIME_NO_CACHE': '1',
            'FAKETIME_DONT_FAKE_MONOTONIC': '1',
        }

    @staticmethod
    def _file(scene: contract.Scene) -> pathlib.Path:
        return scene.source.directory / 'clock'

    def _set(self, scene: contract.Scene, seconds: int) -> None:
        fresh = self._file(scene).with_suffix('.new')
        fresh.write_text(f'{seconds:+d}s\n')
        fresh.replace(self._file(scene))


class BrokerGone(contract.Fault):
    """The broker is gone until the migration is over."""

    name = 'broker-gone'
    title = 'The message broker is gone until the migration is over'
    until_over = True
    at_once = True

    def begin(self, scene: contract.Scene) -> None:
        bus = daemons.programs(scene).bus
        bus.kill(signal.SIGKILL)
        contract.see(lambda: not bus.answers(), 'the broker to be silent')

    def heal(self, scene: contract.Scene) -> None:
        daemons.programs(scene).bus.start()
