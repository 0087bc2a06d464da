"""A store on SQLite, and small records to put into it."""

import pathlib
import tempfile
import unittest

from oslo_config import cfg

from kvm_balancer.conf import database as options
from kvm_balancer.migration import request
from kvm_balancer.model import outcome
from kvm_balancer.model import plan
from kvm_balancer.model import track

PLAN = '11111111-0000-4000-8000-000000000000'
MIGRATION = '22222222-0000-4000-8000-000000000000'


def make_conf(connection):
    conf = cfg.ConfigOpts()
    options.register_opts(conf)
    conf([], project='kvm_balancer', default_config_files=[])
    conf.set_override('connection', connection, options.GROUP)
    conf.set_override('max_retries', 1, options.GROUP)
    conf.set_override('retry_interval', 0, options.GROUP)
    # Nothing here cuts the power: a test need not wait for the disk.
    conf.set_override('sqlite_synchronous', False, options.GROUP)
    return conf


class StoreCase(unittest.TestCase):
    """A test with a directory, and a SQLite file in it."""

    def setUp(self):
        super().setUp()
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        self.directory = pathlib.Path(made.name)
        self.url = self.make_url()
        self.conf = make_conf(self.url)

    def make_url(self):
        return f'sqlite:///{self.directory}/agent.sqlite'


def make_plan(moves=2):
    load = plan.LoadSummary(0.25, 0.9, 0.1, 0.8)
    return plan.Plan(
        policy='spread',
        moves=tuple(
            plan.Move(
                f'instance-{n}',
                'host-a',
                'host-b',
                plan.Prediction(2.5, 40.0, 2048.0),
                f'reason {n}',
                after=tuple(range(n)),
            )
            for n in range(moves)
        ),
        before=load,
        after=load,
        bound=plan.Bound(cpu_max=0.5),
        frontier=(plan.FrontierPoint(1, 0.2, 2048.0),),
        unplaced=(plan.Unplaced('instance-9', 'no room'),),
        summary='host-a is at 0.90',
    )


def make_request(migration_id=MIGRATION, **changes):
    return request.Request(
        **{
            'migration_id': migration_id,
            'instance': 'instance-0',
            'source': 'host-a',
            'destination': 'host-b',
            'destination_uri': 'qemu+tcp://host-b/system',
            'accepted_at': 1000.5,
            'predicted': plan.Prediction(
                2.5,
                40.0,
                2048.0,
                converges=True,
                throttled=True,
                fixed_seconds=0.5,
                uncorrected=plan.Uncorrected(1.5, 30.0, 2000.0),
                disk_mib=4096.0,
                disk_seconds=4.0,
                limit_mib_s=40.0,
            ),
            'plan_id': PLAN,
            **changes,
        }
    )


def make_outcome(
    migration_id=MIGRATION, kind=outcome.OutcomeKind.COMPLETED, **changes
):
    return outcome.Outcome(
        **{
            'migration_id': migration_id,
            'instance': 'instance-0',
            'source': 'host-a',
            'destination': 'host-b',
            'outcome': kind,
            'mode': plan.Mode.PRE_COPY,
            'reason': 'both ends agree',
            'accepted_at': 1000.5,
            'ended_at': 1003.75,
            'total_ms': 3250.0,
            'downtime_ms': 41.5,
            'transferred_mib': 2100.0,
            'iterations': 3,
            'max_throttle_percent': 20,
            'predicted': None,
            'story': (
                outcome.StoryLine(1000.5, 'requested', 'asked'),
                outcome.StoryLine(1003.75, str(kind), 'seen'),
            ),
            'plan_id': PLAN,
            'track': track.Track(
                begun_at=1000.5,
                seconds=(0.5, 3.0),
                remaining_mib=(2000.0, 0.0),
                disk_remaining_mib=(0.0, 0.0),
                bandwidth_mib_s=(700.0, 710.0),
                dirty_rate_mib_s=(0.0, 20.0),
                throttle_percent=(0, 20),
                passes=(1, 3),
                states=(track.Mark(0.4, 'pre-copy'),),
            ),
            'copying_ms': 2750.0,
            'fixed_ms': 500.0,
            **changes,
        }
    )
