"""Options of figures that come from elsewhere than our own samples."""

from typing import Any

from oslo_config import cfg

from kvm_balancer.conf import groups

GROUP = cfg.OptGroup(
    'metrics',
    title='Metrics from elsewhere',
    help="""
Where the figures of hosts come from that have no executor: computes of Nova
that are watched and relieved through Nova alone.
""",
)

OPTS = [
    cfg.ListOpt(
        'sources',
        default=[],
        help="""
Sources that are asked, in order: of each figure the first one's that has it
is taken. Names from the entry points ``kvm_balancer.metric_sources``:
``nova`` for the ``metrics.update`` notifications of Nova, ``prometheus``.

A host whose CPU usage no source knows is not judged, and an instance whose
usage no source knows is not moved. Empty: hosts without an executor are not
seen.
""",
    ),
    cfg.FloatOpt(
        'interval_seconds',
        default=10.0,
        min=0.5,
        max=3600.0,
        help="""
Seconds between two questions to the sources. Related: ``[samples]
silent_after_seconds``, which has to be some times as long.
""",
    ),
    cfg.FloatOpt(
        'max_age_seconds',
        default=180.0,
        min=1.0,
        max=86400.0,
        help="""
Age from which a notified figure is as good as none. Nova's computes send
theirs every ``update_resources_interval``, 60 seconds by default.
""",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the options of this module on *conf*."""
    groups.register(conf, GROUP)
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[Any, list[Any]]]:
    """Return the options of this module, for the configuration generator."""
    return [(GROUP, OPTS)]
