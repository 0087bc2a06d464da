"""Whatever befalls a migration, the machine brings its instance to one end."""

import unittest

from kvm_balancer.migration import instructions
from kvm_balancer.migration.convergence import adaptive
from kvm_balancer.migration.lifecycle import machine
from kvm_balancer.migration.lifecycle import states
from kvm_balancer.model import outcome
from tests.unit.virt.simulated import builders

_Kind = outcome.OutcomeKind
_State = states.State


class RecoveryTest(unittest.TestCase):
    def drive(self, state, befall, **options):
        """Migrate, let something happen in a state, and go on to the end.

        :returns: the world, and the outcomes and states that were told
        """
        self.world = builders.build_world()
        self.world.add_instance(
            builders.build_instance('g', 1000.0, 500.0), 'a'
        )
        self.wanted = builders.build_request('g', **options)
        self.life = machine.Machine(self.wanted, adaptive.Adaptive())
        self.told, self.seen = [], []
        self.carry_out(self.life.begin(0.0))
        waiting = True
        while not self.life.state.ended:
            if waiting and self.life.state is state:
                waiting = False
                befall()
                self.go_on(self.world.now)
            else:
                self.go_on(max(self.world.next_at, self.world.now))
        self.assertFalse(waiting)
        self.assertEqual((), tuple(self.marks()))
        return [one.outcome for one in self.told]

    def go_on(self, to):
        for told in self.world.advance(to):
            self.carry_out(self.life.handle(told.event))

    def carry_out(self, wishes):
        self.seen.append(self.life.state)
        for wish in wishes:
            match wish:
                case instructions.ReportProgress():
                    continue
                case instructions.Conclude():
                    self.told.append(wish.outcome)
                case _:
                    self.world.perform('a', self.wanted, builders.ALL, wish)

    def marks(self):
        for name in 'ab':
            for held in self.world.host(name).all_held():
                if held.mark is not None:
                    yield name

    def assert_at(self, host):
        self.assertEqual({'id-g': [host]}, self.world.executions())

    def test_a_stream_of_post_copy_that_breaks_is_recovered(self):
        told = self.drive(
            _State.POST_COPY,
            lambda: self.world.break_stream(self.wanted.migration_id),
            post_copy=True,
        )
        self.assertEqual([_Kind.COMPLETED], told)
        self.assertIn(_State.RECOVERING, self.seen)
        self.assert_at('b')

    def test_a_job_that_nobody_sees_any_more_is_followed(self):
        for state in (_State.PRE_COPY, _State.POST_COPY):
            with self.subTest(state=state):
                told = self.drive(
                    state,
                    lambda: self.world.lose_sight(self.wanted.migration_id),
                    post_copy=True,
                )
                self.assertEqual([_Kind.COMPLETED], told)
                self.assert_at('b')

    def test_a_switch_that_both_hypervisors_forgot_goes_back(self):
        told = self.drive(
            _State.SWITCHOVER,
            lambda: self.world.abandon(self.wanted.migration_id),
            auto_converge=True,
        )
        self.assertEqual([_Kind.FAILED], told)
        self.assertIn('resumed on the source', self.told[0].reason)
        self.assert_at('a')

    def test_hosts_that_are_cut_off_are_waited_for(self):
        def cut():
            self.world.set_reachable('b', False)
            self.world._scene.after(
                600.0, lambda: self.world.set_reachable('b', True)
            )

        told = self.drive(_State.POST_COPY, cut, post_copy=True)
        self.assertEqual([_Kind.UNKNOWN, _Kind.COMPLETED], told)
        self.assert_at('b')
