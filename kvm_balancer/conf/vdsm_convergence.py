"""Options of group ``[vdsm_convergence]``: convergence as oVirt has it."""

from typing import Any

from oslo_config import cfg

from kvm_balancer.migration.convergence import vdsm

GROUP = 'vdsm_convergence'

OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        'schedule',
        default=vdsm.Params().schedule,
        choices=[
            (
                vdsm.AUTO,
                'post_copy where [migration] post_copy allows it, else '
                'minimal_downtime',
            ),
            (
                vdsm.MINIMAL_DOWNTIME,
                'downtime up to 500 ms, then the instance stays',
            ),
            (
                vdsm.SUSPEND,
                'downtime up to 500 ms, then 5 s, then the instance stays',
            ),
            (
                vdsm.POST_COPY,
                'downtime up to 200 ms, then post-copy, else the instance '
                'stays',
            ),
        ],
        help="""
Which of oVirt's migration policies is followed. The limit of downtime never
exceeds ``[migration] max_downtime_ms``; raise that to 5000 for ``suspend`` to
have its effect.
""",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the options of this group on *conf*."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return the options of this group, for the configuration generator."""
    return [(GROUP, OPTS)]
