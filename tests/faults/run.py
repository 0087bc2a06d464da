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
from kvm_balancer.lab.faults import catalogue
from kvm_balancer.lab.faults import contract
from kvm_balancer.migration import request
from tests.faults import expectations
from tests.faults import phases

_PHASE_SECONDS = 60.0
_SETTLE_SECONDS = 240.0
#: Who is well now has to be so for a while.
_STEADY_SECONDS = 1.0


@dataclasses.dataclass
class Result:
    """What came of one run.

    :ivar struck: whether the fault came in the phase that was asked for
    :ivar outcomes: as they were told on the bus, with their reasons
    :ivar where: the copies in the end, by host
    :ivar problems: what was not as it has to be; empty when it passed
    """

    fault: str
    phase: str
    seed: int
    struck: bool = False
    struck_in: str = ''
    outcomes: list = dataclasses.field(default_factory=list)
    where: dict = dataclasses.field(default_factory=dict)
    looks: list = dataclasses.field(default_factory=list)
    problems: list = dataclasses.field(default_factory=list)
    story: list = dataclasses.field(default_factory=list)
    samples: int = 0
    healed_after_seconds: float = 0.0
    settled_after_seconds: float = 0.0


def run(ground, fault_name, phase, seed):
    """Let one fault strike in one phase; return the result."""
    result = Result(fault_name, str(phase), seed)
    fault = catalogue.FAULTS[fault_name]
    chance = random.Random(f'{fault_name}/{phase}/{seed}')
    setting = phases.SETTINGS[phase]
    source, destination = ground.lab.hosts
    for host in ground.lab.hosts:
        host.limit_bandwidth(setting.wire_mib_s)
    guest = ground.add_guest(setting.load)
    wanted = request.Request(
        migration_id=str(uuid.UUID(int=chance.getrandbits(128))),
        instance=guest.uuid,
        source=source.name,
        destination=destination.name,
        destination_uri=destination.uri,
        migration_address=destination.address,
        accepted_at=time.time(),
        options=setting.options,
    )
    # The same seed again is another migration all the same.
    wanted = dataclasses.replace(wanted, migration_id=str(uuid.uuid4()))
    scene = contract.Scene(
        lab=ground.lab,
        guest=guest,
        source=source,
        destination=destination,
        cancel=lambda: ground.executors.cancel(
            source.name, wanted.migration_id, 'the campaign'
        ),
        migrate=lambda one, two: ground.executors.migrate(
            dataclasses.replace(
                wanted,
                migration_id=str(uuid.uuid4()),
                source=one.name,
                destination=two.name,
                destination_uri=two.uri,
                migration_address=two.address,
            )
        ),
        chance=chance,
    )
    try:
        fault.prepare(scene)
        with sight.Watch(guest, ground.lab.hosts) as watch:
            case = expectations.Case(
                ground, guest, watch, wanted.migration_id, fault, phase
            )
            _strike(ground, scene, case, wanted, result)
            _settle(case, result)
            result.samples = watch.count
            result.looks = [dataclasses.astuple(one) for one in watch.looks]
    except Exception:
        result.problems.append(traceback.format_exc())
    finally:
        _repair(ground, scene, fault, result)
    return result


def _strike(ground, scene, case, wanted, result):
    """Begin the migration, wait for the phase, and let it happen."""
    setting, chance = phases.SETTINGS[case.phase], scene.chance
    one, two = scene.source.name, scene.destination.name
    ground.wait_for_executor(scene.source)
    ground.executors.migrate(wanted)

    def reached(looks):
        return phases.reached(case.phase, looks, one, two)

    seen = case.watch.wait(
        lambda looks: (
            reached(looks) or bool(ground.outcomes.of(case.migration_id))
        ),
        _PHASE_SECONDS,
    )
    if seen:
        # Strikes at any moment of the phase, and not at its beginning.
        case.watch.wait(
            lambda looks: not reached(looks),
            chance.uniform(0.0, setting.strike_seconds),
        )
    now = case.watch.now()
    result.struck = reached(now)
    result.struck_in = ', '.join(
        f'{name} {look.state} {look.copying} pass {look.passes}'
        for name, look in now.items()
    )
    case.fault.begin(scene)
    began = time.monotonic()
    if case.fault.until_over:
        case.watch.wait(
            lambda looks: 'active' not in {x.copying for x in looks.values()},
            _PHASE_SECONDS,
        )
        threading.Event().wait(3.0)
    else:
        threading.Event().wait(chance.uniform(*case.fault.hold_seconds))
    case.fault.heal(scene)
    result.healed_after_seconds = time.monotonic() - began


def _settle(case, result):
    """Wait until all is as it has to be, or for too long."""
    began = time.monotonic()
    found, well_since = ['nothing was looked at'], None
    while time.monotonic() - began < _SETTLE_SECONDS:
        try:
            found = expectations.problems(case)
        except (errors.KVMBalancerError, libvirt.libvirtError) as error:
            found = [f'it could not be looked at: {error}']
        now = time.monotonic()
        well_since = None if found else (well_since or now)
        if case.watch.twice or (
            well_since and now - well_since >= _STEADY_SECONDS
        ):
            break
        threading.Event().wait(0.5)
    result.settled_after_seconds = time.monotonic() - began
    if case.fate is contract.Fate.PAUSED and not found:
        _resume(case)
    found += expectations.memory_problems(case)
    result.problems += found
    result.where = case.copies()
    told = case.ground.outcomes.of(case.migration_id)
    result.outcomes = [(str(one.outcome), one.reason) for one in told]
    if told:
        first = told[0].accepted_at
        result.story = [
            f'{line.at - first:8.2f} {line.state}: {line.text}'
            for one in told
            for line in one.story
        ]


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


def _repair(ground, scene, fault, result):
    """Make the laboratory as it was before the run."""
    lab = ground.lab
    fault.clear(scene)
    if not lab.services.bus.is_alive():
        lab.services.bus.start()
    for host in lab.hosts:
        host.plug_in()
        if not host.is_alive('holder'):
            host.up()
        host.limit_bandwidth(None)
        if not host.is_alive():
            host.start_libvirtd()
            host.wait()
        if not host.is_alive('executor'):
            lab.services.start_executor(host)
    if not lab.services.processes.is_alive('agent'):
        lab.services.start_agent()
    try:
        lab.remove_guest(scene.guest)
    except errors.LabError as error:
        result.problems.append(f'could not be cleared away: {error}')
    if result.problems:
        _start_afresh(ground)
    for host in lab.hosts:
        ground.wait_for_executor(host)
    ground.wait_for_agent()


def _start_afresh(ground):
    """Let no problem of one run become one of the next."""
    for host in ground.lab.hosts:
        host.processes.stop('executor')
        for path in host.state.iterdir():
            path.unlink()
        ground.lab.services.start_executor(host)
