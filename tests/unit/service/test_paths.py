"""Each migration takes its owner's path, and no other."""

import dataclasses
import unittest

from kvm_balancer import errors
from kvm_balancer.service import flights
from kvm_balancer.service import paths
from tests.unit.store import base

NOVAS = 'instance-0'


class Recorder:
    """Whoever takes commands, and remembers them."""

    def __init__(self, known=()):
        self.known = set(known)
        self.seen = []

    def knows(self, migration_id):
        return migration_id in self.known

    def __getattr__(self, name):
        def call(*arguments):
            self.seen.append((name, *arguments))
            return 'pre-flight'

        return call


class PathsTest(unittest.TestCase):
    def setUp(self):
        self.executors = Recorder()
        self.cloud = Recorder()

    def make(self, cloud=True, **changes):
        return paths.Paths(
            self.executors,
            lambda uid: uid == NOVAS,
            self.cloud if cloud else None,
            **changes,
        )

    def test_the_owner_is_asked_for_the_path(self):
        made = self.make()
        self.assertEqual('nova', made.owner_of(NOVAS))
        self.assertEqual('balancer', made.owner_of('other'))

    def test_what_is_novas_goes_through_nova(self):
        wanted = base.make_request(owner='nova')
        self.make().migrate(wanted)
        self.assertEqual([('migrate', wanted)], self.cloud.seen)
        self.assertEqual([], self.executors.seen)

    def test_what_is_ours_goes_to_its_executor(self):
        wanted = base.make_request(instance='other')
        self.make().migrate(wanted)
        self.assertEqual([('migrate', wanted)], self.executors.seen)
        self.assertEqual([], self.cloud.seen)

    def test_the_libvirt_path_refuses_what_is_novas(self):
        """Whatever a request says, and whether Nova is set up or not."""
        for cloud in (True, False):
            with self.subTest(cloud=cloud):
                with self.assertRaisesRegex(
                    errors.MigrationError, "behind Nova's back"
                ):
                    self.make(cloud).migrate(base.make_request())
                self.assertEqual([], self.executors.seen)

    def test_without_nova_nobody_moves_what_is_novas(self):
        wanted = base.make_request(owner='nova')
        with self.assertRaisesRegex(errors.MigrationError, 'auth_type'):
            self.make(cloud=False).migrate(wanted)

    def test_one_dangerous_option_opens_the_libvirt_path(self):
        made = self.make(cloud=False, behind_nova=True)
        self.assertEqual('balancer', made.owner_of(NOVAS))
        made.migrate(base.make_request())
        self.assertEqual('migrate', self.executors.seen[0][0])

    def test_questions_go_to_who_has_the_migration(self):
        self.cloud.known.add('m1')
        made = self.make()
        made.state('host-a', 'm1')
        made.cancel('host-a', 'm1', 'why')
        made.state('host-a', 'm2')
        self.assertEqual(
            [('state', 'm1'), ('cancel', 'm1', 'why')], self.cloud.seen
        )
        self.assertEqual([('state', 'host-a', 'm2')], self.executors.seen)

    def test_what_an_earlier_run_sent_through_nova_is_taken_up(self):
        ours = flights.Flight(base.make_request(), None, 0.0)
        novas = flights.Flight(
            dataclasses.replace(ours.wanted, owner='nova'), None, 0.0
        )
        self.make().adopt([ours, novas])
        self.assertEqual([('adopt', novas.wanted)], self.cloud.seen)

    def test_without_nova_its_migrations_stay_unknown(self):
        """No executor is asked: its "no" would be taken for an end."""
        made = self.make(cloud=False)
        wanted = base.make_request(owner='nova')
        made.adopt([flights.Flight(wanted, None, 0.0)])
        with self.assertRaisesRegex(errors.UnreachableError, 'auth_type'):
            made.state('host-a', wanted.migration_id)
        self.assertEqual([], self.executors.seen)
