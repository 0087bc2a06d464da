"""Where the configuration of a program comes from."""

import collections.abc
import contextlib
import importlib.metadata
import io
import sys

from oslo_config import cfg

from kvm_balancer import errors
from kvm_balancer.cmd import written
from kvm_balancer.conf import migration
from kvm_balancer.conf import migration_scopes
from kvm_balancer.conf import opts
from kvm_balancer.conf import relieve
from kvm_balancer.conf import relieve_scopes

_PROJECT = 'kvm_balancer'


def load(
    program: str,
    files: collections.abc.Sequence[str] | None = None,
    directories: collections.abc.Sequence[str] | None = None,
) -> cfg.ConfigOpts:
    """Read the configuration of *program*; nothing of it is global.

    :param files: instead of ``kvm_balancer.conf`` and *program*'s own
        ``.conf`` in the usual places (``/etc/kvm_balancer``)
    :param directories: read after the files
    :raises cfg.Error: when a file is missing or cannot be read
    :raises ConfigurationError: when a value does not fit its option
    """
    conf = cfg.ConfigOpts()
    opts.register_opts(conf)
    arguments = [f'--config-file={name}' for name in files or ()]
    arguments += [f'--config-dir={name}' for name in directories or ()]
    read(conf, program, arguments)
    return conf


def read(
    conf: cfg.ConfigOpts,
    program: str,
    arguments: collections.abc.Sequence[str],
    default_files: list[str] | None = None,
) -> None:
    """Read files and command line into *conf*, whose options are registered.

    :param default_files: instead of those that oslo.config looks for
    :raises cfg.Error: when a file is missing or cannot be read
    :raises ConfigurationError: when the command line is wrong, or a value
        does not fit its option
    :raises SystemExit: when ``--help`` or ``--version`` was answered
    """
    told = io.StringIO()
    try:
        # The parser fills a screen with its usage before it says what is
        # wrong.
        with contextlib.redirect_stderr(told):
            conf(
                list(arguments),
                project=_PROJECT,
                prog=program,
                version=importlib.metadata.version('kvm-balancer'),
                default_config_files=default_files,
            )
    except OSError as error:
        raise errors.ConfigurationError(
            f'{error.filename} cannot be read: {error.strerror}'
        ) from None
    except SystemExit as left:
        if not left.code:
            raise
        reason = told.getvalue().rpartition(' error: ')[2].strip()
        raise errors.ConfigurationError(
            f"{reason}; see '{program} --help'"
        ) from None
    sys.stderr.write(told.getvalue())
    opts.register_found(conf)
    # What a place was to have would hold nowhere.
    for groups, wider in (
        (migration_scopes.groups(conf), migration.GROUP),
        (relieve_scopes.groups(conf), relieve.GROUP),
    ):
        written.check_keys(conf, groups, wider)
    written.check_values(conf)


def unknown(conf: cfg.ConfigOpts) -> list[str]:
    """Return a line for every key of the files that nothing reads."""
    return written.unknown(conf, [*opts.groups(), *opts.register_found(conf)])
