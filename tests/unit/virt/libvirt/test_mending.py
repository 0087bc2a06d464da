"""A copy is touched where all that the mend rests on still holds."""

import types
import unittest

import libvirt

from kvm_balancer import errors
from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from kvm_balancer.migration.lifecycle import verdicts
from kvm_balancer.virt import marks
from kvm_balancer.virt import ownership
from kvm_balancer.virt.libvirt import marking
from kvm_balancer.virt.libvirt import mending
from tests.unit.migration import lives
from tests.unit.virt.libvirt import metadata

_S = events.EndState
_Action = verdicts.Action
_NOVA = "<n:instance xmlns:n='http://openstack.org/xmlns/libvirt/nova/1.1'/>"

#: What libvirt says where a domain is in a state.
_SAID = {
    _S.RUNNING: (libvirt.VIR_DOMAIN_RUNNING, 1),
    _S.PAUSED: (
        libvirt.VIR_DOMAIN_PAUSED,
        libvirt.VIR_DOMAIN_PAUSED_USER,
    ),
    _S.PAUSED_MIGRATION: (
        libvirt.VIR_DOMAIN_PAUSED,
        libvirt.VIR_DOMAIN_PAUSED_MIGRATION,
    ),
    _S.POST_COPY_FAILED: (
        libvirt.VIR_DOMAIN_PAUSED,
        libvirt.VIR_DOMAIN_PAUSED_POSTCOPY_FAILED,
    ),
    _S.SHUT_OFF: (libvirt.VIR_DOMAIN_SHUTOFF, 1),
}


class Domain(metadata.Domain):
    """Says of itself what it is told to, and notes what is done to it.

    :param states: one after the other, a look each; the last for good
    :param mark: the migration whose mark it carries; empty for none
    """

    def __init__(
        self, *states, mark='m1', persistent=True, job=False, nova=''
    ):
        super().__init__(states[0] is not _S.SHUT_OFF, persistent)
        self.states, self.job, self.nova = list(states), job, nova
        self.kept = dict.fromkeys(
            (libvirt.VIR_DOMAIN_AFFECT_LIVE, libvirt.VIR_DOMAIN_AFFECT_CONFIG),
            '',
        )
        if mark:
            marking.write(
                self, marks.Mark(mark, 'alpha', 'beta', 'qemu:///system')
            )
        self.done = []

    def setMetadata(self, kind, text, *where):
        super().setMetadata(kind, text or '', *where)

    def state(self):
        if len(self.states) > 1:
            return _SAID[self.states.pop(0)]
        return _SAID[self.states[0]]

    def jobInfo(self):
        busy = libvirt.VIR_DOMAIN_JOB_UNBOUNDED
        return [busy if self.job else libvirt.VIR_DOMAIN_JOB_NONE]

    def XMLDesc(self, flags):
        kind = 'inactive' if flags else 'active'
        return (
            f"<domain type='kvm'><name>web-1</name><title>{kind}</title>"
            f'<metadata>{self.nova}</metadata></domain>'
        )

    def destroy(self):
        self.done.append('destroy')

    def undefineFlags(self, flags):
        self.done.append(f'undefine {flags}')

    def resume(self):
        self.done.append('resume')

    def suspend(self):
        self.done.append('suspend')


class Host:
    """A connection and its handle in one, to a host with one domain or none.

    :ivar defined: the definitions that it was given
    """

    def __init__(self, domain, trouble=None):
        self.domain, self.trouble = domain, trouble
        self.defined = []

    def call(self, work):
        if self.trouble is not None:
            raise self.trouble
        return work(self)

    ask = call

    def lookupByUUIDString(self, _uuid):
        if self.domain is None:
            raise errors.NotFound('no such domain')
        return self.domain

    def defineXML(self, xml):
        self.defined.append(xml)


