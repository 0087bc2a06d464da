"""Real guests under a real Nova, migrated by it and seen by executors."""

from kvm_balancer.lab import bootsector
from kvm_balancer.lab import services
from tests.openstack import agents
from tests.openstack import ground
from tests.openstack.lab import configuration
from tests.openstack.lab import images

#: Over it the busy guest never converges: it writes 160 MiB in no time.
_NARROW_MIB_S = 24
_POST_COPY = 'running (post-copy)'
_FORCED = 'live_migration_force_complete'
_ENDED = 'live_migration_cancel'


class LibvirtCase(ground.CloudCase):
    """Two computes with QEMU's guests, an executor on each, and an agent."""

    options = configuration.Options(
        hosts=('cmp1', 'cmp2'), guests=configuration.Guests.QEMU
    )

    def setUp(self):
        super().setUp()
        fleet = self.lab.computes.fleet
        self.hosts = fleet.hosts
        self.executors = services.Services(fleet.description, self.lab.broker)
        self.executors.configure(self.hosts, 'advise')
        for host in self.hosts:
            self.executors.start_executor(host)
            self.addCleanup(host.processes.stop, 'executor')
            self.addCleanup(host.limit_bandwidth, None)
        self.agent = agents.Agent(
            self.lab,
            'libvirt',
            None,
            {
                'migration': {'post_copy_by_instance': True},
                'nova': {'force_complete': 'post-copy'},
            },
            instance_cooldown_seconds=0,
        )
        self.addCleanup(self.agent.stop)

    def begin(self, image, **asks):
        """Boot a server on the first compute, and drain that."""
        wishes = {
            f'kvm_balancer:{name}': value for name, value in asks.items()
        }
        self.uid = self.ask_for('cmp1', image=image, **wishes)
        self.wait_until_active(self.uid)
        self.assert_memory_is_whole()
        self.agent.start()
        self.agent.command('drain', 'cmp1')
        self.addCleanup(self.agent.run, 'undrain', 'cmp1')

    def narrow(self):
        for host in self.hosts:
            host.limit_bandwidth(_NARROW_MIB_S)

    def migrations(self):
        """Return the agent's of the server, not those of other tests."""
        return [
            one
            for one in self.agent.migrations()
            if one['instance'] == self.uid
        ]

    def outcome(self):
        """Wait for the end of the first migration; return all about it."""
        self.wait_for(
            lambda: any(one['ended_at'] for one in self.migrations()),
            'an outcome',
        )
        first = self.migrations()[-1]
        return self.agent.ask('migrations', 'show', first['id'])

    def record(self):
        """Return Nova's record of the first migration of the server."""
        return self.records(self.uid)[-1]

    def wait_for_status(self, *wanted):
        self.wait_for(
            lambda: (
                bool(self.records(self.uid))
                and self.record()['status'] in wanted
            ),
            f'a migration to be {" or ".join(wanted)}',
        )

    def reset_state(self):
        """Do what the outcome advises where a server is in ERROR.

        The call to libvirt that an abort ends may raise before Nova has
        rolled back, and then it takes the abort for a failure of its own
        (seen with Nova 34.0.0).
        """
        self.wait_for(
            lambda: not self.compute.get_server(self.uid).task_state,
            'Nova to be done with the server',
        )
        if self.compute.get_server(self.uid).status == 'ERROR':
            self.compute.reset_server_state(self.uid, 'active')

    def asked(self):
        """Return what Nova was asked to do with the server."""
        answer = self.compute.get(f'/servers/{self.uid}/os-instance-actions')
        return {one['action'] for one in answer.json()['instanceActions']}

    def report(self):
        """Return rounds and damaged pages that the guest told last."""
        path = self.lab.computes.console(self.uid)
        lines = path.read_text(errors='replace').split('\n') if path else []
        told = [one for one in lines[:-1] if one.startswith('R ')]
        if not told:
            return bootsector.Report()
        _, rounds, damaged = told[-1].split()
        return bootsector.Report(int(rounds, 16), int(damaged, 16))

    def assert_memory_is_whole(self):
        """The guest goes on, and finds all that it has written."""
        before = self.report().rounds
        self.wait_for(
            # It goes over its memory once more, wherever it began to.
            lambda: self.report().rounds >= before + 2,
            'the guest to go on',
        )
        self.assertEqual(0, self.report().damaged)

    def assert_passes_were_seen(self, shown):
        """Nova's own figures have no passes that were told at their ends."""
        story = ' '.join(one['text'] for one in shown['story'])
        self.assertRegex(story, r'pass \d+: \d+\.\d MiB left')


class EyesTest(LibvirtCase):
    def test_what_does_not_converge_is_brought_over_by_force(self):
        """By Nova, when the executor's eyes show that it is time."""
        self.narrow()
        self.begin(images.BUSY, post_copy='true')
        self.wait_for_status(_POST_COPY)
        self.wait_for_status('completed')
        shown = self.outcome()
        self.assertEqual('completed', shown['outcome'], shown)
        self.assertIn(_FORCED, self.asked())
        self.assert_passes_were_seen(shown)
        self.assertEqual({self.uid: 'cmp2'}, self.places())
        self.assert_records_agree()
        self.assert_memory_is_whole()

    def test_what_may_not_be_forced_is_ended(self):
        """By Nova, and the server stays as it was."""
        self.narrow()
        self.begin(images.BUSY, time_limit_seconds='90')
        shown = self.outcome()
        self.agent.run('undrain', 'cmp1')
        self.wait_for_status('cancelled', 'failed', 'error')
        self.assertEqual('failed', shown['outcome'], shown)
        self.assertIn('MiB left', shown['reason'])
        self.assertIn(_ENDED, self.asked())
        self.assertNotIn(_FORCED, self.asked())
        self.assert_passes_were_seen(shown)
        self.reset_state()
        self.wait_until_active(self.uid)
        self.assertEqual({self.uid: 'cmp1'}, self.places())
        self.assert_records_agree()
        self.assert_memory_is_whole()
