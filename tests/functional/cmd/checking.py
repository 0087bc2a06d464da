"""``kvm-balancer migrate --check-only`` between two real hosts."""

import json
import os
import subprocess
import sys

_TIMEOUT_SECONDS = 600
_CLI = (sys.executable, '-m', 'kvm_balancer.cmd.cli')


def check_only(ground, instance, *options):
    """Run it, and return its exit code, standard output and error."""
    ran = subprocess.run(
        [
            *_CLI,
            *('migrate', instance, '--check-only'),
            *('--source', ground.here.uri),
            *('--destination', ground.there.uri),
            *options,
        ],
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_SECONDS,
        env={**os.environ, 'COLUMNS': '120'},
        check=False,
    )
    return ran.returncode, ran.stdout, ran.stderr


def from_within(ground, instance, *options, config_file=None):
    """Run it on the source host; return its exit code and what it found."""
    configured = ('--config-file', str(config_file)) if config_file else ()
    ran = subprocess.run(
        [
            *('nsenter', '-t', str(ground.here.holder), '-m', '-u', '-n'),
            *_CLI,
            *configured,
            *('migrate', instance, '--check-only', '-f', 'json'),
            *('--source', 'qemu:///system'),
            *('--destination', ground.there.uri),
            *options,
        ],
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_SECONDS,
        check=False,
    )
    if ran.stderr:
        raise AssertionError(ran.stderr)
    return ran.returncode, {
        one['check']: one for one in json.loads(ran.stdout)
    }