class Case(unittest.TestCase):
    def mender(self, source, destination, rule=ownership.Rule.ALL):
        self.hosts = [
            one if isinstance(one, Host) else Host(one)
            for one in (source, destination)
        ]
        links = types.SimpleNamespace(
            source=self.hosts[0], destination=self.hosts[1]
        )
        return mending.Mender(links, lives.wanted(), ownership.Manage(rule))

    def done(self):
        """Return what was done at each end."""
        return [
            [*host.defined, *([] if host.domain is None else host.domain.done)]
            for host in self.hosts
        ]


class MendTest(Case):
    def test_what_is_asked_for_is_done_to_that_copy_alone(self):
        gone = f'undefine {libvirt.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM}'
        waits, off, runs = _S.PAUSED_MIGRATION, _S.SHUT_OFF, _S.RUNNING
        for action, source, destination, done in (
            (_Action.DESTROY_SOURCE, waits, runs, [['destroy', gone], []]),
            (_Action.DESTROY_SOURCE, off, runs, [[gone], []]),
            (_Action.DESTROY_DESTINATION, runs, off, [[], [gone]]),
            (
                _Action.DESTROY_DESTINATION,
                runs,
                waits,
                [[], ['destroy', gone]],
            ),
            (_Action.RESUME_SOURCE, waits, waits, [['resume'], []]),
            (_Action.RESUME_DESTINATION, off, waits, [[], ['resume']]),
            (_Action.SUSPEND_BOTH, runs, runs, [['suspend'], ['suspend']]),
        ):
            with self.subTest(action=action, source=source):
                mender = self.mender(Domain(source), Domain(destination))
                text = mender.mend(
                    instructions.Mend(action, source, destination)
                )
                self.assertEqual(done, self.done())
                self.assertNotEqual('', text)

    def test_what_does_not_hold_any_more_is_refused_and_nothing_done(self):
        waits, off, runs = _S.PAUSED_MIGRATION, _S.SHUT_OFF, _S.RUNNING
        both, drop = _Action.SUSPEND_BOTH, _Action.DESTROY_SOURCE
        there = Domain(runs)
        every = ownership.Rule.ALL
        for action, source, destination, rule, why in (
            # The guest was switched over between the two looks.
            (both, Domain(runs, waits), there, every, 'changed meanwhile'),
            (drop, Domain(waits, runs), there, every, 'changed meanwhile'),
            (drop, Domain(waits), Domain(off), every, 'changed meanwhile'),
            (drop, Domain(waits), None, every, 'destination absent'),
            (
                drop,
                Domain(waits),
                Host(Domain(runs), errors.HypervisorUnreachable('silence')),
                every,
                'destination unreachable',
            ),
            (drop, Domain(waits, job=True), there, every, 'on the source'),
            (
                drop,
                Domain(waits),
                Domain(runs, job=True),
                every,
                'on the destination',
            ),
            # Somebody let it go on after both were looked at.
            (drop, Domain(waits, waits, runs), there, every, 'running by now'),
            (drop, Domain(waits, mark='m2'), there, every, 'not carry'),
            (drop, Domain(waits, mark=''), there, every, 'not carry'),
            (
                drop,
                Domain(waits),
                there,
                ownership.Rule.NONE,
                'no instance of this host is managed',
            ),
            (drop, Domain(waits, nova=_NOVA), there, every, 'Nova'),
        ):
            mender = self.mender(source, destination, rule)
            first = waits if action is drop else runs
            with self.subTest(why=why, action=action):
                self.assertRaisesRegex(
                    errors.HypervisorError,
                    why,
                    mender.mend,
                    instructions.Mend(action, first, runs),
                )
                self.assertEqual([[], []], self.done())

    def test_what_is_no_mend_is_refused(self):
        mender = self.mender(Domain(_S.RUNNING), Domain(_S.RUNNING))
        self.assertRaisesRegex(
            errors.HypervisorError,
            'nothing that can be done',
            mender.mend,
            instructions.Mend(_Action.NONE, _S.RUNNING, _S.RUNNING),
        )

    def test_one_that_cannot_be_suspended_holds_up_no_other(self):
        mender = self.mender(Domain(_S.RUNNING, mark='m2'), Domain(_S.RUNNING))
        self.assertRaisesRegex(
            errors.HypervisorError,
            '^source: .* not carry',
            mender.mend,
            instructions.Mend(_Action.SUSPEND_BOTH, _S.RUNNING, _S.RUNNING),
        )
        self.assertEqual([[], ['suspend']], self.done())


