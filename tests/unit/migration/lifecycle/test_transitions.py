import contextlib
import dataclasses
import itertools
import pathlib
import unittest

import hypothesis
from hypothesis import strategies as st

from kvm_balancer import errors
from kvm_balancer.migration import events
from kvm_balancer.migration.convergence import contract
from kvm_balancer.migration.lifecycle import diagram
from kvm_balancer.migration.lifecycle import starting
from kvm_balancer.migration.lifecycle import states
from kvm_balancer.migration.lifecycle import transitions
from kvm_balancer.model import outcome
from tests.unit.migration import lives

REFERENCE = pathlib.Path(__file__).parents[4] / 'doc' / 'source' / 'reference'


#: Silence is ended within this time, in every state.
LONGEST_SECONDS = 900.0


def reachable(start):
    found, new = set(), {start}
    while new:
        found |= new
        new = {
            target
            for (state, _), rule in transitions.TABLE.items()
            if state in new
            for target in rule.to
        } - found
    return found


class TestTable(unittest.TestCase):
    def test_from_every_state_there_is_a_way_to_an_end(self):
        for state in set(states.State):
            self.assertTrue(reachable(state) & states.ENDS, state)

    def test_every_state_is_reached(self):
        self.assertEqual(
            set(states.State),
            reachable(states.State.REQUESTED),
        )

    def test_an_end_is_for_good(self):
        for end in states.ENDS:
            self.assertEqual({end}, reachable(end))

    def test_every_event_is_known_and_can_come_somewhere(self):
        self.assertEqual(
            {kind.__name__ for kind in events.Event.__subclasses__()},
            {kind.__name__ for kind in transitions.EVENTS},
        )
        self.assertEqual(
            set(transitions.EVENTS),
            {kind for _, kind in transitions.TABLE},
        )

    def test_only_what_is_taken_up_again_leads_back(self):
        state = states.State
        order = list(states.State)
        back = {
            (before, target)
            for (before, _), rule in transitions.TABLE.items()
            for target in rule.to
            if order.index(target) < order.index(before)
        }
        followed = {state.PREPARING, state.SWITCHOVER, state.POST_COPY}
        taken_up = followed | {state.RECOVERING}
        self.assertEqual(
            {
                (state.POST_COPY_PAUSED, state.POST_COPY),
                (state.RECOVERING, state.POST_COPY),
                *((state.VERIFYING, one) for one in taken_up),
                *((state.UNKNOWN, one) for one in taken_up),
                *((state.UNKNOWN, one) for one in states.ENDS),
            },
            back,
        )

    def test_cancel_can_be_asked_for_in_every_state(self):
        for state in set(states.State):
            self.assertIn((state, events.CancelAsked), transitions.TABLE)

    def test_the_documentation_is_drawn_from_it(self):
        for name, text in (
            ('migration-states.rst', diagram.rst()),
            ('migration-states.dot', diagram.dot()),
        ):
            self.assertEqual(
                (REFERENCE / name).read_text(),
                text,
                'run doc/draw_states.py',
            )


END_STATES = st.sampled_from(events.EndState)
ENDS = st.builds(events.End, END_STATES, st.booleans())
STATISTICS = st.builds(
    events.Statistics,
    remaining_mib=st.floats(0, 1e4),
    bandwidth_mib_s=st.floats(0, 1e3),
    iteration=st.integers(0, 9),
    throttle_percent=st.integers(0, 99),
    disk_remaining_mib=st.sampled_from([0.0, 5.0]),
)
INSTRUCTIONS = st.sampled_from(
    [
        *('Check', 'Start', 'Follow', 'SetDowntime', 'SetBandwidth'),
        *('Abort', 'Recover', 'PausePostCopy', 'Mend', 'Unmark'),
        'LookAtEnds',
    ]
)
FIELDS = {
    events.Checked: {
        'checks': st.lists(
            st.builds(
                events.Check,
                st.just('memory'),
                st.sampled_from(
                    [events.Verdict.PASSED, events.Verdict.UNKNOWN]
                ),
            ),
            max_size=2,
        ).map(tuple)
    },
    events.Reserved: {'checks': st.sampled_from([(), (lives.RESERVED,)])},
    events.BandwidthShared: {'mib_s': st.integers(0, 900)},
    events.Progressed: {'statistics': STATISTICS},
    events.PassEnded: {'statistics': STATISTICS},
    events.JobSettled: {
        'statistics': STATISTICS,
        'downtime_ms': st.none() | st.floats(0, 100),
    },
    events.Refused: {'instruction': INSTRUCTIONS, 'text': st.just('no')},
    events.CallReturned: {
        'error': st.sampled_from(['', 'lost']),
        'events_lost': st.booleans(),
    },
    events.EndsSeen: {'source': ENDS, 'destination': ENDS},
    events.Mended: {'text': st.just('done')},
}
ANY_EVENT = st.one_of(
    *(
        st.builds(
            kind,
            at=st.just(0.0),
            cause=st.just('chance'),
            **FIELDS.get(kind, {}),
        )
        for kind in transitions.EVENTS
    )
)
DECISIONS = st.one_of(
    st.builds(contract.CarryOn, st.just('')),
    st.builds(contract.RaiseDowntime, st.just(''), st.integers(-5, 9000)),
    st.builds(contract.StartPostCopy, st.just('')),
    st.builds(contract.GiveUp, st.just('')),
)


