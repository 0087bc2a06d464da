"""A connection to nothing, and to libvirt's own test driver."""

import threading
import unittest

from kvm_balancer import errors
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import failures


class ConnectionTest(unittest.TestCase):
    def link(self, uri='test:///default', **rest):
        link = connection.Connection(uri, **rest)
        self.addCleanup(link.close)
        return link

    def test_errors_of_libvirt_become_ours(self):
        link = self.link()
        with self.assertRaises(errors.NotFound):
            link.call(lambda handle: handle.lookupByName('nobody'))
        with self.assertRaises(failures.Refused) as raised:
            link.call(lambda handle: handle.lookupByName('test').create())
        self.assertTrue(raised.exception.code)

    def test_libvirt_itself_keeps_a_reader_from_writing(self):
        link = self.link(read_only=True)
        link.call(lambda handle: handle.lookupByName('test').XMLDesc())
        for write in ('suspend', 'destroy', 'abortJob', 'undefine'):
            with (
                self.subTest(write),
                self.assertRaisesRegex(failures.Refused, 'read only|forbid'),
            ):
                link.call(
                    lambda handle, name=write: getattr(
                        handle.lookupByName('test'), name
                    )()
                )

    def test_who_does_not_answer_is_told_in_one_line_with_the_uri(self):
        for uri in (
            'nonsense',
            'nonsense:///system',
            'qemu+tcp://127.0.0.1:1/system',
            'qemu+unix:///system?socket=/nowhere',
        ):
            link = self.link(uri)
            with (
                self.subTest(uri),
                self.assertRaises(errors.HypervisorUnreachable) as raised,
            ):
                link.call(lambda handle: handle.getHostname())
            self.assertIn(uri, str(raised.exception))
            self.assertNotIn('\n', str(raised.exception))

    def test_a_closed_connection_is_not_opened_again(self):
        link = self.link()
        link.call(lambda handle: handle.getHostname())
        link.close()
        with self.assertRaises(errors.HypervisorUnreachable):
            link.call(lambda handle: handle.getHostname())

    def test_opening_is_bounded_and_tried_once_at_a_time(self):
        opening, go_on = [], threading.Event()
        self.addCleanup(go_on.set)

        def on_open(handle):
            opening.append(handle)
            go_on.wait()
            return []

        link = self.link(
            timing=connection.Timing(open_seconds=0.01), on_open=on_open
        )
        for _ in range(3):
            with self.assertRaises(errors.HypervisorUnreachable):
                link.call(lambda handle: handle.getHostname())
        self.assertEqual(1, len(opening))

    def test_an_answer_that_does_not_come_is_not_waited_for(self):
        """Who asks next is answered."""
        go_on = threading.Event()
        self.addCleanup(go_on.set)
        link = self.link(
            timing=connection.Timing(answer_seconds=0.1, open_seconds=0.1)
        )
        link.call(lambda handle: handle.getHostname())
        with self.assertRaisesRegex(
            errors.HypervisorUnreachable, 'the QEMU of a domain hangs'
        ):
            link.ask(lambda handle: go_on.wait())

    def test_an_answer_and_an_error_are_those_of_the_call(self):
        link = self.link()
        self.assertEqual(
            link.call(lambda handle: handle.getHostname()),
            link.ask(lambda handle: handle.getHostname()),
        )
        with self.assertRaises(errors.NotFound):
            link.ask(lambda handle: handle.lookupByName('nobody'))

    def test_threads_share_one_connection(self):
        opened = []
        link = self.link(on_open=lambda handle: opened.append(handle) or [])
        threads = [
            threading.Thread(
                target=link.call, args=(lambda handle: handle.getHostname(),)
            )
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(1, len(opened))
