"""An agent that is killed amid a migration, and one that follows it."""

import signal

from tests.openstack import agents
from tests.openstack import ground


class RestartTest(ground.CloudCase):
    def test_the_next_agent_takes_the_migration_up(self):
        uid = self.ask_for('cmp1', lab_migrate='hang')
        self.wait_until_active(uid)
        self.lab.set_load({uid: 0.5})
        url = self.enterContext(agents.prometheus(self.lab))
        agent = agents.Agent(self.lab, 'restart', url)
        agent.start()
        self.addCleanup(agent.stop)
        agent.command('drain', 'cmp1')
        self.wait_until_under_way(uid)
        agent.kill(signal.SIGKILL)
        agent.start()
        (row,) = agent.migrations()
        self.assertIsNone(row['ended_at'], row)
        self.complete(uid)
        self.wait_for(lambda: agent.migrations()[0]['ended_at'], 'its outcome')
        (row,) = agent.migrations()
        self.assertEqual('completed', row['outcome'], row)
        self.assertEqual(1, len(self.records(uid)))
        self.assertEqual(row['destination'], self.places()[uid])
        self.assert_records_agree()
