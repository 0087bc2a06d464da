"""Options of what hosts report: the queue, and what the agent makes of it."""

from typing import Any

from oslo_config import cfg

GROUP = 'samples'

OPTS: tuple[cfg.Opt, ...] = (
    cfg.IntOpt(
        'queue_length',
        default=50_000,
        min=100,
        help="""
How many samples the broker keeps while no agent takes them. When there are
more, the oldest are dropped. A sample of a host with 20 instances is about
4 KiB. Raising it costs the broker memory and brings nothing that the next
samples would not bring. The agent declares the queue with this limit: after a
change, delete the queue on the broker (the agent's log names it) and it is
made anew. Related: queue_ttl_seconds.
""",
    ),
    cfg.IntOpt(
        'queue_ttl_seconds',
        default=60,
        min=1,
        help="""
How long, in seconds, the broker keeps a sample that no agent takes. An agent
that starts refuses samples older than silent_after_seconds anyway, so there
is no use in more. After a change the queue has to be made anew, as with
queue_length.
""",
    ),
    cfg.IntOpt(
        'batch_size',
        default=500,
        min=1,
        max=10_000,
        help="""
How many samples the agent takes into the fleet at once, at most. Larger
batches cost less time for each sample and more memory.
""",
    ),
    cfg.FloatOpt(
        'batch_seconds',
        default=0.25,
        min=0.0,
        max=10.0,
        help="""
How long, in seconds, the agent waits for a batch to fill before it takes what
is there. Raising it makes batches larger and samples later.
""",
    ),
    cfg.FloatOpt(
        'silent_after_seconds',
        default=45.0,
        min=1.0,
        help="""
A host without a sample for this long is silent: neither source nor
destination of a move until it reports again. Samples older than this are
refused. Keep it at three or more times [executor] sample_interval_seconds of
the hosts: lower, and a lost sample silences a host; higher, and moves are
planned on what was.
""",
    ),
    cfg.FloatOpt(
        'future_tolerance_seconds',
        default=5.0,
        min=0.0,
        help="""
How far the clock of a host may be ahead of the agent's, in seconds; a sample
from further ahead is refused. Synchronise the clocks rather than raise it.
""",
    ),
    cfg.FloatOpt(
        'forget_after_seconds',
        default=86_400.0,
        min=60.0,
        help="""
A host without a sample for this long, in seconds, is forgotten, with the
instances that only it reported. Until then it is listed as silent.
""",
    ),
    cfg.IntOpt(
        'window_samples',
        default=30,
        min=1,
        max=1_000,
        help="""
How many of the last samples of each instance and host are kept, for the
percentile. Raising it makes the percentile calmer and slower; each costs
4 bytes an instance. Related: percentile, estimate.
""",
    ),
    cfg.FloatOpt(
        'ewma_seconds',
        default=60.0,
        min=1.0,
        help="""
Time constant of the moving average of usage, in seconds: after this long, a
step in the load counts to 63 %. Raising it makes the average calmer and
slower.
""",
    ),
    cfg.FloatOpt(
        'lasting_seconds',
        default=80.0,
        min=0.0,
        max=3600.0,
        help="""
What every sample of so many seconds shows counts at once and as a whole,
before the moving average has followed: so a lasting step is answered soon,
while a burst shows in none. 0 for not at all. Keep it over the longest burst
that is to move nothing by two times [executor] sample_interval_seconds;
window_samples have to cover it. Raised, steps are answered later. Related:
``estimate``, ``[relieve] hold_seconds``.
""",
    ),
    cfg.FloatOpt(
        'percentile',
        default=90.0,
        min=0.0,
        max=100.0,
        help="""
Which percentile of the window is kept beside the average. 100 is the peak.
""",
    ),
    cfg.StrOpt(
        'estimate',
        default='ewma',
        choices=[
            ('ewma', 'the moving average, or more where more has lasted'),
            ('percentile', 'the percentile of the window'),
            ('highest', 'the highest of them'),
            ('last', 'the last sample, as it is'),
        ],
        help="""
What plans take for the CPU usage of an instance. The percentile leaves room
for peaks and moves more; the average follows the load.
""",
    ),
    cfg.FloatOpt(
        'foresight_seconds',
        default=0.0,
        min=0.0,
        max=43_200.0,
        help="""
How far ahead plans look, in seconds, by what each instance does at that time
of the day and on that day of the week: so the agent acts before a peak that
comes every day. 0 for not at all: it then acts on what is. An instance is
foreseen from its third day on. 1800 is a good value; keep it over the hold
time of the policies and the time that plans take. Related: ``caution``.
""",
    ),
    cfg.FloatOpt(
        'caution',
        default=1.0,
        min=0.0,
        max=10.0,
        help="""
How much room is left for what cannot be foreseen: so many times the deviation
of a host's load, as its instances have shown it, are added to what is
expected of it. Raised, hosts with restless instances count as hotter. Related:
``foresight_seconds``.
""",
    ),
)


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the options on *conf*."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return the options by group, for the configuration generator."""
    return [(GROUP, list(OPTS))]
