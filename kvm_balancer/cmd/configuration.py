"""Where the configuration of a program comes from."""

import collections.abc
import importlib.metadata

from oslo_config import cfg

from kvm_balancer import errors
from kvm_balancer.conf import opts

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
    """
    conf = cfg.ConfigOpts()
    opts.register_opts(conf)
    arguments = [f'--config-file={name}' for name in files or ()]
    arguments += [f'--config-dir={name}' for name in directories or ()]
    try:
        conf(
            arguments,
            project=_PROJECT,
            prog=program,
            version=importlib.metadata.version('kvm-balancer'),
        )
    except OSError as error:
        raise errors.ConfigurationError(
            f'{error.filename} cannot be read: {error.strerror}'
        ) from None
    return conf