class DefinitionTest(Case):
    """The last definition of an instance goes with no copy."""

    def drop(self, source, destination):
        left = source.states[0]
        mender = self.mender(source, destination)
        mender.mend(
            instructions.Mend(_Action.DESTROY_SOURCE, left, _S.RUNNING)
        )
        return [len(host.defined) for host in self.hosts]

    def test_it_goes_over_where_the_destination_lacks_it(self):
        there = Domain(_S.RUNNING, persistent=False)
        self.assertEqual([0, 1], self.drop(Domain(_S.SHUT_OFF), there))
        self.assertIn('inactive', self.hosts[1].defined[0])

    def test_that_of_the_destination_stays_as_it_is(self):
        there = Domain(_S.RUNNING)
        self.assertEqual([0, 0], self.drop(Domain(_S.SHUT_OFF), there))

    def test_where_there_is_none_none_is_made(self):
        here = Domain(_S.PAUSED_MIGRATION, persistent=False)
        there = Domain(_S.RUNNING, persistent=False)
        self.assertEqual([0, 0], self.drop(here, there))
        self.assertEqual(['destroy'], here.done)

    def test_the_source_stays_where_it_cannot_be_had_there(self):
        stranger = Domain(_S.RUNNING, mark='m2', persistent=False)
        here = Domain(_S.SHUT_OFF)
        self.assertRaises(errors.HypervisorError, self.drop, here, stranger)
        self.assertEqual([[], []], self.done())

    def test_one_without_the_mark_is_somebody_elses(self):
        """Made anew while the copy of before still ran."""
        here = Domain(_S.PAUSED_MIGRATION)
        here.kept[libvirt.VIR_DOMAIN_AFFECT_CONFIG] = ''
        self.drop(here, Domain(_S.RUNNING))
        self.assertEqual([['destroy'], []], self.done())


class RecoveryTest(Case):
    def test_broken_post_copy_of_the_migration_is_recovered(self):
        broken = _S.POST_COPY_FAILED
        mender = self.mender(Domain(broken), Domain(broken))
        self.assertIs(broken, mender.before_recovery())

    def test_nothing_else_is(self):
        broken, runs = _S.POST_COPY_FAILED, _S.RUNNING
        for source, destination, why in (
            (Domain(runs), Domain(broken), 'source running'),
            (Domain(broken), None, 'destination absent'),
            (Domain(broken, mark='m2'), Domain(broken), 'not carry'),
            (Domain(broken), Domain(broken, nova=_NOVA), 'Nova'),
        ):
            with self.subTest(why=why):
                mender = self.mender(source, destination)
                self.assertRaisesRegex(
                    errors.HypervisorError, why, mender.before_recovery
                )


class UnmarkTest(Case):
    def marks(self):
        return [
            marking.read(host.domain)
            for host in self.hosts
            if host.domain is not None
        ]

    def test_its_mark_goes_at_both_ends(self):
        self.mender(Domain(_S.RUNNING), Domain(_S.PAUSED)).unmark()
        self.assertEqual([None, None], self.marks())

    def test_an_end_without_it_is_left_as_it_is(self):
        self.mender(Domain(_S.RUNNING, mark='m2'), None).unmark()
        (left,) = self.marks()
        self.assertEqual('m2', left.migration_id)

    def test_an_end_that_does_not_answer_holds_up_no_other(self):
        silent = Host(
            Domain(_S.PAUSED), errors.HypervisorUnreachable('silence')
        )
        mender = self.mender(silent, Domain(_S.RUNNING))
        self.assertRaisesRegex(
            errors.HypervisorError, 'silence', mender.unmark
        )
        self.assertIsNone(self.marks()[1])
