"""One run: a guest, its migration, a fault on the way, and the verdict."""

import contextlib
import dataclasses
import random
import threading
import time
import traceback
import uuid

import libvirt

from kvm_balancer import errors
from kvm_balancer.lab import sight
from kvm_balancer.lab import waiting
from kvm_balancer.lab.faults import catalogue
from kvm_balancer.lab.faults import contract
from kvm_balancer.migration import request
from tests.faults import contents
from tests.faults import expectations
from tests.faults import phases
from tests.faults import remains
from tests.faults import repair
from tests.faults import results

_PHASE_SECONDS = 60.0
#: After this, what is not as it has to be is never going to be.
SETTLE_SECONDS = 150.0
#: For a host that is not there libvirt, QEMU and executor wait in turn.
_TOLD_SECONDS = 400.0
#: Who is well now has to be so for a while.
_STEADY_SECONDS = 1.0
_PAUSE_SECONDS = 0.3
#: A phase that went by before the fault came is tried again.
_TRIES = 4
_ANOTHER_SEED = 10_000
#: In QEMU's words for a migration that is not over.
_UNDER_WAY = ('active', 'device', 'setup', 'switchover', sight.SILENT)
#: Of the runs in phases in which no disk is copied any more.
_SHARE_WITH_DISK = 1 / 3


def run(ground, fault_name, phase, seed):
    """Let one fault strike in one phase; return the result.

    A seed whose moment was missed is followed by another one.
    """
    for attempt in range(_TRIES):
        result = _Run(
            ground, fault_name, phase, seed + _ANOTHER_SEED * attempt
        ).carry_out()
        if result.struck or result.problems:
            break
    return result


