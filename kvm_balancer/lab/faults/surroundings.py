"""The clock and the message broker."""

import pathlib
import signal

from kvm_balancer.lab.faults import contract
from kvm_balancer.lab.faults import daemons

_LIBRARY = pathlib.Path(
    '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1'
)


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
            scene.source,
            {
                'LD_PRELOAD': str(_LIBRARY),
                'FAKETIME_TIMESTAMP_FILE': str(self._file(scene)),
                'FAKETIME_NO_CACHE': '1',
                'FAKETIME_DONT_FAKE_MONOTONIC': '1',
            },
        )

    def begin(self, scene: contract.Scene) -> None:
        self._set(scene, scene.chance.choice((-7200, -600, 600, 7200)))

    def heal(self, scene: contract.Scene) -> None:
        self._set(scene, 0)

    def clear(self, scene: contract.Scene) -> None:
        scene.source.processes.stop('executor')
        daemons.programs(scene).start_executor(scene.source)

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
    title = 'The message broker is gone for the rest of the migration'
    until_over = True

    def begin(self, scene: contract.Scene) -> None:
        daemons.programs(scene).bus.kill(signal.SIGKILL)

    def heal(self, scene: contract.Scene) -> None:
        daemons.programs(scene).bus.start()
