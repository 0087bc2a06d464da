"""The daemons that a laboratory starts, and how they are found again.

Owns starting a daemon, recording it, asking whether it is alive and ending
it. Knows nothing of what the daemons are.

A process belongs to a directory when it was started with that directory in
the environment variable :data:`MARK`, or lives in a mount namespace in which
:func:`mount_source` of that directory is mounted (QEMU gets a clean
environment from libvirt, but stays in the host's namespace). Both are facts
of the running process, so that a process is found even when its starter died
before it could write the number down, and a number that the system has given
to somebody else is never taken for ours.
"""

import collections.abc
import contextlib
import os
import pathlib
import re
import select
import signal
import time

import msgspec

from kvm_balancer import errors

#: Names the directory in the environment of everything that is started.
MARK = 'KVM_BALANCER_LAB'

_PROC = pathlib.Path('/proc')

#: Nobody outlives SIGKILL; but on a busy machine it takes its time.
_DYING_SECONDS = 60.0


class Process(msgspec.Struct, frozen=True):
    """One daemon: its number, and the clock tick in which it began."""

    name: str
    pid: int
    started_ticks: int


def mount_source(directory: pathlib.Path) -> str:
    """Return the source under which a host's ``/run`` is mounted."""
    return f'kvm-balancer-lab:{directory}'


def started_ticks(pid: int) -> int | None:
    """Return when process *pid* began, or None when it runs no more.

    One that dies runs until the last of its threads has ended; the first of
    a large QEMU is a zombie before the others have let go of its memory.
    """
    try:
        text = (_PROC / str(pid) / 'stat').read_text()
        state, *fields = text.rpartition(')')[2].split()
        if state in 'ZX' and len(_threads(pid)) < 2:
            return None
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(fields[18])


def _threads(pid: int) -> list[pathlib.Path]:
    return list((_PROC / str(pid) / 'task').iterdir())


def last_line(path: pathlib.Path) -> str:
    """Return the last line of a file that has any words; '' without one."""
    with contextlib.suppress(OSError):
        lines = path.read_text(errors='replace').split('\n')
        told = [line.strip() for line in lines if line.strip()]
        return told[-1] if told else ''
    return ''


def is_alive(process: Process | None) -> bool:
    """Say whether exactly this process still runs."""
    return (
        process is not None
        and started_ticks(process.pid) == process.started_ticks
    )


class Processes:
    """The daemons of one directory.

    :param directory: absolute; each daemon has its record in ``run/`` and
        its output in ``log/`` below it
    """

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self._records = directory / 'run'
        self._logs = directory / 'log'
        self._children: set[int] = set()

    def start(
        self,
        name: str,
        argv: collections.abc.Sequence[str],
        environment: collections.abc.Mapping[str, str] | None = None,
        stdout: int | None = None,
    ) -> Process:
        """Start a daemon in a session of its own, and record it.

        :param argv: the program by its path or name, and its arguments
        :param environment: what to add to this process's environment
        :param stdout: a descriptor for its output instead of the log
        :raises LabError: when the program does not exist
        """
        self._records.mkdir(parents=True, exist_ok=True)
        self._logs.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, str(self.log(name)), flags, 0o644),
            (os.POSIX_SPAWN_DUP2, 2 if stdout is None else stdout, 1),
        ]
        marked = {
            **os.environ,
            **(environment or {}),
            MARK: str(self.directory),
        }
        try:
            pid = os.posix_spawnp(
                argv[0],
                list(argv),
                marked,
                file_actions=actions,
                setsid=True,
                setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGPIPE],
            )
        except FileNotFoundError:
            raise errors.LabError(f'{argv[0]} is not installed') from None
        self._children.add(pid)
        process = Process(name, pid, started_ticks(pid) or 0)
        record = self._records / f'{name}.json'
        record.write_bytes(msgspec.json.encode(process))
        return process

    def log(self, name: str) -> pathlib.Path:
        """Return where the output of daemon *name* goes."""
        return self._logs / f'{name}.log'

    def last_words(self, name: str) -> str:
        """Return the last line that daemon *name* wrote."""
        return last_line(self.log(name))

    def find(self, name: str) -> Process | None:
        """Return what is recorded of daemon *name*, alive or not."""
        try:
            data = (self._records / f'{name}.json').read_bytes()
            return msgspec.json.decode(data, type=Process)
        except (OSError, msgspec.DecodeError):
            return None

    def is_alive(self, name: str) -> bool:
        """Say whether daemon *name* runs."""
        self._reap()
        return is_alive(self.find(name))

    def signal(self, name: str, number: int) -> None:
        """Send a signal to daemon *name*, if it runs.

        After SIGKILL it is gone when this returns.
        """
        process = self.find(name)
        if process is not None:
            killed = number == signal.SIGKILL
            _end(
                [process.pid],
                lambda pid: is_alive(process),
                number,
                _DYING_SECONDS if killed else 0.0,
            )

    def stop(self, name: str, wait_seconds: float = 10.0) -> None:
        """End daemon *name*: ask, wait, and then insist."""
        process = self.find(name)
        if process is not None:
            _end(
                [process.pid],
                lambda pid: is_alive(process),
                signal.SIGTERM,
                wait_seconds,
            )
        (self._records / f'{name}.json').unlink(missing_ok=True)
        self._reap()

    def sweep(self, wait_seconds: float = 10.0) -> None:
        """End every process that belongs to the directory or one below it.

        :raises LabError: when one does not even die of SIGKILL
        """
        for _ in range(5):
            # Whoever forks and ends between being listed and being looked at
            # hides its child from one look, and not from the next.
            found = belonging(self.directory) or belonging(self.directory)
            if not found:
                self._reap()
                return
            _end(
                found,
                lambda pid: _belongs(pid, str(self.directory)),
                signal.SIGTERM,
                wait_seconds,
            )
        raise errors.LabError(
            f'processes {found} of {self.directory} cannot be ended'
        )

    def _reap(self) -> None:
        """Let go of those that were started here and have ended."""
        for pid in list(self._children):
            with contextlib.suppress(ChildProcessError):
                if os.waitpid(pid, os.WNOHANG) == (0, 0):
                    continue
            self._children.discard(pid)


