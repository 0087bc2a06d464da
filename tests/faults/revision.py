"""Which code it is that runs."""

import pathlib
import subprocess

#: What is said of code that is in no commit.
CHANGED = '+'
_ROOT = pathlib.Path(__file__).parents[2]


def commit():
    """Return the commit, and :data:`CHANGED` behind it, where it is not all.

    :returns: empty where there is no repository
    """
    return _git('describe', '--always', '--abbrev=12', f'--dirty={CHANGED}',
                '--exclude=*')  # fmt: skip


def _git(*words):
    asked = subprocess.run(
        ['git', '-C', str(_ROOT), *words],
        capture_output=True,
        text=True,
        check=False,
    )
    return asked.stdout.strip() if asked.returncode == 0 else ''
