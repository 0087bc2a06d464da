"""How every program of the project starts, and how it ends.

It owns what has to happen before any library is loaded, and the one place
where an error becomes a line on standard error and an exit code. It knows
nothing of what the programs do.

Importing :mod:`kvm_balancer.cmd` calls :func:`prepare`; a console script
ends in ``return startup.run(...)``.
"""

from collections.abc import Callable
import os
import pathlib
import sys
import types
from typing import cast
import warnings

from oslo_config import cfg
from oslo_service import backend

from kvm_balancer import errors

EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it


def prepare() -> None:
    """Choose threads instead of eventlet, and keep libraries quiet.

    oslo.service and futurist import eventlet where it is installed: 10 MiB
    of every process, and nothing here ever uses it. So it is not there for
    them. Who asks for warnings, by ``-W`` or ``PYTHONWARNINGS``, gets all of
    them.
    """
    # Python's own way to say that a module cannot be imported.
    sys.modules.setdefault('eventlet', cast(types.ModuleType, None))
    backend.register_backend_default_hook(
        lambda: backend.BackendType.THREADING
    )
    if sys.warnoptions:
        return
    for category in (DeprecationWarning, PendingDeprecationWarning):
        warnings.simplefilter('ignore', category)


def run(program: Callable[[], int | None]) -> int:
    """Run *program* and turn an expected error into one line.

    An error that nobody raised on purpose passes through: its traceback is
    what a bug report needs.

    :param program: does everything, reading the configuration included, and
        returns its exit code; ``None`` stands for success
    :returns: the exit code: that of the program, 1 where it failed, 2 where
        its command line or configuration is wrong, 130 where it was
        interrupted
    """
    try:
        return program() or 0
    except (errors.ConfigurationError, cfg.Error) as error:
        return _complain(error, EXIT_USAGE)
    except errors.KVMBalancerError as error:
        return _complain(error, EXIT_FAILURE)
    except KeyboardInterrupt:
        return _complain('interrupted', EXIT_INTERRUPTED)
    except BrokenPipeError:
        # Who read the output, as head does, has seen enough. What is left of
        # it goes nowhere, or the interpreter complains when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILURE


def _complain(error: object, code: int) -> int:
    name = pathlib.Path(sys.argv[0]).name
    text = ' '.join(str(error).split())
    print(f'{name}: {text}', file=sys.stderr)
    return code
