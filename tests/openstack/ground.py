"""A cloud for tests: servers booted, and what is true of them checked."""

import atexit
import contextlib
import pathlib
import shutil
import tempfile
import unittest

from kvm_balancer.lab import waiting
from tests.openstack.lab import cloud
from tests.openstack.lab import configuration
from tests.openstack.lab import images

_FLAVOR = 'small'
#: Nova and its computes may have to share two busy cores.
PATIENCE_SECONDS = 600.0


#: What this process takes down at its end.
_STANDING = contextlib.ExitStack()
atexit.register(_STANDING.close)
#: Its laboratories.
_THERE = []


def lab(options):
    """Return the laboratory of this process that these options make.

    It is brought up once, and stays until the process ends: others are made
    beside it.
    """
    for made in _THERE:
        if made.options == options:
            return made
    # No TemporaryDirectory: at the end of the process one goes before all
    # else, and with it what processes are found by.
    folder = pathlib.Path(tempfile.mkdtemp(prefix='kvm-balancer-nova-'))
    _STANDING.callback(shutil.rmtree, folder, ignore_errors=True)
    made = cloud.NovaLab(folder / 'lab', options)
    _STANDING.callback(made.down)
    made.up()
    _THERE.append(made)
    return made


class CloudCase(unittest.TestCase):
    """A test in a cloud that is empty when it begins, and when it ends."""

    options = configuration.Options()

    def setUp(self):
        super().setUp()
        self.lab = lab(self.options)
        self.cloud = self.enterContext(self.lab.connect())
        self.compute = self.cloud.compute
        self.flavor = self.compute.find_flavor(_FLAVOR) or (
            self.compute.create_flavor(name=_FLAVOR, vcpus=2, ram=512, disk=1)
        )
        self.addCleanup(self.empty)

    def empty(self):
        """Delete all servers, groups and loads; enable all computes."""
        for one in self.compute.servers():
            self.compute.delete_server(one)
        self.wait_for(lambda: not list(self.compute.servers()), 'no servers')
        for one in self.compute.server_groups():
            self.compute.delete_server_group(one)
        for one in self.compute.services(binary='nova-compute'):
            if one.status != 'enabled':
                self.compute.enable_service(one)
        self.lab.set_load({})
        self.free()

    def free(self):
        """Have Placement forget what it holds for nobody.

        Nova leaves the allocation of a migration whose source dies amid it;
        an operator finds it by ``nova-manage placement audit``. The next test
        would have room for a server less.
        """
        placement = self.cloud.placement
        for one in placement.resource_providers():
            held = placement.get(f'/resource_providers/{one.id}/allocations')
            for consumer in held.json()['allocations']:
                placement.delete(f'/allocations/{consumer}')

    def wait_for(self, condition, what, seconds=PATIENCE_SECONDS):
        waiting.until(condition, what, seconds)

    # Servers

    def group(self, policy):
        """Make a server group; return its id."""
        return self.compute.create_server_group(name=policy, policy=policy).id

    def ask_for(self, host=None, group=None, image=images.EMPTY, **metadata):
        """Ask for a server; return its uuid."""
        wanted = {
            'name': f'on-{host or "any"}',
            'flavor_id': self.flavor.id,
            'image_id': image,
            'networks': 'none',
            'metadata': metadata,
        }
        if host is not None:
            wanted['host'] = host
        if group is not None:
            wanted['scheduler_hints'] = {'group': group}
        return self.compute.create_server(**wanted).id

    def wait_until_active(self, *uids):
        left = set(uids)

        def all_are():
            for one in self.compute.servers():
                if one.id in left:
                    self.assertNotEqual('ERROR', one.status, one.fault)
                    if one.status == 'ACTIVE' and not one.task_state:
                        left.discard(one.id)
            return not left

        self.wait_for(all_are, 'servers to be active')

    def boot(self, *hosts):
        """Boot a server on each of *hosts*; return their uuids."""
        uids = [self.ask_for(host) for host in hosts]
        self.wait_until_active(*uids)
        return uids

    def places(self):
        """Return where servers are, by Nova."""
        return {one.id: one.compute_host for one in self.compute.servers()}

    # Migrations

    def records(self, uid):
        """Return Nova's records of the live migrations of a server."""
        answer = self.compute.get(
            '/os-migrations',
            params={'instance_uuid': uid, 'migration_type': 'live-migration'},
        )
        return answer.json()['migrations']

    def wait_until_under_way(self, uid):
        self.wait_for(
            lambda: any(
                one['status'] == 'running' for one in self.records(uid)
            ),
            'a migration to run',
        )

    def complete(self, uid):
        """Have the migration of a server that never ends by itself end well.

        It has the metadata ``lab_migrate=hang``.
        """
        (record,) = self.records(uid)
        self.compute.force_complete_server_migration(record['id'], uid)

    # What has to be true

    def assert_records_agree(self):
        """Each server is active, idle, and in one place by all records."""
        providers = {
            one.id: one.name
            for one in self.cloud.placement.resource_providers()
        }
        guests = {host: self.guests(host) for host in self.lab.hosts}
        for one in self.compute.servers():
            with self.subTest(one.id):
                self.assertEqual('ACTIVE', one.status, one.fault)
                self.assertIsNone(one.task_state)
                self.assertEqual(
                    [one.compute_host],
                    [providers[uid] for uid in self.allocations(one.id)],
                )
                self.assertEqual(
                    [one.compute_host],
                    [host for host in guests if one.id in guests[host]],
                )

    def allocations(self, uid):
        """Return the providers that Placement has a server on."""
        answer = self.cloud.placement.get(f'/allocations/{uid}')
        return list(answer.json()['allocations'])

    def guests(self, host):
        """Return what the driver of a compute has."""
        return self.lab.computes.guests(host)
