"""The policies that are documented are enough, and no more is given."""

from openstack import exceptions

from tests.openstack import agents
from tests.openstack import ground
from tests.openstack.lab import configuration
from tests.openstack.lab import environment

_USER = _ROLE = 'kvm_balancer'


class PoliciesTest(ground.CloudCase):
    """Nova with a policy file of ``tools/nova-policy``, and a user by it."""

    def setUp(self):
        super().setUp()
        self.make_user()
        policies = self.lab.files.policies
        self.addCleanup(policies.write_text, policies.read_text())
        policies.write_text(
            self.lab.run(str(environment.ROOT / 'tools/nova-policy'), _ROLE)
        )
        self.narrow = self.enterContext(
            self.lab.connect(_USER, 'service')
        ).compute

    def make_user(self):
        """Make a user of the role, and of the one that Placement asks for."""
        identity = self.cloud.identity
        if identity.find_user(_USER):
            return
        project = identity.find_project('service')
        user = identity.create_user(
            name=_USER,
            password=configuration.PASSWORD,
            domain_id='default',
            default_project_id=project.id,
        )
        identity.create_role(name=_ROLE)
        for name in (_ROLE, 'service'):
            identity.assign_project_role_to_user(
                project, user, identity.find_role(name)
            )

    def test_they_suffice_for_all_that_an_agent_does(self):
        """Servers of other projects, their migrations, drains."""
        uid, hanging = (
            self.ask_for('cmp1'),
            self.ask_for('cmp1', lab_migrate='hang'),
        )
        self.wait_until_active(uid, hanging)
        self.lab.set_load(dict.fromkeys((uid, hanging), 0.5))
        url = self.enterContext(agents.prometheus(self.lab))
        agent = agents.Agent(
            self.lab, 'narrow', url, {'nova': {'max_per_host': 4}}, _USER
        )
        agent.start()
        self.addCleanup(agent.stop)
        agent.command('drain', 'cmp1')
        self.addCleanup(agent.run, 'undrain', 'cmp1')
        self.wait_until_under_way(hanging)
        (found,) = [
            one
            for one in agent.migrations()
            if one['instance'] == hanging and not one['ended_at']
        ]
        agent.command('undrain', 'cmp1')
        agent.command('migrations', 'cancel', found['id'])
        self.wait_for(
            lambda: all(one['ended_at'] for one in agent.migrations()),
            'all migrations to end',
        )
        ended = {one['instance']: one['outcome'] for one in agent.migrations()}
        self.assertEqual({uid: 'completed', hanging: 'cancelled'}, ended)
        agent.stop()
        self.assert_records_agree()

    def test_they_suffice_to_complete_by_force(self):
        uid = self.ask_for('cmp1', lab_migrate='hang')
        self.wait_until_active(uid)
        self.compute.live_migrate_server(uid, host='cmp2')
        self.wait_until_under_way(uid)
        (record,) = self.records(uid)
        self.narrow.force_complete_server_migration(record['id'], uid)
        self.wait_for(
            lambda: self.records(uid)[0]['status'] == 'completed',
            'it to complete',
        )
        self.wait_until_active(uid)

    def test_nothing_else_of_an_administrator_is_allowed(self):
        uid = self.ask_for('cmp1')
        self.wait_until_active(uid)
        for forbidden in (
            lambda: self.narrow.delete_server(uid),
            lambda: self.narrow.stop_server(uid),
            lambda: self.narrow.reset_server_state(uid, 'error'),
            lambda: self.narrow.lock_server(uid),
            lambda: self.narrow.create_flavor(
                name='own', vcpus=1, ram=64, disk=1
            ),
            lambda: self.narrow.create_aggregate(name='own'),
        ):
            self.assertRaises(exceptions.ForbiddenException, forbidden)
