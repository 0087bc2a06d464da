"""One lock for each instance: whoever does something to it holds it."""

import collections
import collections.abc
import contextlib
import threading

_GUARD = threading.Lock()
_LOCKS: dict[str, threading.Lock] = {}
#: how many hold or want each
_USERS: collections.Counter[str] = collections.Counter()


@contextlib.contextmanager
def holding(instance: str) -> collections.abc.Iterator[None]:
    """Hold the lock of an instance, a uuid."""
    with _GUARD:
        lock = _LOCKS.setdefault(instance, threading.Lock())
        _USERS[instance] += 1
    try:
        with lock:
            yield
    finally:
        with _GUARD:
            _USERS[instance] -= 1
            if not _USERS[instance]:
                del _USERS[instance], _LOCKS[instance]