class TestAnyOrder(unittest.TestCase):
    @hypothesis.settings(max_examples=500)
    @hypothesis.given(
        st.lists(st.tuples(ANY_EVENT, st.floats(0, 40)), max_size=60),
        st.lists(DECISIONS, max_size=20),
        st.booleans(),
        st.booleans(),
    )
    def test_the_rules_hold(self, story, decisions, post_copy, doubts):
        """No abort after post-copy, one start, one end, known limits.

        Also where what is impossible puts all in doubt.
        """
        life = lives.Life(*decisions, post_copy=post_copy)
        life.unmarks = False
        life.checked()
        for event, after in story:
            life.now += after
            event = type(event)(
                at=life.now,
                **{
                    name: getattr(event, name)
                    for name in event.__dataclass_fields__
                    if name != 'at'
                },
            )
            before = life.machine.state
            if isinstance(event, events.EndsSeen) or (
                isinstance(event, events.Refused)
                and event.instruction == 'LookAtEnds'
            ):
                life.wishes.append(event)
            broken = (events.PostCopyBegun, events.PostCopyBroke)
            known = (before, type(event)) in transitions.TABLE
            if known and isinstance(event, broken):
                life.wishes.append(event)
            try:
                life.wishes.extend(life.machine.handle(event))
            except errors.MigrationError as error:
                self.assertFalse(known)
                self.assertEqual(before, life.machine.state)
                self.assertEqual(life.machine.story, error.story)
                if doubts:
                    self.doubt(life, event)
        self.check(life, post_copy)

    @hypothesis.settings(max_examples=200)
    @hypothesis.given(
        st.lists(
            st.sampled_from([events.Ticked, events.BandwidthShared]),
            max_size=20,
        ),
        st.floats(0.0, 5.0),
        st.booleans(),
    )
    def test_before_the_start_silence_comes_to_an_end(
        self, story, after, is_checked
    ):
        """Whether nobody answers Check or Reserve, whatever else comes."""
        life = lives.Life()
        life.wishes.extend(life.machine.begin(life.now))
        if is_checked:
            life.tell(events.Checked, checks=())
        for kind in story:
            life.tell(
                kind, after, **({} if kind is events.Ticked else {'mib_s': 9})
            )
        while not life.machine.state.ended:
            self.assertLess(life.now, 100.0 + starting.CHECK_SECONDS + 60.0)
            life.tell(events.Ticked)
        self.assertEqual(states.State.FAILED, life.machine.state)
        self.assertNotIn('Start', life.names)
        self.assertEqual(is_checked, 'Release' in life.names)

    @hypothesis.settings(max_examples=200)
    @hypothesis.given(
        st.lists(st.tuples(ANY_EVENT, st.floats(0, 40)), max_size=20),
        st.lists(DECISIONS, max_size=5),
    )
    def test_silence_leads_to_a_look_or_an_end(self, story, decisions):
        """Wherever a story has led: nobody is waited for for ever."""
        life = lives.Life(*decisions, post_copy=True)
        life.checked()
        for event, after in story:
            life.now += after
            with contextlib.suppress(errors.MigrationError):
                life.machine.handle(dataclasses.replace(event, at=life.now))
        self.silence(life)

    def silence(self, life):
        """Let time alone go on, until both ends are looked at."""
        state = life.machine.state
        since = life.now
        before = len(life.wishes)
        while not self.is_looked_into(life, before):
            self.assertLess(life.now, since + LONGEST_SECONDS, state)
            life.tell(events.Ticked, after=10.0)

    def is_looked_into(self, life, before):
        """Say whether it ended, or looks were asked for."""
        state = life.machine.state
        looking = (states.State.VERIFYING, states.State.UNKNOWN)
        asked = {type(wish).__name__ for wish in life.wishes[before:]}
        return state.ended or state in looking or 'LookAtEnds' in asked

    def test_from_every_state_silence_leads_to_a_look_or_an_end(self):
        began = (events.PostCopyBegun, {})
        broke = (events.PostCopyBroke, {})
        passed = (events.PassEnded, {'statistics': lives.seen(2)})
        disks = events.Statistics(disk_total_mib=9.0, disk_remaining_mib=5.0)
        failed = events.End(events.EndState.POST_COPY_FAILED)
        look = (events.EndsSeen, {'source': failed, 'destination': failed})
        call = (events.CallReturned, {'error': 'lost'})
        ways = {
            states.State.PREPARING: [],
            states.State.COPYING_STORAGE: [
                (events.Progressed, {'statistics': disks})
            ],
            states.State.PRE_COPY: [passed],
            states.State.SWITCHOVER: [passed, (events.SourceStopped, {})],
            states.State.POST_COPY: [passed, began],
            states.State.POST_COPY_PAUSED: [passed, began, broke],
            states.State.RECOVERING: [began, broke, call, *[look] * 3],
            states.State.FINISHING: [
                passed,
                (events.JobSettled, {'statistics': lives.seen(2)}),
            ],
        }
        for state, way in ways.items():
            for asked in (False, True):
                with self.subTest(state=state, asked=asked):
                    self.silence(self.led(state, way, asked))
        before = {states.State.REQUESTED, states.State.PRE_FLIGHT}
        looks = {states.State.VERIFYING, states.State.UNKNOWN}
        self.assertEqual(
            set(states.State),
            ways.keys() | before | looks | states.ENDS,
        )

    def led(self, state, way, asked):
        """Lead a migration to *state*, post-copy asked for on the way."""
        life = lives.Life(post_copy=True)
        life.checked()
        for kind, fields in way:
            if asked and kind is events.PassEnded:
                life.tell(events.Progressed, statistics=lives.seen(1))
                life.policy.decisions = [contract.StartPostCopy('')]
            life.tell(kind, **fields)
        self.assertIs(state, life.machine.state)
        return life

    def doubt(self, life, event):
        ended = life.machine.state.ended
        new = life.machine.doubt(life.now, event)
        life.wishes.extend(new)
        names = {type(wish).__name__ for wish in new}
        if ended:
            self.assertEqual(set(), names)
        else:
            self.assertEqual(states.State.UNKNOWN, life.machine.state)
            # One that is still to come will do.
            asked = [
                name
                for name in life.names
                if name in ('LookAtEnds', 'EndsSeen', 'Refused')
            ]
            self.assertEqual('LookAtEnds', asked[-1])
            self.assertLessEqual(names, {'Conclude', 'LookAtEnds'})

    def check(self, life, post_copy):
        names = life.names
        self.assertEqual(1, names.count('Start'))
        self.assertEqual(1, names.count('Reserve'))
        self.check_outcomes(life)
        self.check_mends(life)
        if not post_copy:
            self.assertNotIn('StartPostCopy', names)
        for point in ('StartPostCopy', 'PostCopyBegun', 'PostCopyBroke'):
            if point in names:
                after = names[names.index(point) :]
                self.assertNotIn('Abort', after)
        for wish in life.wishes:
            if type(wish).__name__ == 'SetDowntime':
                self.assertTrue(1 <= wish.downtime_ms <= 500)
        if life.machine.state.ended:
            last = max(i for i, name in enumerate(names) if name == 'Conclude')
            self.assertLessEqual(
                set(names[last + 1 :]),
                {'PostCopyBegun', 'PostCopyBroke', 'EndsSeen'},
            )

    def check_outcomes(self, life):
        """Unknown once a finding, and what is known once at the end."""
        concluded = [
            wish.outcome
            for wish in life.wishes
            if type(wish).__name__ == 'Conclude'
        ]
        for one, another in itertools.pairwise(concluded):
            self.assertNotEqual(one.reason, another.reason)
        told = [one.outcome for one in concluded]
        unknown = outcome.OutcomeKind.UNKNOWN
        ended = life.machine.state.ended
        self.assertEqual(int(ended), len(told) - told.count(unknown))
        self.assertEqual(bool(told), life.machine.outcome is not None)
        self.assertEqual(int(ended), life.names.count('Release'))
        if ended:
            self.assertIsNot(unknown, told[-1])

    def check_mends(self, life):
        """Nothing is mended but what three looks in a row have shown."""
        looks = []
        for wish in life.wishes:
            match type(wish).__name__:
                case 'EndsSeen':
                    looks.append((wish.source.state, wish.destination.state))
                case 'Mend':
                    seen = (wish.source, wish.destination)
                    self.assertEqual([seen] * 3, looks[-3:])
                case 'Recover':
                    self.assertGreaterEqual(len(looks), 3)
