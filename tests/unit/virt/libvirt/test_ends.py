import unittest

import libvirt

from kvm_balancer import errors
from kvm_balancer.migration import events
from kvm_balancer.virt.libvirt import ends
from kvm_balancer.virt.libvirt import failures

_State = events.EndState


class Domain:
    def __init__(self, *state):
        self.state = lambda: state

    def jobInfo(self):
        return [libvirt.VIR_DOMAIN_JOB_NONE]


class EndStateTest(unittest.TestCase):
    def test_libvirts_states_and_reasons_in_our_words(self):
        cases = (
            (1, 1, _State.RUNNING),
            (1, 5, _State.RUNNING),
            (1, 10, _State.POST_COPY),
            (1, 11, _State.POST_COPY_FAILED),
            (2, 0, _State.RUNNING),
            (3, 1, _State.PAUSED),
            (3, 2, _State.PAUSED_MIGRATION),
            (3, 11, _State.PAUSED_MIGRATION),
            (3, 12, _State.POST_COPY),
            (3, 13, _State.POST_COPY_FAILED),
            (4, 1, _State.RUNNING),
            (5, 4, _State.SHUT_OFF),
            (6, 1, _State.SHUT_OFF),
            (7, 0, _State.PAUSED),
            (99, 0, _State.RUNNING),
        )
        for state, reason, expected in cases:
            with self.subTest(state=state, reason=reason):
                self.assertEqual(expected, ends.end_state(state, reason))

    def test_what_could_not_be_started_has_not_run(self):
        for reason, expected in (
            (libvirt.VIR_DOMAIN_SHUTOFF_FAILED, True),
            # as it is after libvirtd was started anew
            (libvirt.VIR_DOMAIN_SHUTOFF_UNKNOWN, False),
            (libvirt.VIR_DOMAIN_SHUTOFF_DESTROYED, False),
        ):
            end = ends.read_end(Domain(libvirt.VIR_DOMAIN_SHUTOFF, reason))
            self.assertEqual(expected, end.unstarted, reason)

    def test_what_paused_a_guest_that_nobody_wanted_paused(self):
        for state, expected in (
            ((3, libvirt.VIR_DOMAIN_PAUSED_IOERROR), ends.IO_ERROR),
            ((3, libvirt.VIR_DOMAIN_PAUSED_WATCHDOG), 'its watchdog'),
            ((3, libvirt.VIR_DOMAIN_PAUSED_USER), ''),
            # the same number, of a domain that runs
            ((1, libvirt.VIR_DOMAIN_PAUSED_IOERROR), ''),
        ):
            with self.subTest(state=state):
                end = ends.read_end(Domain(*state))
                self.assertEqual(expected, end.trouble)


class LookTest(unittest.TestCase):
    def test_only_a_denial_is_absence(self):
        class Link:
            def __init__(self, error):
                self.error = error

            def ask(self, _function):
                raise self.error

        for error, expected in (
            (errors.NotFound('no domain'), _State.ABSENT),
            (errors.HypervisorUnreachable('gone'), _State.UNREACHABLE),
            (failures.Refused('busy', 68, 10), _State.UNREACHABLE),
        ):
            with self.subTest(error):
                end = ends.look(Link(error), 'some-uuid')
                self.assertEqual(expected, end.state)
                self.assertEqual(str(error), end.detail)