class _Run:
    """One attempt."""

    def __init__(self, ground, fault_name, phase, seed):
        self._ground = ground
        self._fault = catalogue.FAULTS[fault_name]
        self._phase = phase
        self._setting = phases.SETTINGS[phase]
        self._chance = random.Random(f'{fault_name}/{phase}/{seed}')
        self._result = results.Result(
            fault_name,
            str(phase),
            seed,
            copies_disk=(
                self._chance.random() < _SHARE_WITH_DISK
                or phase is contract.Phase.STORAGE
            ),
            guarded=ground.guarded,
        )
        self._others = []

    def carry_out(self):
        """Make a guest, let it happen, and clear away."""
        result, lab = self._result, self._ground.lab
        with self._timed('guest'):
            self._free_wires(self._setting.wire_mib_s)
            guest = self._ground.add_guest(
                self._setting.load, result.copies_disk
            )
        scene = self._scene(guest)
        try:
            with self._timed('preparation'):
                self._fault.prepare(scene)
                self._ground.wait_for_executor(scene.source)
            with sight.Watch(guest, lab.hosts) as watch:
                case = expectations.Case(
                    self._ground,
                    guest,
                    watch,
                    self._wanted.migration_id,
                    self._fault,
                    self._phase,
                    _limits(guest, scene.source),
                    self._others,
                )
                if self._strike(scene, case):
                    self._settle(case)
                    self._judge(case)
                # To the end, and also where nothing else is judged.
                result.problems += expectations.twice(case)
                result.samples = watch.count
                result.longest_gap = round(watch.longest_gap, 3)
                result.spells = [
                    dataclasses.asdict(one) for one in watch.spells
                ]
        except Exception:
            result.problems.append(traceback.format_exc())
        finally:
            with self._timed('repair'):
                repair.repair(self._ground, scene, self._fault, result)
        return result

    @contextlib.contextmanager
    def _timed(self, what):
        began = time.monotonic()
        try:
            yield
        finally:
            took = time.monotonic() - began
            self._result.seconds[what] = round(took, 2)

    def _scene(self, guest):
        source, destination = self._ground.lab.hosts
        wanted = request.Request(
            # The same seed again is another migration all the same.
            migration_id=str(uuid.uuid4()),
            instance=guest.uuid,
            source=source.name,
            destination=destination.name,
            destination_uri=destination.uri,
            migration_address=destination.address,
            accepted_at=time.time(),
            options=dataclasses.replace(
                self._setting.options, copy_storage=self._result.copies_disk
            ),
        )
        self._wanted = wanted
        executors = self._ground.executors
        return contract.Scene(
            lab=self._ground.lab,
            guest=guest,
            source=source,
            destination=destination,
            cancel=lambda: executors.cancel(
                source.name, wanted.migration_id, 'the campaign'
            ),
            migrate=self._migrate_again,
            chance=self._chance,
        )

    def _migrate_again(self, source, destination):
        another = dataclasses.replace(
            self._wanted,
            migration_id=str(uuid.uuid4()),
            source=source.name,
            destination=destination.name,
            destination_uri=destination.uri,
            migration_address=destination.address,
        )
        self._ground.executors.migrate(another)
        self._others.append(another.migration_id)

    def _strike(self, scene, case):
        """Begin the migration, wait for the phase, and let it happen.

        :returns: whether it happened, and in the phase that was wanted
        """
        result, hold = self._result, self._fault.hold_seconds
        self._ground.executors.migrate(self._wanted)
        with self._timed('way to the phase'):
            result.struck = self._reach(scene, case)
        with self._timed('fault'):
            try:
                self._fault.begin(scene)
            except errors.LabError as error:
                result.struck, result.missed = False, str(error)
            phases.release(scene.lab.hosts)
            if not self._fault.until_over:
                threading.Event().wait(self._chance.uniform(*hold))
            with contextlib.suppress(errors.LabError):
                # A host that is lost has none.
                self._free_wires(None)
            if self._fault.until_over:
                self._wait_until_over(case)
            if self._fault.until_told and result.struck:
                self._wait_until_told(case)
            self._fault.heal(scene)
            self._free_wires(None)
        return result.struck

    def _reach(self, scene, case):
        """Wait for a moment in the phase; say whether it is."""
        ends = scene.source.name, scene.destination.name

        def reached(looks):
            return phases.reached(self._phase, looks, *ends)

        if self._setting.hold is not None:
            self._hold_back(scene, case)
        there = case.watch.wait(
            lambda looks: (
                reached(looks)
                or bool(self._ground.outcomes.of(case.migration_id))
            ),
            _PHASE_SECONDS,
        )
        if there and not self._fault.at_once:
            case.watch.wait(
                lambda looks: not reached(looks),
                self._chance.uniform(0.0, self._setting.strike_seconds),
            )
        now = case.watch.now()
        self._result.struck_in = ', '.join(
            f'{name} {look.state} {look.copying} pass {look.passes} '
            f'{look.disks}'.strip()
            for name, look in now.items()
        )
        self._result.missed = f'the ends were {self._result.struck_in}'
        return reached(now)

    def _hold_back(self, scene, case):
        """Hold back what would end the phase, once it cannot but come."""
        ends = scene.source.name, scene.destination.name
        case.watch.wait(
            lambda looks: phases.reached(
                contract.Phase.SWITCHOVER, looks, *ends
            ),
            _PHASE_SECONDS,
        )
        self._setting.hold(scene.source, scene.destination)
        self._free_wires(None)

    @staticmethod
    def _wait_until_over(case):
        case.watch.wait(
            lambda looks: (
                not any(
                    word in look.copying
                    for look in looks.values()
                    for word in _UNDER_WAY
                )
            ),
            _PHASE_SECONDS,
        )
        # Whoever has something to tell is to find nobody to tell it to.
        threading.Event().wait(2.0)

    def _wait_until_told(self, case):
        waiting.until(
            lambda: bool(self._ground.outcomes.of(case.migration_id)),
            'an outcome to be told',
            _TOLD_SECONDS,
        )

    def _settle(self, case):
        """Wait until all is as it has to be, or for too long."""
        began = time.monotonic()
        found, well_since = ['nothing was looked at'], None
        with self._timed('settling'):
            while time.monotonic() - began < SETTLE_SECONDS:
                try:
                    found = expectations.problems(case)
                except (
                    errors.KVMBalancerError,
                    libvirt.libvirtError,
                ) as error:
                    found = [f'it could not be looked at: {error}']
                now = time.monotonic()
                well_since = None if found else (well_since or now)
                if expectations.twice(case) or (
                    well_since and now - well_since >= _STEADY_SECONDS
                ):
                    break
                threading.Event().wait(_PAUSE_SECONDS)
        self._result.problems += found

    def _judge(self, case):
        """Look at what the guest holds, and note what was told."""
        result = self._result
        result.where = case.copies()
        with self._timed('memory and disk'):
            if case.fate is contract.Fate.PAUSED and not result.problems:
                _resume(case)
            result.problems += contents.problems(case)
            if not result.problems and not case.is_left_to_a_person():
                result.problems += _lease_problems(case)
        told = self._ground.outcomes.of(case.migration_id)
        result.outcomes = [(str(one.outcome), one.reason) for one in told]
        if told:
            first = told[0].accepted_at
            result.story = [
                f'{line.at - first:8.2f} {line.state}: {line.text}'
                for one in told
                for line in one.story
            ]

    def _free_wires(self, mib_s):
        for host in self._ground.lab.hosts:
            host.limit_bandwidth(mib_s)


def _limits(guest, host):
    with contextlib.closing(host.connect()) as connection:
        return remains.limits(connection.lookupByUUIDString(guest.uuid))


def _lease_problems(case):
    """Take back a lease that was told to be lost, as the story says how."""
    lost = remains.of_leases(case)
    running = [x for x, state in case.copies().items() if state == 'running']
    if lost and running:
        host = case.ground.lab.host(running[0])
        with contextlib.closing(host.connect()) as there:
            domain = there.lookupByUUIDString(case.guest.uuid)
            domain.suspend()
            domain.resume()
        case.watch.wait(
            lambda looks: sight.RUNNING in {x.state for x in looks.values()},
            10.0,
        )
        lost = remains.of_leases(case)
    return lost


def _resume(case):
    """Go on with what someone paused."""
    (name,) = case.copies()
    with contextlib.closing(case.ground.lab.host(name).connect()) as there:
        domain = there.lookupByUUIDString(case.guest.uuid)
        if domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED:
            domain.resume()
    case.watch.wait(
        lambda looks: sight.RUNNING in {x.state for x in looks.values()}, 10.0
    )
