"""Options of the metric source ``prometheus``."""

from typing import Any

from oslo_config import cfg

from kvm_balancer.conf import groups

GROUP = cfg.OptGroup(
    'prometheus',
    title='Metrics from Prometheus',
    help="""
The queries of the metric source ``prometheus``.

Each answers with a vector: one value a host or instance, named by a label. An
empty query is not asked, and its figure is missing.
""",
)

_CPU_TIME = 'rate(libvirt_domain_info_cpu_time_seconds_total[2m])'
_META = 'on (instance, domain) group_left (uuid) libvirt_domain_info_meta'

OPTS = [
    cfg.StrOpt(
        'url',
        default='',
        sample_default='https://prometheus.example.com:9090',
        help='Where Prometheus is, without ``/api``.',
    ),
    cfg.FloatOpt(
        'timeout_seconds',
        default=10.0,
        min=0.1,
        max=600.0,
        help='Seconds after which Prometheus counts as unreachable.',
    ),
    cfg.StrOpt(
        'cafile',
        default='',
        help='Certificates of authorities; empty for those of the system.',
    ),
    cfg.StrOpt(
        'token',
        default='',
        secret=True,
        help='Bearer token; empty for none.',
    ),
    cfg.StrOpt(
        'host_label',
        default='instance',
        help="""
Label that names the host, as Nova and ``[host] name`` do; a port after the
name is cut off.
""",
    ),
    cfg.StrOpt(
        'instance_label',
        default='uuid',
        help='Label that has the uuid of the instance.',
    ),
    cfg.StrOpt(
        'host_cpu_query',
        default=(
            '1 - avg by (instance) '
            '(rate(node_cpu_seconds_total{mode="idle"}[2m]))'
        ),
        help='Share of the CPUs of each host in use, 0 to 1.',
    ),
    cfg.StrOpt(
        'host_memory_query',
        default='node_memory_MemAvailable_bytes',
        help='Memory that each host has available, in bytes.',
    ),
    cfg.StrOpt(
        'instance_cpu_query',
        default=f'{_CPU_TIME} * {_META}',
        help='Cores that each instance uses.',
    ),
    cfg.StrOpt(
        'instance_memory_query',
        default='',
        help="""
Memory of each instance that a migration has to copy, in bytes. Empty: all
that it has.
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
