"""Options of the agent's database; oslo.db owns them, we own the defaults."""

from typing import Any

from oslo_config import cfg
from oslo_db import options

GROUP = 'database'

#: A directory that the agent's unit file makes for its user.
DEFAULT_CONNECTION = 'sqlite:////var/lib/kvm-balancer/agent.sqlite'

#: A database that is away is said so within seconds, not minutes; services
#: are started again by whoever runs them.
_DEFAULT_RETRIES = 3
_DEFAULT_RETRY_SECONDS = 1

#: oslo.db registers them, and describes them in the sample file.
OPTS: tuple[cfg.Opt, ...] = ()


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register oslo.db's options on *conf*, with our defaults."""
    conf.register_opts(options.database_opts, group=GROUP)
    for name, value in _defaults().items():
        conf.set_default(name, value, group=GROUP)


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return nothing: the generator reads the namespace ``oslo.db``."""
    return []


def set_defaults() -> None:
    """Show our defaults in what the generator writes for ``oslo.db``."""
    cfg.set_defaults(options.database_opts, **_defaults())


def _defaults() -> dict[str, Any]:
    return {
        'connection': DEFAULT_CONNECTION,
        'max_retries': _DEFAULT_RETRIES,
        'retry_interval': _DEFAULT_RETRY_SECONDS,
    }