def stop_all(
    wanted: collections.abc.Iterable[Process | None], wait_seconds: float
) -> None:
    """End several daemons at once: ask, wait, and then insist."""
    alive = {one.pid: one for one in wanted if one and is_alive(one)}
    _end(
        list(alive),
        lambda pid: is_alive(alive[pid]),
        signal.SIGTERM,
        wait_seconds,
    )


def _end(
    pids: collections.abc.Sequence[int],
    is_ours: collections.abc.Callable[[int], bool],
    number: int,
    wait_seconds: float,
) -> None:
    """Send a signal, wait until they are gone, and SIGKILL the others.

    A process is held by a descriptor before it is looked at, so that the
    one which gets the signal is the one that was looked at.

    :param wait_seconds: how long all together may take; 0: do not wait
    """
    with contextlib.ExitStack() as stack:
        handles = []
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                handle = os.pidfd_open(pid)
                stack.callback(os.close, handle)
                if is_ours(pid):
                    signal.pidfd_send_signal(handle, number)
                    handles.append(handle)
        if not wait_seconds:
            return
        for handle in _wait(handles, wait_seconds):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        _wait(handles, _DYING_SECONDS)


def _wait(handles: collections.abc.Sequence[int], seconds: float) -> list[int]:
    """Wait until the processes have ended; return those that have not."""
    left = list(handles)
    until = time.monotonic() + seconds
    while left and time.monotonic() < until:
        timeout = max(0.0, until - time.monotonic())
        ended = select.select(left, [], [], timeout)[0]
        left = [handle for handle in left if handle not in ended]
    return left


def belonging(directory: pathlib.Path) -> list[int]:
    """Return the processes of *directory* and of those below it."""
    mine = os.getpid()
    return [
        pid
        for path in _PROC.iterdir()
        if path.name.isdigit()
        and (pid := int(path.name)) != mine
        and started_ticks(pid) is not None
        and _belongs(pid, str(directory))
    ]


def _belongs(pid: int, directory: str) -> bool:
    with contextlib.suppress(OSError):
        for thread in _threads(pid):
            # One that has ended can say nothing of its process.
            with contextlib.suppress(OSError):
                return _is_of(thread, directory)
    return False


def _is_of(thread: pathlib.Path, directory: str) -> bool:
    variables = (thread / 'environ').read_bytes().split(b'\0')
    for variable in variables:
        name, _, value = variable.partition(b'=')
        if name == MARK.encode():
            return _within(os.fsdecode(value), directory)
    source = mount_source(pathlib.Path(directory))
    for line in (thread / 'mountinfo').read_bytes().splitlines():
        words = line.partition(b' - ')[2].split()
        if len(words) > 1 and _within(_unescaped(words[1]), source):
            return True
    return False


def _unescaped(word: bytes) -> str:
    r"""Return a word of ``mountinfo``, where a blank is ``\040``."""
    return os.fsdecode(
        re.sub(rb'\\(\d{3})', lambda octal: bytes([int(octal[1], 8)]), word)
    )


def _within(path: str, directory: str) -> bool:
    return path == directory or path.startswith(f'{directory}/')


def runs_with(pid: int, beginning: str) -> bool:
    """Say whether a process has an argument that begins like this."""
    with contextlib.suppress(OSError):
        words = (_PROC / str(pid) / 'cmdline').read_bytes().split(b'\0')
        return any(word.startswith(beginning.encode()) for word in words)
    return False


def kill(pid: int) -> None:
    """End a process at once, as faults do; it is gone on return."""
    _end([pid], lambda one: True, signal.SIGKILL, _DYING_SECONDS)


def kill_all(directory: pathlib.Path) -> None:
    """End every process of *directory* at once, as a loss of power does."""
    found = belonging(directory)
    _end(
        found,
        lambda pid: _belongs(pid, str(directory)),
        signal.SIGKILL,
        _DYING_SECONDS,
    )
