"""Images of an earlier run go only where all says that nobody needs them."""

import itertools
import unittest
from unittest import mock

from kvm_balancer import errors
from kvm_balancer.migration import events
from kvm_balancer.virt import marks
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import ends
from kvm_balancer.virt.libvirt import leftovers
from kvm_balancer.virt.libvirt import marking
from kvm_balancer.virt.libvirt import pools

_S = events.EndState
_PATH, _OTHER = '/var/img/web.raw', '/var/img/data.raw'
_DOMAIN = """
<domain><name>web</name><uuid>u</uuid><memory>1</memory><vcpu>1</vcpu>
<devices><disk type='file'><source file='{}'/><target dev='vda'/></disk>
</devices></domain>"""


class _Link(connection.Connection):
    """Reaches a host with these files, and domains with these disks."""

    persistent = True

    def __init__(self, files=(), disks=()):
        self.files, self.disks = list(files), disks

    def call(self, function):
        return function(self)

    def lookupByUUIDString(self, uuid):
        return self

    def isPersistent(self):
        return self.persistent

    def listAllDomains(self, flags):
        return [
            mock.Mock(XMLDesc=lambda _, one=one: _DOMAIN.format(one))
            for one in self.disks
        ]


class LeftoversTest(unittest.TestCase):
    def setUp(self):
        super().setUp()
        self.patch(pools, 'pool', lambda handle, place: handle)
        self.patch(
            pools, 'volume', lambda link, path: path in link.files or None
        )
        self.patch(pools, 'delete', lambda link, path: link.files.remove(path))

    def patch(self, where, name, value):
        patched = mock.patch.object(where, name, value)
        patched.start()
        self.addCleanup(patched.stop)

    def remove(
        self,
        there,
        source=_S.RUNNING,
        destination=_S.ABSENT,
        job=False,
        migration_id='m',
        planned=(),
        **failed,
    ):
        here = _Link()
        self.patch(
            marking,
            'read',
            lambda domain: marks.Mark(
                'm',
                'a',
                'b',
                'uri',
                images=() if planned else (_PATH, _OTHER),
                planned=planned,
            ),
        )
        self.patch(
            ends,
            'look',
            lambda link, uuid: (
                events.End(source, job)
                if link is here
                else events.End(destination)
            ),
        )
        return leftovers.remove(
            here, there, leftovers.Failed('u', migration_id, **failed)
        )

    def test_what_it_made_goes_and_nothing_else(self):
        there = _Link((_PATH, '/var/img/else.raw'))
        self.assertIn(f'{_PATH} was removed', self.remove(there))
        self.assertEqual(['/var/img/else.raw'], there.files)
        self.assertEqual('', self.remove(there))

    def test_where_it_is_not_seen_to_have_stayed_nothing_goes(self):
        for source, destination, job in itertools.product(
            _S, _S, (False, True)
        ):
            stays = (source in (_S.RUNNING, _S.PAUSED), destination, job)
            if stays == (True, _S.ABSENT, False):
                continue
            there = _Link((_PATH,))
            told = self.remove(there, source, destination, job)
            self.assertIn('may be left', told)
            self.assertEqual([_PATH], there.files)

    def test_one_that_ended_before_it_was_stopped_to_go_ended_there(self):
        for source, destination in itertools.product(_S, _S):
            over = (source, destination) == (_S.SHUT_OFF, _S.ABSENT)
            stays = (
                source in (_S.RUNNING, _S.PAUSED) and destination is _S.ABSENT
            )
            there = _Link((_PATH,))
            told = self.remove(there, source, destination, never_left=True)
            self.assertIn(
                'was removed' if over or stays else 'may be left', told
            )
            self.assertEqual([] if over or stays else [_PATH], there.files)

    def test_one_that_no_definition_tells_of_may_have_run_there(self):
        """Once it was stopped to go; libvirt knows it while it runs only."""
        self.patch(_Link, 'persistent', False)
        for never_left in (False, True):
            there = _Link((_PATH,))
            told = self.remove(there, never_left=never_left)
            self.assertIn(
                'was removed' if never_left else 'may be the latest disk', told
            )
            self.assertEqual([] if never_left else [_PATH], there.files)

    def test_where_the_instance_ran_there_nothing_goes(self):
        """Nor is anybody told to delete what may be its last disk."""
        for source, destination, never_left in itertools.product(
            _S, _S, (False, True)
        ):
            there = _Link((_PATH,))
            told = self.remove(
                there,
                source,
                destination,
                never_left=never_left,
                ran_there=True,
            )
            self.assertIn(f'{_PATH}, {_OTHER} may be left: ', told)
            self.assertIn('keep what may be its latest disks', told)
            self.assertNotIn('delete', told)
            self.assertEqual([_PATH], there.files)

    def test_one_that_may_have_run_there_is_not_nobodys(self):
        told = self.remove(_Link((_PATH,)), _S.SHUT_OFF, _S.SHUT_OFF)
        self.assertIn('may be the latest disk', told)
        self.assertNotIn('delete', told)
        told = self.remove(
            _Link((_PATH,)), _S.RUNNING, _S.UNREACHABLE, never_left=True
        )
        self.assertIn("delete it if it is nobody's", told)

    def test_what_it_was_about_to_make_goes_while_it_is_empty(self):
        sizes = {_PATH: 200_000, _OTHER: 2**21}
        self.patch(
            pools, 'volume', lambda link, path: path in link.files and path
        )
        self.patch(pools, 'stored_bytes', sizes.get)
        there = _Link((_PATH, _OTHER))
        told = self.remove(there, planned=(_PATH, _OTHER))
        self.assertIn(f'{_PATH} was removed', told)
        self.assertEqual([_OTHER], there.files)

    def test_what_this_run_made_needs_no_mark(self):
        there = _Link((_PATH, _OTHER))
        told = self.remove(there, migration_id='another', made=(_PATH,))
        self.assertIn(f'{_PATH} was removed', told)
        self.assertEqual([_OTHER], there.files)

    def test_the_mark_of_another_migration_tells_nothing(self):
        there = _Link((_PATH,))
        self.assertEqual('', self.remove(there, migration_id='another'))
        self.assertEqual([_PATH], there.files)

    def test_what_somebody_has_as_a_disk_by_now_stays(self):
        there = _Link((_PATH, _OTHER), disks=(_PATH,))
        told = self.remove(there)
        self.assertIn(f'{_PATH} is a disk of another instance', told)
        self.assertEqual([_PATH], there.files)

    def test_a_host_that_does_not_answer_is_told(self):
        there = _Link((_PATH,))
        self.patch(
            there, 'call', mock.Mock(side_effect=errors.HypervisorError('no'))
        )
        self.assertIn('is not known: no', self.remove(there))
