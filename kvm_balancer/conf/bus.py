"""Options of the message bus; oslo.messaging owns them, we own defaults.

One ``transport_url`` configures commands, outcomes and samples. Its TLS
options stand in ``[oslo_messaging_rabbit]``.
"""

from typing import Any

from oslo_config import cfg

GROUP = 'bus'

OPTS: tuple[cfg.Opt, ...] = (
    cfg.IntOpt(
        'progress_length',
        default=10_000,
        min=10,
        help="""
How many progress reports of migrations the broker keeps while nobody takes
them; the oldest are dropped. Outcomes are not limited: none is ever dropped.
After a change, delete the queue kvm_balancer.progress on the broker.
Related: progress_ttl_seconds.
""",
    ),
    cfg.IntOpt(
        'progress_ttl_seconds',
        default=600,
        min=1,
        help="""
How long, in seconds, the broker keeps a progress report that nobody takes.
After a change, delete the queue kvm_balancer.progress on the broker.
Related: progress_length.
""",
    ),
)


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the options on *conf*."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return the options by group, for the configuration generator."""
    return [(GROUP, list(OPTS))]


def set_defaults() -> None:
    """Show our defaults in what the generator writes for oslo.messaging."""
    # It takes half a second to load, which register_opts has no use for.
    from oslo_messaging import transport
    from oslo_messaging._drivers import amqp

    transport.set_transport_defaults('kvm_balancer')
    # Where the options are public, they are copies.
    cfg.set_defaults(amqp.amqp_opts, amqp_durable_queues=True)
