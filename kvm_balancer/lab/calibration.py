"""What this machine can do: found by running the guest, not by looking.

A device ``/dev/kvm`` says little: there are machines that have it and on
which no guest boots. And how much of a core an empty loop takes differs from
machine to machine. So the guest's own program is run for a moment.
"""

import os
import pathlib

from kvm_balancer import errors
from kvm_balancer.lab import bootsector
from kvm_balancer.lab import processes
from kvm_balancer.lab import waiting

_NAME = 'calibration'

# So many turns a tick that they outweigh everything else that QEMU does, and
# so few that they fit on a slow machine that is busy besides.
_TURNS = 1_000_000
_TICKS = 30
_WINDOWS = 3

# With KVM it is up in a moment, or never: there is no use in patience.
_KVM_BOOT_SECONDS = 3.0


def virtualisation(directory: pathlib.Path) -> str:
    """Return the domain type to use: ``kvm`` if a guest boots with it."""
    if not os.access('/dev/kvm', os.R_OK | os.W_OK):
        return 'qemu'
    with _Trial(directory, 'kvm') as trial:
        try:
            trial.wait_for_rounds(1, _KVM_BOOT_SECONDS)
        except errors.LabError:
            return 'qemu'
        return 'kvm'


def turns_per_core(directory: pathlib.Path, kind: str) -> float:
    """Return how many turns of the guest's loop take a core's second.

    :param kind: ``kvm`` or ``qemu``
    :raises LabError: when the guest does not run
    """
    with _Trial(directory, 'kvm' if kind == 'kvm' else 'tcg') as trial:
        trial.wait_for_rounds(5)
        # What else runs on the machine makes a turn dearer, never cheaper.
        return max(trial.turns_per_core() for _ in range(_WINDOWS))


class _Trial:
    """A guest without a host, which tells one round a tick."""

    def __init__(self, directory: pathlib.Path, accelerator: str) -> None:
        self.daemons = processes.Processes(directory)
        self._accelerator = accelerator
        self._folder = directory / _NAME
        self._log = self._folder / f'{accelerator}.log'

    def __enter__(self) -> '_Trial':
        self._folder.mkdir(parents=True, exist_ok=True)
        disk = self._folder / f'{self._accelerator}.raw'
        self._log.unlink(missing_ok=True)
        # One page, and one a tick.
        disk.write_bytes(bootsector.program((1, 50, _TURNS, 0)).ljust(1 << 20))
        self._process = self.daemons.start(
            _NAME,
            [
                'qemu-system-x86_64',
                '-nodefaults',
                '-display',
                'none',
                '-machine',
                f'pc,accel={self._accelerator}',
                '-m',
                '32',
                '-drive',
                f'file={disk},format=raw,if=virtio',
                '-serial',
                f'file:{self._log}',
                # Without a second port the guest would read noise.
                '-serial',
                'null',
            ],
        )
        return self

    def __exit__(self, *exception: object) -> None:
        self.daemons.stop(_NAME)

    def rounds(self) -> int:
        try:
            return bootsector.read(self._log.read_text()).rounds
        except FileNotFoundError:
            return 0

    def wait_for_rounds(
        self, more: int, seconds: float = waiting.PATIENCE_SECONDS
    ) -> None:
        """Wait until it has told *more* rounds than now.

        :raises LabError: when it does not
        """
        wanted = self.rounds() + more
        waiting.until(
            lambda: self.rounds() >= wanted,
            f'QEMU ({self._accelerator}) to run a guest for {wanted} ticks',
            seconds,
            runs=lambda: self.daemons.is_alive(_NAME),
            said=lambda: self.daemons.last_words(_NAME),
        )

    def turns_per_core(self) -> float:
        """Return how many turns took a core's second, over some ticks."""
        ticks, seconds = self.rounds(), self.cpu_seconds()
        self.wait_for_rounds(_TICKS)
        ticks = self.rounds() - ticks
        seconds = self.cpu_seconds() - seconds
        return ticks * _TURNS / max(seconds, 0.01)

    def cpu_seconds(self) -> float:
        stat = pathlib.Path(f'/proc/{self._process.pid}/stat').read_text()
        fields = stat.rpartition(')')[2].split()
        ticks = int(fields[11]) + int(fields[12])
        return ticks / os.sysconf('SC_CLK_TCK')
