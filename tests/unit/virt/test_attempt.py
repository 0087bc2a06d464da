"""What a carrier tells of an instruction that broke."""

import unittest

from kvm_balancer import errors
from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from kvm_balancer.virt import attempt

_LOOK = instructions.LookAtEnds()
_ABORT = instructions.Abort()


class AttemptTest(unittest.TestCase):
    def told(self, instruction, error):
        def work():
            if error is not None:
                raise error

        told = []
        attempt.attempt('m', instruction, work, lambda: 7.0, told.append)
        return told

    def test_what_worked_is_not_told(self):
        self.assertEqual([], self.told(_ABORT, None))

    def test_what_was_answered_is_a_refusal(self):
        (told,) = self.told(_ABORT, errors.MigrationError('no job'))
        self.assertEqual(
            events.Refused(
                at=7.0, cause='Abort', instruction='Abort', text='no job'
            ),
            told,
        )

    def test_a_defect_is_a_refusal(self):
        (told,) = self.told(_ABORT, KeyError('here'))
        self.assertIn('internal error', told.text)

    def test_no_answer_is_none_but_to_a_look(self):
        """It has no limit: who waits for one would wait for ever."""
        lost = errors.UnreachableError('gone')
        self.assertEqual([], self.told(_ABORT, lost))
        (told,) = self.told(_LOOK, lost)
        self.assertEqual(('LookAtEnds', 'gone'), (told.instruction, told.text))
