"""What is moved while the agent is down is told by whose it was."""

from unittest import mock

from kvm_balancer.migration import request
from kvm_balancer.migration.options import scopes
from kvm_balancer.model import outcome
from kvm_balancer.planner import cooldown
from kvm_balancer.policies import credit
from kvm_balancer.service import commands
from kvm_balancer.service import dispatcher
from kvm_balancer.store import store as stores
from tests.fixtures import fleets
from tests.unit.store import base

HOUR = 3600.0
KINDS = outcome.OutcomeKind
LOG = 'kvm_balancer.service.remembering'


def build(home):
    return fleets.build(
        [fleets.host(name) for name in 'abc'], [fleets.instance('i', home)]
    )


class AbsenceTest(base.StoreCase):
    """An agent that sees i on a, is down for five hours, and is back."""

    def setUp(self):
        super().setUp()
        self.now = 1_000_000.0
        self.store = stores.Store(self.conf, create=True)
        self.addCleanup(self.store.close)
        self.dispatcher = self.started()
        self.dispatcher.memory.look(build('a'), self.now)
        self.dispatcher.memory.save(credit.Credits(), self.now)

    def started(self):
        made = dispatcher.Dispatcher(
            self.store,
            mock.create_autospec(commands.Executors, instance=True),
            cooldown.Cooldowns(cooldown.Params()),
            (),
            lambda host: None,
            dispatcher.Params(migration=scopes.Scopes(request.Options())),
            clock=lambda: self.now,
        )
        made.recover()
        made.memory.recover(credit.Credits())
        return made

    def come_back(self):
        self.now += 5 * HOUR
        self.dispatcher = self.started()

    def begin(self, destination='b'):
        """Have the agent ask for a migration, as it does before a crash."""
        self.wanted = base.make_request(
            instance='i',
            source='a',
            destination=destination,
            accepted_at=self.now,
        )
        self.store.migrations.record_dispatch(self.wanted, self.now)

    def ended(self, kind=KINDS.COMPLETED):
        return base.make_outcome(
            self.wanted.migration_id,
            kind,
            instance='i',
            source='a',
            destination=self.wanted.destination,
            ended_at=self.wanted.accepted_at + 60.0,
            plan_id='',
        )

    def told(self, *homes):
        """Return what is told of *homes* of the instance, looked at in turn.

        Ten minutes apart: what hosts report then is no matter of samples.
        """
        with self.assertLogs(LOG) as logged:
            for home in homes:
                self.dispatcher.memory.look(build(home), self.now)
                self.now += 600.0
        return logged.output

    def check_nothing_is_told(self, *homes):
        with self.assertNoLogs(LOG):
            for home in homes:
                self.dispatcher.memory.look(build(home), self.now)
                self.now += 600.0

    def test_a_move_by_others_is_told_once(self):
        self.come_back()
        (told,) = self.told('b', 'b')
        self.assertIn('i was moved from a to b by somebody else', told)

    def test_ours_whose_end_was_kept_just_before_a_crash_is_ours(self):
        """The fleet did not show it yet, and nothing else was kept."""
        self.begin()
        self.store.migrations.record_outcome(self.ended())
        self.come_back()
        self.check_nothing_is_told('b', 'b')

    def test_ours_that_is_told_to_have_ended_meanwhile_is_ours(self):
        """Whether it is told before the first look, or after it."""
        for first in (True, False):
            with self.subTest(first=first):
                self.setUp()
                self.begin()
                self.come_back()
                if first:
                    self.dispatcher.note_outcome(self.ended())
                self.check_nothing_is_told('b')
                self.dispatcher.note_outcome(self.ended())
                self.check_nothing_is_told('b', 'b')

    def test_ours_whose_end_nobody_knows_is_ours(self):
        self.begin()
        self.store.migrations.record_outcome(self.ended(KINDS.UNKNOWN))
        self.come_back()
        self.check_nothing_is_told('a', 'b', 'b')

    def test_ours_that_failed_explains_no_move_elsewhere(self):
        self.begin()
        self.store.migrations.record_outcome(self.ended(KINDS.FAILED))
        self.come_back()
        (told,) = self.told('c', 'c')
        self.assertIn('i was moved from a to c by somebody else', told)

    def test_ours_that_others_took_back_meanwhile_is_told(self):
        self.begin()
        self.come_back()
        self.dispatcher.note_outcome(self.ended())
        (told,) = self.told('a', 'a')
        self.assertIn('i was moved from b to a by somebody else', told)

    def test_one_of_long_ago_explains_nothing(self):
        self.begin()
        self.dispatcher.note_outcome(self.ended())
        self.check_nothing_is_told('b')
        (told,) = self.told('a')
        self.assertIn('i was moved from b to a by somebody else', told)
        self.check_nothing_is_told('a', 'a')
        self.dispatcher.memory.save(credit.Credits(), self.now)
        self.come_back()
        (told,) = self.told('b', 'b')
        self.assertIn('i was moved from a to b by somebody else', told)
