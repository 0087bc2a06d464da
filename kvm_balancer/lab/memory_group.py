"""A control group that gives the processes in it little memory.

Owns the files of the kernel's control groups, of both versions. Whoever is
in a group when it goes is in the one above it again.
"""

import contextlib
import pathlib
import subprocess

from kvm_balancer import errors

_FIRST = pathlib.Path('/sys/fs/cgroup/memory')
_SECOND = pathlib.Path('/sys/fs/cgroup')

_PROCESSES = 'cgroup.procs'

#: The memory of a small group is used up long before.
_PATIENCE_SECONDS = 30.0


def is_first_version() -> bool:
    """Say whether the machine limits memory by the first version."""
    return (_FIRST / 'memory.limit_in_bytes').exists() or any(
        _FIRST.glob('*/memory.limit_in_bytes')
    )


def is_possible() -> bool:
    """Say whether memory can be limited on this machine."""
    if is_first_version():
        return True
    controllers = _SECOND / 'cgroup.controllers'
    return controllers.exists() and 'memory' in controllers.read_text().split()


class MemoryGroup:
    """One group, there or not.

    :param name: of it
    """

    def __init__(self, name: str) -> None:
        self._first = is_first_version()
        self._above = _FIRST if self._first else _SECOND
        self._path = self._above / name

    def make(self) -> None:
        """Make it, without a limit.

        :raises LabError: when the kernel refuses
        """
        try:
            if not self._first:
                # What is below may have limits only where this says so.
                (self._above / 'cgroup.subtree_control').write_text('+memory')
            self._path.mkdir()
        except OSError as error:
            raise errors.LabError(f'memory group: {error}') from None

    def take(self, pid: int) -> None:
        """Put a process into it, unless it has ended."""
        with contextlib.suppress(ProcessLookupError):
            (self._path / _PROCESSES).write_text(str(pid))

    def limit(self, size: int) -> None:
        """Let all in it have no more than *size* bytes from now on."""
        name = 'memory.limit_in_bytes' if self._first else 'memory.max'
        (self._path / name).write_text(str(size))

    def want_more(self) -> None:
        """Have a process in it want more memory than there is.

        The kernel ends whoever has most, until there is enough; this one
        never has.
        """
        procs = self._path / _PROCESSES
        subprocess.run(
            ['sh', '-c', f'echo $$ > {procs}; exec tail /dev/zero'],
            check=False,
            capture_output=True,
            timeout=_PATIENCE_SECONDS,
        )

    def kills(self) -> int:
        """Return how many of it the kernel has ended to free memory."""
        name = 'memory.oom_control' if self._first else 'memory.events'
        told = (self._path / name).read_text().split()
        events = dict(zip(told[::2], map(int, told[1::2]), strict=True))
        return events['oom_kill']

    def members(self) -> list[int]:
        """Return the processes in it; none when it is not there."""
        with contextlib.suppress(FileNotFoundError):
            told = (self._path / _PROCESSES).read_text()
            return [int(line) for line in told.split()]
        return []

    def remove(self) -> None:
        """Put everyone back, and remove it, if it is there."""
        for pid in self.members():
            with contextlib.suppress(OSError):
                (self._above / _PROCESSES).write_text(str(pid))
        with contextlib.suppress(FileNotFoundError):
            self._path.rmdir()
