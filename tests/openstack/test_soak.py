"""Many moves, by drains as an operator orders them: all correct."""

import itertools

from tests.openstack import agents
from tests.openstack import ground

_SERVERS = 28
_MOVES = 50


class SoakTest(ground.CloudCase):
    def test_fifty_moves_of_twenty_eight_servers_are_all_correct(self):
        hosts = itertools.cycle(self.lab.hosts)
        uids = [self.ask_for(next(hosts)) for _ in range(_SERVERS)]
        self.wait_until_active(*uids)
        self.lab.set_load(dict.fromkeys(uids, 0.2))
        self.assert_records_agree()
        url = self.enterContext(agents.prometheus(self.lab))
        agent = agents.Agent(
            self.lab, 'soak', url, mode='advise', instance_cooldown_seconds=0
        )
        agent.start()
        self.addCleanup(agent.stop)
        done = []
        for host in itertools.cycle(self.lab.hosts):
            drained = agent.run('drain', host, '--wait')
            self.assertEqual(0, drained.returncode, drained.stderr)
            self.assertNotIn(host, self.places().values())
            self.assert_records_agree()
            self.assertEqual(set(uids), set(self.places()))
            agent.command('undrain', host)
            done = agent.migrations()
            if len(done) >= _MOVES:
                break
        self.assertEqual(
            [],
            [
                (row['destination'], row['outcome'], row['reason'])
                for row in done
                if row['outcome'] != 'completed'
            ],
        )
        self.assertEqual(
            ['enabled'] * len(self.lab.hosts),
            [
                one.status
                for one in self.compute.services(binary='nova-compute')
            ],
        )
