"""What no random moment brings about, arranged on real hosts."""

import contextlib
import json
import pathlib
import random
import signal
import subprocess
import sys
import time
import uuid

from testtools import content

from kvm_balancer import errors
from kvm_balancer.lab import network
from kvm_balancer.lab import sight
from kvm_balancer.lab import waiting
from kvm_balancer.lab.faults import contract
from kvm_balancer.lab.faults import machines
from kvm_balancer.migration import request
from kvm_balancer.model import outcome
from tests.faults import laboratory
from tests.faults import phases

_PATIENCE_SECONDS = 150.0
_PROGRAM = str(pathlib.Path(sys.executable).with_name('kvm-balancer'))
_SETTING = phases.SETTINGS[contract.Phase.SWITCHOVER]
_Kind = outcome.OutcomeKind


class ArrangedTest(laboratory.LaboratoryTestCase):
    letter = 'a'

    def setUp(self):
        super().setUp()
        self.here, self.there = self.ground.lab.hosts
        self.guest = self.ground.add_guest(_SETTING.load, has_card=True)
        self.addCleanup(self._take_away)
        self._limit_wires(_SETTING.wire_mib_s)
        self.addOnException(self._tell_of_executor)
        self.watch = self.enterContext(
            sight.Watch(self.guest, self.ground.lab.hosts)
        )

    def _tell_of_executor(self, _):
        log = self.here.processes.log('executor')
        self.addDetail('executor', content.content_from_file(str(log)))

    def _take_away(self):
        phases.release(self.ground.lab.hosts)
        self._limit_wires(None)
        self.ground.lab.remove_guest(self.guest)

    def _limit_wires(self, mib_s):
        for host in self.ground.lab.hosts:
            host.limit_bandwidth(mib_s)

    def _migrate(self, phase):
        """Have the executor begin, until a phase; return the request."""
        wanted = request.Request(
            migration_id=str(uuid.uuid4()),
            instance=self.guest.uuid,
            source=self.here.name,
            destination=self.there.name,
            destination_uri=self.there.uri,
            migration_address=self.there.address,
            accepted_at=time.time(),
            options=_SETTING.options,
        )
        self.ground.executors.migrate(wanted)
        ends = self.here.name, self.there.name
        self._until(
            lambda looks: phases.reached(phase, looks, *ends), str(phase)
        )
        return wanted

    def _until(self, wanted, what):
        self.assertTrue(
            self.watch.wait(wanted, _PATIENCE_SECONDS),
            f'{what}: {self.watch.spells}',
        )

    def _until_both_are(self, state):
        self._until(
            lambda looks: {look.state for look in looks.values()} == {state},
            f'both to be {state}',
        )

    def _last_told(self, migration_id, holds, what):
        """Return what was told of it last, once that is as wanted."""
        waiting.until(
            lambda: any(
                map(holds, self.ground.outcomes.of(migration_id)[-1:])
            ),
            f'{what} to be told',
            _PATIENCE_SECONDS,
            said=lambda: str(self.ground.outcomes.of(migration_id)),
        )
        return self.ground.outcomes.of(migration_id)[-1]

    def _command(self, *words):
        """Run a command of the operator's; return how it ended."""
        conf = self.ground.lab.services.agent_configuration
        return subprocess.run(
            [_PROGRAM, f'--config-file={conf}', *words],
            capture_output=True,
            text=True,
            check=False,
        )

    def _unknown(self):
        """Return what an operator sees of what is unknown, by id."""
        said = self._command('migrations', 'list', '--unknown', '-f', 'json')
        self.assertEqual(0, said.returncode, said.stderr)
        return {row['id']: row for row in json.loads(said.stdout)}

    @contextlib.contextmanager
    def _domain(self, host):
        with contextlib.closing(host.connect()) as connection:
            yield connection.lookupByUUIDString(self.guest.uuid)

    def test_two_copies_that_run_are_suspended_and_a_person_decides(self):
        wanted = self._migrate(contract.Phase.SWITCHOVER)
        name = wanted.migration_id
        # The destination starts it, and the source never hears of that.
        phases.hold_answer(self.here, self.there)
        self._limit_wires(None)
        self._until_both_are(sight.RUNNING)
        # As libvirt has it, once it takes the destination for lost.
        waiting.until(
            lambda: bool(self.watch.twice),
            'both copies to be seen to run',
            _PATIENCE_SECONDS,
        )
        phases.release(self.ground.lab.hosts)
        self._until_both_are('paused')
        told = self._last_told(
            name, lambda one: 'ran on both ends' in one.reason, 'the two'
        )
        self.assertEqual(_Kind.UNKNOWN, told.outcome)
        self.assertIn('decide which copy stays', told.reason)
        waiting.until(
            lambda: (
                'ran on both ends'
                in self._unknown().get(name, {}).get('reason', '')
            ),
            'the operator to be told',
            _PATIENCE_SECONDS,
        )

        # Nobody moves it on meanwhile.
        again = {'migration_id': str(uuid.uuid4())}
        for source, destination in (
            (self.here, self.there),
            (self.there, self.here),
        ):
            error = self.assertRaises(
                errors.KVMBalancerError,
                self.ground.executors.migrate,
                request.Request(
                    instance=self.guest.uuid,
                    source=source.name,
                    destination=destination.name,
                    destination_uri=destination.uri,
                    accepted_at=time.time(),
                    **again,
                ),
            )
            self.assertIn('migrations list --unknown', str(error))

        said = self._command(
            *('migrations', 'settle', name, '--as', 'completed'),
            *('--reason', 'its console says so'),
        )
        self.assertEqual(0, said.returncode, said.stderr)
        told = self._last_told(
            name, lambda one: one.outcome is not _Kind.UNKNOWN, 'the end'
        )
        self.assertEqual(_Kind.COMPLETED, told.outcome)
        self.assertIn('its console says so', told.reason)
        # The marks did not wait for the next look, which is a minute away.
        self.assertNotIn('no word', str(told.story))
        waiting.until(
            lambda: name not in self._unknown(),
            'it to be unknown no more',
            _PATIENCE_SECONDS,
        )
        # Neither copy was touched; the person does that, and it goes on.
        self._until_both_are('paused')
        with self._domain(self.here) as domain:
            domain.destroy()
            domain.undefine()
        with self._domain(self.there) as domain:
            domain.resume()
        self.guest.wait_for_rounds()

    def test_a_source_that_waits_for_nobody_any_more_is_let_run_again(self):
        wanted = self._migrate(contract.Phase.SWITCHOVER)
        ends = self.here.name, self.there.name
        phases.hold_order(self.here, self.there)
        self._limit_wires(None)
        self._until(
            lambda looks: phases.reached(
                contract.Phase.HANDOVER, looks, *ends
            ),
            'all of it to be there',
        )
        waiting.until(
            lambda: phases.is_ordered(self.here, self.guest.name),
            'the order to start it there',
            _PATIENCE_SECONDS,
        )
        # The order to start it there is lost with who gave it, and who waits
        # for it does not hear so at once: the executor sees it wait.
        libvirtd = self.here.processes.find('libvirtd').pid
        self.here.kill('libvirtd', signal.SIGSTOP)
        phases.lose_order(self.here, self.there, libvirtd)
        self.here.kill('libvirtd')
        phases.release(self.ground.lab.hosts)
        self.addCleanup(network.unblock, self.here.holder)
        self.here.start_libvirtd()
        self.here.wait()

        told = self._last_told(
            wanted.migration_id, lambda one: True, 'its end'
        )
        self.assertEqual(_Kind.FAILED, told.outcome, told)
        self.assertIn('resume the source', str(told.story))
        self.assertFalse(self.watch.has_run_at(self.there.name))
        self._until(
            lambda looks: looks[self.here.name].state == sight.RUNNING,
            'it to run where it was',
        )
        self.guest.wait_for_rounds()

    def test_a_source_lost_for_longer_than_the_agent_waits_is_unknown(self):
        services = self.ground.lab.services
        self._configure(
            services.executor_configuration(self.here),
            '[host]\nstate = draining\n',
            self._restart_executor,
        )
        self._configure(
            services.agent_configuration,
            '[agent]\nmode = automatic\npolicies = drain\n'
            'command_retry_seconds = 1\ncommand_lost_seconds = 5\n'
            '[migration]\npost_copy = false\n',
            self._restart_agent,
        )
        ends = self.here.name, self.there.name
        self._until(
            lambda looks: phases.reached(
                contract.Phase.PRE_COPY, looks, *ends
            ),
            'the agent to move it away',
        )
        lost = machines.HostLost('source')
        scene = contract.Scene(
            lab=self.ground.lab,
            guest=self.guest,
            source=self.here,
            destination=self.there,
            cancel=self.fail,
            migrate=self.fail,
            chance=random.Random(1),
        )
        lost.begin(scene)
        said = self._command('migrations', 'list', '-f', 'json')
        (name,) = (
            row['id']
            for row in json.loads(said.stdout)
            if row['instance'] == self.guest.uuid
        )
        waiting.until(
            lambda: name in self._unknown(),
            'the operator to be told',
            _PATIENCE_SECONDS,
        )
        reason = self._unknown()[name]['reason']
        self.assertIn('has not answered since', reason)
        self.assertIn('is gone for good, settle it by', reason)
        told = self._last_told(name, lambda one: True, 'that nobody knows')
        self.assertEqual(_Kind.UNKNOWN, told.outcome)

        lost.heal(scene)
        told = self._last_told(
            name, lambda one: one.outcome is not _Kind.UNKNOWN, 'its end'
        )
        self.assertEqual(_Kind.FAILED, told.outcome)
        self.assertIn('shut off on the source', told.reason)
        waiting.until(
            lambda: name not in self._unknown(),
            'it to be unknown no more',
            _PATIENCE_SECONDS,
        )
        self.assertEqual('failed', self.ground.recorded(name)['outcome'])

    def _configure(self, path, more, restart):
        """Add to what a service is told, for this test."""
        before = path.read_text()

        def restore():
            path.write_text(before)
            restart()

        self.addCleanup(restore)
        path.write_text(before + more)
        restart()

    def _restart_executor(self):
        self.here.processes.stop('executor')
        self.ground.lab.services.start_executor(self.here)
        self.ground.wait_for_executor(self.here)

    def _restart_agent(self):
        services = self.ground.lab.services
        services.processes.stop('agent')
        services.start_agent()
        self.ground.wait_for_agent()

    def test_where_it_is_is_announced_by_an_executor_that_was_restarted(self):
        wanted = self._migrate(contract.Phase.PRE_COPY)
        self.here.kill('executor')
        self._limit_wires(None)
        self._until(
            lambda looks: looks[self.there.name].state == sight.RUNNING,
            'it to arrive',
        )
        self.ground.lab.services.start_executor(self.here)
        ended = self._last_told(
            wanted.migration_id, lambda one: True, 'its end'
        )
        self.assertEqual(_Kind.COMPLETED, ended.outcome, ended)
        story = [line.text for line in ended.story]
        (told,) = (line for line in story if '(the announcement)' in line)
        mac = self.guest.description.mac
        self.assertIn(
            f'{mac} is behind {network.INSIDE} of {network.BRIDGE} now', told
        )
        # Of the run before nothing is known any more but the mark.
        self.assertIn('the executor ended', story[0])
        cables = network.forwarding(self.ground.lab.description.bridge)
        self.assertEqual(self.there.description.interface, cables[mac])
