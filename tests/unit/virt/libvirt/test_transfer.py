"""Images are removed only where both ends say that nobody needs them."""

import dataclasses
import itertools
import unittest
from unittest import mock

from kvm_balancer import errors
from kvm_balancer.migration import events
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import documents
from kvm_balancer.virt.libvirt import failures
from kvm_balancer.virt.libvirt import images
from kvm_balancer.virt.libvirt import jobs
from kvm_balancer.virt.libvirt import pools
from kvm_balancer.virt.libvirt import transfer

_S = events.EndState
_COPY = images.Copy('vda', '/var/img/web.qcow2', 'qcow2', 100, 40)
_SECOND = images.Copy('vdb', '/var/img/data.raw', 'raw', 100, 40)


class _Link(connection.Connection):
    def __init__(self):
        """Reach nobody."""

    def call(self, function):
        return function(self)


class TransferTest(unittest.TestCase):
    def setUp(self):
        super().setUp()
        self.here, self.there = _Link(), _Link()
        self.deleted, self.written = [], []
        self.created = []
        self.patch('pool', lambda handle, place: handle)
        self.patch('create', self.create)
        self.patch('delete', self.delete)

    def patch(self, name, value):
        patched = mock.patch.object(pools, name, value)
        patched.start()
        self.addCleanup(patched.stop)

    def create(self, found, path, *_):
        if path in self.created:
            raise failures.Refused('it is there', 90, 18)
        self.created.append(path)

    def write_down(self, made):
        self.written.append((list(self.created), made.planned, made.made))

    def delete(self, handle, path):
        self.deleted.append((handle, path))

    def prepared(self, keep=True, error=None, copies=(_COPY,)):
        made = transfer.Transfer(copies, keep)
        made.prepare(self.there, lambda: None)
        if error is not None:
            made.returned(error)
        return made

    def settle(self, made, source, destination, job=False):
        return made.settle(
            events.End(source, job_active=job),
            events.End(destination),
            self.here,
            self.there,
        )

    def test_without_disks_there_is_nothing_to_ask_of_libvirt(self):
        self.assertEqual((), transfer.Transfer((), True).targets)
        self.assertEqual(0, transfer.Transfer((), True).flag)
        made = transfer.Transfer((_COPY, _SECOND), True)
        self.assertEqual(('vda', 'vdb'), made.targets)
        self.assertEqual(jobs.ALL_OF_DISKS, made.flag)
        over = documents.Backing('file', '/var/img/base.raw', 'raw')
        laid = dataclasses.replace(_COPY, backing=over)
        for copies in ((laid,), (_SECOND, laid)):
            made = transfer.Transfer(copies, True)
            self.assertEqual(jobs.TOP_OF_DISKS, made.flag)

    def test_what_was_made_goes_when_another_cannot_be_made(self):
        self.created.append(_SECOND.path)
        made = transfer.Transfer((_COPY, _SECOND), True)
        self.assertRaises(
            errors.MigrationError,
            made.prepare,
            self.there,
            lambda: self.write_down(made),
        )
        self.assertEqual([(self.there, _COPY.path)], self.deleted)
        self.assertEqual(((), ()), self.written[-1][1:])
        # and what was there before is nobody's to remove
        made.returned('refused')
        self.assertEqual('', self.settle(made, _S.RUNNING, _S.ABSENT))

    def test_what_is_to_be_made_is_written_down_before_it_is(self):
        made = transfer.Transfer((_COPY, _SECOND), True)
        made.prepare(self.there, lambda: self.write_down(made))
        both = (_COPY.path, _SECOND.path)
        self.assertEqual([([], both, ())], self.written)
        self.assertEqual(((), both), (made.planned, made.made))

    def test_what_cannot_be_written_down_is_not_made(self):
        made = transfer.Transfer((_COPY,), True)
        refuse = mock.Mock(side_effect=errors.HypervisorError('gone'))
        self.assertRaises(
            errors.HypervisorError, made.prepare, self.there, refuse
        )
        self.assertEqual(([], ()), (self.created, made.made))

    def test_after_a_failure_the_copies_go(self):
        made = self.prepared(error='aborted')
        self.assertEqual(
            '', self.settle(made, _S.RUNNING, _S.ABSENT, job=True)
        )
        said = self.settle(made, _S.RUNNING, _S.ABSENT)
        self.assertIn(f'{_COPY.path} was removed', said)
        self.assertEqual([(self.there, _COPY.path)], self.deleted)
        self.assertEqual('', self.settle(made, _S.RUNNING, _S.ABSENT))

    def test_copies_that_the_guest_ran_on_stay(self):
        """Also with the source running: they may be the latest."""
        for source, destination in itertools.product(_S, _S):
            self.created.clear()
            made = self.prepared(error='lost')
            said = made.settle(
                events.End(source),
                events.End(destination),
                self.here,
                self.there,
                ran_there=True,
            )
            self.assertEqual([], self.deleted)
            moved = transfer.moved(events.End(source), events.End(destination))
            self.assertIs(moved, 'on the source' in said)
            self.assertNotIn('on the destination', said)

    def test_after_a_success_the_originals_stay_unless_they_shall_not(self):
        made = self.prepared(error='')
        said = self.settle(made, _S.ABSENT, _S.RUNNING)
        self.assertIn('is left as it was', said)
        self.assertEqual([], self.deleted)
        self.created.clear()
        made = self.prepared(keep=False, error='')
        self.settle(made, _S.ABSENT, _S.RUNNING)
        self.assertEqual([(self.here, _COPY.path)], self.deleted)

    def test_of_one_that_was_moved_all_the_same_nothing_goes(self):
        """Its call failed: that it is whole there nobody says."""
        for keep in (True, False):
            self.created.clear()
            made = self.prepared(keep=keep, error='lost')
            said = self.settle(made, _S.SHUT_OFF, _S.RUNNING)
            self.assertIn(f'on the source, {_COPY.path} is left', said)
            self.assertEqual('', self.settle(made, _S.ABSENT, _S.RUNNING))
        self.assertEqual([], self.deleted)

    def test_where_it_is_not_certain_nothing_is_touched(self):
        certain = {
            ('aborted', _S.RUNNING, _S.ABSENT),
            ('aborted', _S.PAUSED, _S.ABSENT),
            *(
                (error, gone, here)
                for error in ('', 'aborted')
                for gone in (_S.ABSENT, _S.SHUT_OFF)
                for here in (_S.RUNNING, _S.PAUSED)
            ),
        }
        for case in itertools.product((None, '', 'aborted'), _S, _S):
            if case in certain:
                continue
            with self.subTest(case):
                error, source, destination = case
                self.created.clear()
                made = self.prepared(keep=False, error=error)
                self.assertEqual('', self.settle(made, source, destination))
                self.assertEqual([], self.deleted)
