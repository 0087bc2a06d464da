"""A hot compute is relieved through Nova, by the rules of its cloud."""

from tests.openstack import agents
from tests.openstack import ground

#: Of each compute of the laboratory.
_CORES = 8
_LIMIT = 0.8


class ReliefTest(ground.CloudCase):
    def setUp(self):
        super().setUp()
        url = self.enterContext(agents.prometheus(self.lab))
        self.agent = agents.Agent(self.lab, 'relief', url, mode='automatic')
        self.addCleanup(self.agent.stop)
        apart, together = self.group('anti-affinity'), self.group('affinity')
        self.hot = self.boot(*['cmp1'] * 3)
        self.apart = [self.ask_for('cmp1', apart), self.ask_for('cmp2', apart)]
        self.wait_until_active(*self.apart)
        self.together = [
            self.ask_for('cmp1', together),
            self.ask_for('cmp1', together),
        ]
        calm = self.boot('cmp2', 'cmp3')
        self.wait_until_active(*self.together)
        on_hot = [*self.hot, self.apart[0], *self.together]
        self.loads = {uid: 1.25 for uid in on_hot} | {
            uid: 0.25 for uid in (self.apart[1], *calm)
        }

    def load_of(self, host):
        """Return the load of a compute, where its servers are now."""
        places = self.places()
        cores = sum(
            used for uid, used in self.loads.items() if places[uid] == host
        )
        return cores / _CORES

    def settled(self):
        """Say whether the hot compute is relieved, and nothing moves."""
        under_way = [
            one for one in self.agent.migrations() if not one['ended_at']
        ]
        return not under_way and self.load_of('cmp1') <= _LIMIT

    def test_it_is_relieved_and_every_rule_held(self):
        self.assert_records_agree()
        before = self.places()
        self.lab.set_load(self.loads)
        self.agent.start()
        self.wait_for(self.settled, 'the hot compute to be relieved')
        self.agent.stop()
        after = self.places()
        self.assert_records_agree()
        self.assertNotEqual(after[self.apart[0]], after[self.apart[1]])
        for uid in self.together:
            # Nova moves one at a time, and would tear them apart.
            self.assertEqual('cmp1', after[uid])
        for host in self.lab.hosts:
            self.assertLessEqual(self.load_of(host), _LIMIT, after)
        self.assert_outcomes_are_true(before, after)

    def assert_outcomes_are_true(self, before, after):
        self.agent.start()
        rows = self.agent.migrations()
        for row in rows:
            self.assertEqual('completed', row['outcome'], row)
            self.assertEqual(before[row['instance']], row['source'])
            self.assertEqual(after[row['instance']], row['destination'])
        moved = {uid for uid in after if after[uid] != before[uid]}
        self.assertEqual(moved, {row['instance'] for row in rows})
        self.assertEqual(len(moved), len(rows))
