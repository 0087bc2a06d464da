"""Run a program to its end, and say in one line why it failed."""

import collections.abc
import subprocess

from kvm_balancer import errors
from kvm_balancer.lab import waiting


def run(
    argv: collections.abc.Sequence[str],
    timeout_seconds: float = waiting.PATIENCE_SECONDS,
) -> str:
    """Run a program and return what it wrote.

    :raises LabError: when it is missing, fails or takes too long
    """
    shown = ' '.join(argv)
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )
    except FileNotFoundError:
        raise errors.LabError(f'{argv[0]} is not installed') from None
    except subprocess.TimeoutExpired:
        raise errors.LabError(
            f'"{shown}" took longer than {timeout_seconds:g} seconds'
        ) from None
    if done.returncode:
        told = (done.stderr or done.stdout).strip().splitlines()
        reason = told[-1] if told else f'exit code {done.returncode}'
        raise errors.LabError(f'"{shown}" failed: {reason}')
    return done.stdout
