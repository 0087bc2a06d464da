"""What the campaign does not let pass."""

import types
import unittest

from kvm_balancer.lab.faults import contract
from kvm_balancer.model import outcome
from tests.faults import expectations

Kind = outcome.OutcomeKind
Phase = contract.Phase

_KEPT = 'the instance is on the source'
_MOVED = 'the instance runs on the destination'
_OFF = 'the instance is shut off on the source'
_TWICE = 'it ran on both ends: decide which copy stays'
_BLIND = 'an end cannot be asked, and what it has is not known'
_PAUSED = 'the instance is on the destination, and paused there'


def problems(
    fates, phase, copies, told, ran_there=False, twice=(), guarded=False
):
    """Say what is wrong with what is seen of an instance, and told of it.

    :param copies: what each of the two hosts has
    :param told: outcomes and reasons, in their order
    :param twice: when it ran on both
    """
    names = ('host-1', 'host-2')
    outcomes = [
        types.SimpleNamespace(
            outcome=kind,
            reason=reason,
            story=[types.SimpleNamespace(text=reason)],
        )
        for kind, reason in told
    ]
    watch = types.SimpleNamespace(
        now=lambda: {
            name: types.SimpleNamespace(state=state)
            for name, state in zip(names, copies, strict=True)
        },
        has_run_at=lambda name: ran_there,
        was_at=lambda name, wanted: wanted(
            types.SimpleNamespace(copying='completed')
        ),
        twice=list(twice),
    )
    ground = types.SimpleNamespace(
        lab=types.SimpleNamespace(
            hosts=[types.SimpleNamespace(name=name) for name in names]
        ),
        outcomes=types.SimpleNamespace(of=lambda _id: outcomes),
        guarded=guarded,
        recorded=lambda _id: {'outcome': outcomes[-1].outcome.value},
    )
    fault = types.SimpleNamespace(fates=fates, reboots=False)
    case = expectations.Case(ground, None, watch, 'm', fault, phase, {}, [])
    return [
        *expectations.twice(case),
        *expectations._of_places(case),
        *expectations._of_outcomes(case),
    ]


