"""What the programs that stay up have in common: start, wait, stop.

The first SIGTERM or SIGINT ends a program in order; the second at once.
"""

import collections.abc
import importlib.metadata
import logging
import os
import pathlib
import signal
import sys
import threading
from typing import Protocol

from oslo_config import cfg
from oslo_log import log

import kvm_balancer
from kvm_balancer import errors
from kvm_balancer.bus import outages
from kvm_balancer.bus import transport
from kvm_balancer.cmd import configuration
from kvm_balancer.cmd import startup
from kvm_balancer.conf import opts

LOG = logging.getLogger(__name__)

_SIGNALS = (signal.SIGTERM, signal.SIGINT)

_QUIETER = (
    'alembic=WARN',
    'futurist=WARN',
    # It warns of each call that it tries again: all of them in an outage.
    'keystoneauth=ERROR',
    'kombu=WARN',
    'oslo_service=WARN',
    # It logs what it also raises, and we say it in one line.
    'stevedore=CRITICAL',
)


class Service(Protocol):
    """What such a program runs."""

    def start(self) -> bool:
        """Begin; False when it was interrupted before it had."""

    def stop(self) -> None:
        """End in order."""

    def interrupt(self) -> None:
        """Make a start that waits give up."""


def main(
    program: str,
    make: collections.abc.Callable[[cfg.ConfigOpts], Service],
) -> int:
    """Run a service until it is told to end.

    :returns: the exit code
    """
    return startup.run(lambda: _serve(program, make))


def _serve(
    program: str,
    make: collections.abc.Callable[[cfg.ConfigOpts], Service],
) -> int:
    heard = _hear()
    conf = cfg.ConfigOpts()
    opts.register_opts(conf)
    log.register_options(conf)
    log.set_defaults(
        default_log_levels=[*log.get_default_log_levels(), *_QUIETER]
    )
    # Its options are looked for in the files as well.
    transport.set_defaults(conf)
    configuration.read(
        conf,
        program,
        sys.argv[1:],
        # The file that the command reads as well, and one of its own.
        [
            *cfg.find_config_files('kvm_balancer', 'kvm-balancer'),
            *cfg.find_config_files(None, program),
        ],
    )
    try:
        log.setup(conf, program)
    except OSError as error:
        raise errors.ConfigurationError(
            f'{error.filename} cannot be opened: {error.strerror}'
        ) from None
    for line in configuration.unknown(conf):
        LOG.warning('%s', line)
    outages.calm()
    service = make(conf)
    LOG.info(
        '%s %s of %s begins',
        program,
        importlib.metadata.version('kvm-balancer'),
        pathlib.Path(kvm_balancer.__file__).parent.parent,
    )
    ending = threading.Event()
    threading.Thread(
        target=_listen,
        args=(heard, service, ending),
        name='signals',
        daemon=True,
    ).start()
    try:
        if service.start():
            ending.wait()
    finally:
        service.stop()
    return 0


def _hear() -> int:
    """Have the signals that end the program written to a pipe.

    Whichever thread one interrupts writes it, those of libraries as well: the
    main thread, in which Python calls handlers, is not woken by it.

    :returns: the descriptor from which they are read, a byte each
    """
    heard, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    for one in _SIGNALS:
        signal.signal(one, lambda *_: None)
    return heard


def _wait(heard: int) -> None:
    """Wait for a signal that ends the program."""
    while ord(os.read(heard, 1)) not in _SIGNALS:
        pass


def _listen(heard: int, service: Service, ending: threading.Event) -> None:
    """End the service at the first signal, the program at the second."""
    _wait(heard)
    ending.set()
    service.interrupt()
    _wait(heard)
    os._exit(startup.EXIT_INTERRUPTED)
