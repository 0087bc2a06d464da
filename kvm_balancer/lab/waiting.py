"""Waiting for another process, and saying so when it was in vain.

Owns the one loop that looks again and again, how long it is patient, and the
line that tells what did not come. What is looked at it does not know.
"""

import collections.abc
import time

from kvm_balancer import errors

#: Many times what anything here takes, also on a slow machine that does
#: much else: whoever waits longer waits in vain. A process that has ended is
#: not waited for.
PATIENCE_SECONDS = 180.0

#: Between two looks.
_PAUSE_SECONDS = 0.05


def until(
    holds: collections.abc.Callable[[], bool],
    what: str,
    seconds: float = PATIENCE_SECONDS,
    *,
    runs: collections.abc.Callable[[], bool] = lambda: True,
    said: collections.abc.Callable[[], str] = lambda: '',
) -> None:
    """Look until something holds, once more after the time is over.

    :param holds: looks; a LabError is a no, with its reason
    :param what: that is waited for, as in "waited 5 s in vain for ..."
    :param runs: says whether the process that it depends on still runs
    :param said: returns the last that this process said
    :raises LabError: when it does not come in time, or the process ends
    """
    began = time.monotonic()
    while True:
        # Read before the look: whoever was held up may look once more.
        waited = time.monotonic() - began
        gone = not runs()
        told = ''
        try:
            if holds():
                return
        except errors.LabError as error:
            told = str(error)
        if gone or waited >= seconds:
            ended = ', whose process has ended' if gone else ''
            told = said() or told
            raise errors.LabError(
                f'waited {waited:.0f} s in vain for {what}{ended}'
                f'{told and f": {told}"}'
            )
        time.sleep(_PAUSE_SECONDS)
