"""Waits until another process has made a file: the kernel tells at once."""

import contextlib
import ctypes
import os
import pathlib
import select
import time

_LIBC = ctypes.CDLL(None, use_errno=True)
_CREATED, _MOVED_TO = 0x100, 0x80


def wait(path: pathlib.Path, pid: int, seconds: float) -> bool:
    """Wait until a file is there; False when the process ends, or the time.

    :param path: of which any part may still be missing
    :param pid: the process that is to make it, a child of this one
    """
    until = time.monotonic() + seconds
    with contextlib.ExitStack() as stack:
        end = os.pidfd_open(pid)
        stack.callback(os.close, end)
        while not path.exists():
            left = until - time.monotonic()
            if left <= 0 or not _changes(path, end, left):
                return path.exists()
    return True


def _changes(path: pathlib.Path, end: int, seconds: float) -> bool:
    """Wait for the next part of a path; False when the process ends."""
    there = next(one for one in path.parents if one.exists())
    missing = there / path.relative_to(there).parts[0]
    bell = _LIBC.inotify_init1(os.O_CLOEXEC)
    try:
        _LIBC.inotify_add_watch(bell, os.fsencode(there), _CREATED | _MOVED_TO)
        # What came before the bell was hung up is not told.
        if missing.exists():
            return True
        return end not in select.select([bell, end], [], [], seconds)[0]
    finally:
        os.close(bell)
