"""What an agent has recorded, exported and simulated again."""

import datetime
import json
import time
import unittest

from kvm_balancer.messages import load_document
from kvm_balancer.model import observed
from kvm_balancer.model import owners
from kvm_balancer.model import sample
from kvm_balancer.service import history
from kvm_balancer.store import store
from tests.functional.cmd import services
from tests.unit.store import base

_DAY = 86_400
_INTERVAL = 60
_HOST = {'name': 'host-1', 'cpus': 10, 'memory_mib': 32768}
_INSTANCES = [
    {
        'id': f'0000000{number}-0000-4000-8000-000000000000',
        'name': f'web-{number}',
        'host': 'host-1',
        'vcpus': 4,
        'memory_mib': 4096,
        'cpu_usage': 0.2,
    }
    for number in range(3)
]
#: a host to relieve it is there as well
_FLEET = {
    'schema': 'kvm-balancer/fleet/1',
    'hosts': [_HOST, {**_HOST, 'name': 'host-2'}],
    'instances': _INSTANCES,
}


def usage(second):
    """Return the cores of each instance: three from nine to eleven."""
    return 3.0 if 9 <= second % _DAY / 3600 < 11 else 0.5


class ReplayTest(services.ServiceCase):
    """What would you have done yesterday?, asked of a running agent."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = cls.conf.parent
        (folder / 'fleet.json').write_text(json.dumps(_FLEET))
        for host in _FLEET['hosts']:
            name = host['name']
            (folder / f'{name}.conf').write_text(
                f'[DEFAULT]\ntransport_url = {cls.rabbit.url}\n'
                f'[host]\nname = {name}\n'
                '[executor]\ndriver = simulated\nmanage = all\n'
                'sample_interval_seconds = 1\n'
                f'state_path = {folder}/{name}.sqlite\n'
                f'[simulated]\nfleet = {folder}/fleet.json\n'
            )

    def _ask(self, *arguments):
        ran = self.run_command('cli', *arguments)
        self.assertEqual(0, ran.returncode, ran.stderr)
        return ran

    def _live(self, begin):
        """Have an agent record a day, and the first hour of the next."""
        kept = store.Store(
            base.make_conf(f'sqlite:///{self.conf.parent}/agent.sqlite')
        )
        fleet = observed.ObservedFleet()
        recording = history.History(fleet, kept.memories)
        for second in range(begin, begin + _DAY + 3600 + 1, _INTERVAL):
            fleet.apply([_sample(second)], second)
            recording.step(second)
        kept.close()

    def _export(self, name):
        """Export the fleet once the agent has measured all of it."""
        given_up = time.monotonic() + services.TIMEOUT_SECONDS
        while True:
            self._ask('fleet', 'export', '--output', name)
            with open(name) as written:  # noqa: PTH123
                seen = json.load(written)
            # one that nobody has measured yet is not movable
            movable = [
                one for one in seen['instances'] if one.get('movable', True)
            ]
            if len(seen['hosts']) == 2 and len(movable) == 3:
                return
            self.assertLess(time.monotonic(), given_up, f'seen: {seen}')

    def test_yesterday_is_simulated_again(self):
        today = datetime.datetime.now(datetime.UTC).date()
        yesterday = datetime.datetime.combine(
            today - datetime.timedelta(days=1), datetime.time(), datetime.UTC
        )
        begin = int(yesterday.timestamp())
        self._ask('db', 'upgrade')
        self._live(begin)
        self.start('agent', 'The agent is up')
        for host in _FLEET['hosts']:
            conf = self.conf.with_name(f'{host["name"]}.conf')
            self.start('executor', 'takes commands', conf)
        fleet, load = (
            str(self.conf.with_name(name)) for name in ('seen', 'load.csv.gz')
        )
        self._export(fleet)
        # of two days: the next one may have begun meanwhile
        self._ask('fleet', 'load', '--days', '2', '--output', load)
        with open(load, 'rb') as written:  # noqa: PTH123
            recorded = load_document.decode(written.read())
        self.assertEqual({one['id'] for one in _INSTANCES}, set(recorded.name))
        self._replay(fleet, load, f'{yesterday:%a %Y-%m-%d} 00:00')

    def _replay(self, fleet, load, begin):
        folder = self.conf.with_name('report')
        ran = self._ask(
            *('simulate', '--fleet', fleet, '--load', load, '--hours', '24'),
            *('--step', '60', '--policy', 'relieve'),
            *('--compare', 'nothing', '--report', str(folder), '-f', 'json'),
        )
        self.assertIn(f' from {begin}, ', json.loads(ran.stdout)['title'])
        found = json.loads((folder / 'report.json').read_text())
        ours, nothing = found['runs']
        # 9 of 10 cores for two hours, if nobody moves anything
        self.assertAlmostEqual(
            2.0, nothing['figures']['over_hours'], delta=0.1
        )
        hot = [
            second / 3600
            for second, over in zip(
                nothing['series']['second'],
                nothing['series']['over'],
                strict=True,
            )
            if over
        ]
        self.assertAlmostEqual(9.0, min(hot), delta=0.1)
        self.assertAlmostEqual(11.0, max(hot), delta=0.1)
        self.assertEqual(1, ours['figures']['moves'])
        self.assertLess(ours['figures']['over_hours'], 0.1)
        self.assertIn('nothing', (folder / 'report.html').read_text())


def _sample(second):
    cores = usage(second - _INTERVAL)
    count = len(_INSTANCES)
    return sample.Sample(
        host='host-1',
        boot='boot',
        sequence=second,
        taken_at=float(second),
        interval_seconds=float(_INTERVAL),
        facts=sample.HostFacts(cpus=10.0, memory_mib=32768.0),
        usage=sample.HostUsage(
            cpu_usage=cores * count,
            cpu_overhead=0.0,
            memory_free_mib=20480.0,
            memory_allocated_mib=4096.0 * count,
        ),
        instances=sample.InstanceUsages(
            id=tuple(one['id'] for one in _INSTANCES),
            name=tuple(one['name'] for one in _INSTANCES),
            owner=(owners.Owner.BALANCER,) * count,
            state=('running',) * count,
            vcpus=(4.0,) * count,
            memory_mib=(4096.0,) * count,
            disk_gib=(0.0,) * count,
            cpu_usage=(cores,) * count,
            cpu_steal=(0.0,) * count,
            memory_usage_mib=(4096.0,) * count,
            dirty_rate_mib_s=(0.0,) * count,
        ),
    )


if __name__ == '__main__':
    unittest.main()
