"""Letting go of a broker that may not answer any more, within a time."""

import collections.abc
import logging
import threading

LOG = logging.getLogger(__name__)


def within(
    timeout_seconds: float,
    what: str,
    *steps: collections.abc.Callable[[], object],
) -> None:
    """Carry out *steps* one after the other, and do not wait for ever.

    oslo.messaging ends some of its threads only when the broker answers; a
    program that ends does not have to wait for that, its threads are
    daemons.
    """

    def run() -> None:
        for step in steps:
            try:
                step()
            except Exception as error:
                LOG.debug('%s did not end cleanly: %s', what, error)

    thread = threading.Thread(target=run, name=f'end {what}', daemon=True)
    thread.start()
    thread.join(timeout_seconds)
    if thread.is_alive():
        LOG.warning(
            '%s did not end within %g s: the message broker does not answer',
            what,
            timeout_seconds,
        )
