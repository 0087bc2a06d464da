"""``kvm-balancer migrate --check-only`` between two real hosts."""

import os
import subprocess
import sys

_TIMEOUT_SECONDS = 600


def check_only(ground, instance, *options):
    """Run it, and return its exit code, standard output and error."""
    ran = subprocess.run(
        [
            *(sys.executable, '-m', 'kvm_balancer.cmd.cli'),
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
