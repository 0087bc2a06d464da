"""Pre-flight in a simulated world: the same questions, the same names.

Pure. What simulated guests do not have (passed-through devices, snapshots)
is not asked about.
"""

from kvm_balancer import errors
from kvm_balancer.migration import events
from kvm_balancer.migration import request
from kvm_balancer.migration.options import combinations
from kvm_balancer.model import owners
from kvm_balancer.virt import ownership
from kvm_balancer.virt.simulated import hosts
from kvm_balancer.virt.simulated import scene

_MOVABLE = (events.EndState.RUNNING, events.EndState.PAUSED)


def check(
    around: scene.Scene,
    wanted: request.Request,
    ends: tuple[str, str],
    manage: ownership.Manage,
) -> tuple[events.Check, ...]:
    """Ask both ends, and say what stands in the way.

    :param ends: names of the hosts at which the request is made and to
        which it leads
    """
    try:
        source = around.host(ends[0])
        held = source.find(wanted.instance)
    except errors.KVMBalancerError as error:
        return (_failed('source', str(error), 'see to the source'),)
    found = [
        _passed('source'),
        _owner_check(held, manage),
        _state_check(held),
        _passed('storage'),
        _option_check(wanted.options),
    ]
    try:
        there = around.host(ends[1])
        there.answer()
    except errors.HypervisorUnreachable as error:
        remedy = f'see to the hypervisor on {wanted.destination}'
        return (*found, _failed('destination', str(error), remedy))
    found.append(_passed('destination'))
    found += _arrival_checks(source, there, held)
    return tuple(found)


def _arrival_checks(
    source: hosts.Host, there: hosts.Host, held: hosts.Holding
) -> list[events.Check]:
    if there is source:
        return [
            _failed(
                'hosts',
                'source and destination are the same host',
                'choose another destination',
            )
        ]
    return [
        _passed('hosts'),
        _passed('versions'),
        _identity_check(there, held.instance),
        _cpu_check(source, there),
        _memory_check(there, held.instance),
        _passed('path'),
    ]


def _owner_check(
    held: hosts.Holding, manage: ownership.Manage
) -> events.Check:
    owner, reason = ownership.owner_of(held.instance.marks, manage)
    if owner == owners.Owner.BALANCER:
        return _passed('owner')
    return _failed('owner', reason, 'leave it to its owner')


def _state_check(held: hosts.Holding) -> events.Check:
    if held.job_active:
        return _failed(
            'state',
            'another job, perhaps a migration, holds the instance',
            'wait for it to end, or abort it',
        )
    if held.state not in _MOVABLE:
        return _failed(
            'state',
            f'the instance is not running: {held.state}',
            'start it, or wait until what is done to it is over',
        )
    return _passed('state')


def _option_check(options: request.Options) -> events.Check:
    refused = combinations.refusals(options)
    if not refused:
        return _passed('options')
    return _failed(
        'options',
        '; '.join(one.reason for one in refused),
        '; '.join(dict.fromkeys(one.remedy for one in refused)),
    )


def _identity_check(
    there: hosts.Host, instance: hosts.Instance
) -> events.Check:
    for one in there.holdings.values():
        same = (one.instance.id, one.instance.name)
        if instance.id in same or instance.name in same:
            return _failed(
                'identity',
                'the destination has an instance with the same uuid or name '
                f'already: {one.instance.name}',
                'look at it, and remove it there when it is a left-over',
            )
    return _passed('identity')


def _cpu_check(source: hosts.Host, there: hosts.Host) -> events.Check:
    if there.facts.runs(source.facts.cpu_model):
        return _passed('cpu')
    return _failed(
        'cpu',
        f'a guest of {source.facts.cpu_model} does not run on '
        f'{there.facts.cpu_model}',
        'choose another destination, or a CPU model that all hosts offer',
    )


def _memory_check(there: hosts.Host, instance: hosts.Instance) -> events.Check:
    needed, free = instance.guest.memory_mib, there.memory_free_mib
    if free >= needed:
        return _passed('memory')
    return _failed(
        'memory',
        f'the instance needs {needed:.0f} MiB, the destination has '
        f'{free:.0f} MiB free',
        'choose another destination, or free memory there first',
    )


def _passed(name: str) -> events.Check:
    return events.Check(name, events.Verdict.PASSED)


def _failed(name: str, reason: str, remedy: str) -> events.Check:
    return events.Check(name, events.Verdict.FAILED, reason, remedy)