class PlacesAndOutcomesTest(unittest.TestCase):
    def test_what_is_as_it_has_to_be_passes(self):
        for case in (
            (
                contract.NOTHING_LOST,
                Phase.PRE_COPY,
                ('running', 'absent'),
                [(Kind.FAILED, _KEPT)],
            ),
            (
                contract.SOURCE_LOST,
                Phase.PRE_COPY,
                ('absent', 'absent'),
                [(Kind.FAILED, _OFF)],
            ),
            (
                contract.DESTINATION_LOST,
                Phase.SWITCHOVER,
                ('postmigrate', 'absent'),
                [(Kind.UNKNOWN, 'it ran there since')],
                True,
            ),
            (
                contract.SOURCE_LOST,
                Phase.POST_COPY,
                ('absent', 'running'),
                [(Kind.UNKNOWN, 'no copy is whole')],
                True,
            ),
            (
                dict.fromkeys(Phase, contract.Fate.PAUSED),
                Phase.PRE_COPY,
                ('absent', 'paused'),
                [(Kind.COMPLETED, _PAUSED)],
            ),
            (
                dict.fromkeys(Phase, contract.Fate.PAUSED),
                Phase.PRE_COPY,
                ('absent', 'running'),
                [(Kind.COMPLETED, f'{_MOVED}: somebody paused the guest')],
            ),
            (
                contract.ALL_FORGOTTEN,
                Phase.HANDOVER,
                ('postmigrate', 'absent'),
                [(Kind.UNKNOWN, 'it may have run on the destination')],
            ),
            # Told while the destination was away, and once it was back.
            (
                contract.DESTINATION_LOST,
                Phase.POST_COPY,
                ('postmigrate', 'absent'),
                [(Kind.UNKNOWN, _BLIND), (Kind.UNKNOWN, 'one end is gone')],
                True,
            ),
            # libvirt let it run again, when the destination was lost.
            (
                contract.DESTINATION_LOST,
                Phase.STARTED,
                ('running', 'absent'),
                [(Kind.UNKNOWN, 'it ran on both, or went back in time')],
                True,
            ),
            (
                contract.ANSWER_LOST,
                Phase.STARTED,
                ('paused', 'paused'),
                [(Kind.UNKNOWN, _TWICE)],
                True,
                [1.0],
            ),
            (
                contract.SOURCE_LOST,
                Phase.HANDOVER,
                ('absent', 'absent'),
                [(Kind.FAILED, _OFF)],
            ),
        ):
            with self.subTest(case=case):
                self.assertEqual([], problems(*case))

    def test_what_is_not_does_not(self):
        for words, case in (
            (
                'left paused',
                (
                    contract.SOURCE_LOST,
                    Phase.SWITCHOVER,
                    ('postmigrate', 'absent'),
                    [(Kind.FAILED, _KEPT)],
                ),
            ),
            (
                'has to run at one host',
                (
                    contract.SOURCE_LOST,
                    Phase.SWITCHOVER,
                    ('absent', 'absent'),
                    [(Kind.FAILED, _OFF)],
                    True,
                ),
            ),
            (
                'was whole, and was removed by us',
                (
                    contract.SOURCE_LOST,
                    Phase.HANDOVER,
                    ('absent', 'absent'),
                    [
                        (
                            Kind.FAILED,
                            f'{_OFF}; the unstarted copy on the destination'
                            ' was removed',
                        )
                    ],
                ),
            ),
            (
                'it has to be paused',
                (
                    dict.fromkeys(Phase, contract.Fate.PAUSED),
                    Phase.SWITCHOVER,
                    ('absent', 'running'),
                    [(Kind.COMPLETED, _MOVED)],
                ),
            ),
            *(
                (
                    words,
                    (
                        contract.ANSWER_LOST,
                        Phase.STARTED,
                        copies,
                        [told],
                        True,
                        [1.0],
                        guarded,
                    ),
                )
                for words, copies, told, guarded in (
                    (
                        'both are to be suspended',
                        ('running', 'paused'),
                        (Kind.UNKNOWN, _TWICE),
                        False,
                    ),
                    (
                        'no person was called',
                        ('paused', 'paused'),
                        (Kind.FAILED, _KEPT),
                        False,
                    ),
                    (
                        'it ran twice',
                        ('paused', 'paused'),
                        (Kind.UNKNOWN, _TWICE),
                        True,
                    ),
                )
            ),
            (
                'no word',
                (
                    contract.DESTINATION_LOST,
                    Phase.STARTED,
                    ('postmigrate', 'absent'),
                    [(Kind.FAILED, 'it is paused on the source')],
                    True,
                ),
            ),
            (
                'left paused',
                (
                    dict.fromkeys(Phase, contract.Fate.PAUSED),
                    Phase.PRE_COPY,
                    ('absent', 'paused'),
                    [(Kind.COMPLETED, _MOVED)],
                ),
            ),
            (
                'older than it was',
                (
                    contract.DESTINATION_LOST,
                    Phase.SWITCHOVER,
                    ('running', 'absent'),
                    [(Kind.FAILED, _KEPT)],
                    True,
                ),
            ),
            (
                'it is nowhere',
                (
                    contract.SOURCE_LOST,
                    Phase.PRE_COPY,
                    ('absent', 'absent'),
                    [(Kind.FAILED, _KEPT)],
                ),
            ),
            (
                'as if out of sight',
                (
                    contract.DESTINATION_LOST,
                    Phase.POST_COPY,
                    ('postmigrate', 'absent'),
                    [(Kind.UNKNOWN, f'{_BLIND}; do nothing')],
                    True,
                ),
            ),
            *(
                (
                    'no person was called',
                    (
                        contract.DESTINATION_LOST,
                        Phase.POST_COPY,
                        ('absent', 'absent'),
                        [told],
                        True,
                    ),
                )
                for told in ((Kind.FAILED, _OFF), (Kind.COMPLETED, _MOVED))
            ),
        ):
            with self.subTest(words, case=case):
                self.assertIn(words, '; '.join(problems(*case)))
