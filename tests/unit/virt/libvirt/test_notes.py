"""What the events of both ends are taken for, by connections of paper."""

import unittest

import libvirt

from kvm_balancer.virt.libvirt import notes


class _Domain:
    def __init__(self, uid):
        self._uid = uid

    def UUIDString(self):
        return self._uid


class _Handle:
    """Keeps the callbacks, as libvirt does."""

    def __init__(self):
        self.callbacks = {}

    def domainEventRegisterAny(self, _domain, event, callback, _data):
        self.callbacks[event] = callback
        return len(self.callbacks)

    def lifecycle(self, uid, event, detail):
        call = self.callbacks[libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE]
        call(self, _Domain(uid), event, detail, None)


class NotesTest(unittest.TestCase):
    resumed = (
        libvirt.VIR_DOMAIN_EVENT_RESUMED,
        libvirt.VIR_DOMAIN_EVENT_RESUMED_MIGRATED,
    )

    def setUp(self):
        self.notes = notes.Notes('i1', lambda: 7.0)
        self.handle = _Handle()

    def test_a_guest_that_the_destination_lets_run_has_arrived(self):
        self.notes.listen_destination(self.handle)
        self.handle.lifecycle('another', *self.resumed)
        self.handle.lifecycle('i1', *self.resumed)
        self.assertEqual(
            notes.Note(notes.Kind.ARRIVED, 7.0), self.notes.next(0.0)
        )
        self.assertIsNone(self.notes.next(0.0))

    def test_a_source_that_goes_on_is_no_arrival(self):
        self.notes.listen_source(self.handle)
        self.handle.lifecycle('i1', *self.resumed)
        self.assertIsNone(self.notes.next(0.0))
