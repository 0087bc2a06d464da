"""The questions that are asked before Nova is asked for a migration.

Nova asks more of them, later, and says so in its record; these are those
whose answer is known at once, and names what stands in the way.
"""

from kvm_balancer import errors
from kvm_balancer.migration import events
from kvm_balancer.migration import request
from kvm_balancer.model.cloud import demand
from kvm_balancer.model.cloud import records
from kvm_balancer.model.cloud import rules
from kvm_balancer.virt.nova import api

_PASSED = events.Verdict.PASSED
_FAILED = events.Verdict.FAILED
_UNKNOWN = events.Verdict.UNKNOWN

_MARK = 'mark'


def check(nova: api.Api, wanted: request.Request) -> tuple[events.Check, ...]:
    """Ask Nova and Placement, and say what stands in the way."""
    try:
        server = nova.server(wanted.instance)
        ends = (wanted.source, wanted.destination)
        services = {host: nova.service(host) for host in ends}
    except errors.KVMBalancerError as error:
        return (
            events.Check(
                'nova',
                _FAILED,
                str(error),
                'see to [nova], and to the API',
            ),
        )
    if server is None:
        return (
            events.Check(
                'source',
                _FAILED,
                f'Nova has no server {wanted.instance}',
                'it was deleted, or belongs to another cloud',
            ),
        )
    return (
        _source(server, wanted),
        _idle(server),
        _computes(services, wanted),
        _placed(nova, server, wanted),
        events.Check(
            'downtime',
            _UNKNOWN,
            'Nova sets it, the bandwidth and the throttle by itself',
            'see live_migration_downtime in its own [libvirt]',
        ),
    )


def is_about_to_open(checks: tuple[events.Check, ...]) -> bool:
    """Say whether nothing but an old mark of Nova's stands in the way.

    nova-compute takes it off a moment after its service was enabled.
    """
    failed = [one for one in checks if one.verdict is _FAILED]
    return [one.name for one in failed] == [_MARK]


def _source(server: records.Server, wanted: request.Request) -> events.Check:
    if server.host == wanted.source:
        return events.Check('source', _PASSED)
    return events.Check(
        'source',
        _FAILED,
        f'{server.name} is on {server.host or "no host"} by now, not on '
        f'{wanted.source}',
        'see where it is: kvm-balancer instances',
    )


def _idle(server: records.Server) -> events.Check:
    name = 'server'
    if server.locked:
        return events.Check(
            name,
            _FAILED,
            f'{server.name} is locked',
            'openstack server unlock, if it may move',
        )
    if server.task_state:
        return events.Check(
            name,
            _FAILED,
            f'Nova is busy with {server.name}: {server.task_state}',
            'wait until it is done',
        )
    if server.status not in rules.MOVABLE:
        return events.Check(
            name,
            _FAILED,
            f'{server.name} is {server.status}; Nova migrates live only what '
            'is ACTIVE or PAUSED',
        )
    return events.Check(name, _PASSED)


def _computes(
    services: dict[str, records.Compute | None], wanted: request.Request
) -> events.Check:
    for host, found in services.items():
        if found is None:
            return events.Check(
                'computes',
                _FAILED,
                f'Nova has no compute {host}',
                "set [host] name of that host's executor to Nova's name",
            )
        if not found.up or found.forced_down:
            return events.Check(
                'computes',
                _FAILED,
                f'nova-compute on {host} is down',
                'see to it there',
            )
    there = services[wanted.destination]
    if there is not None and not there.enabled:
        return events.Check(
            'computes',
            _FAILED,
            f'nova-compute on {wanted.destination} is disabled'
            f'{_because(there)}',
            'openstack compute service set --enable',
        )
    return events.Check('computes', _PASSED)


def _because(found: records.Compute) -> str:
    reason = found.disabled_reason
    return f': {reason}' if reason else ''


def _placed(
    nova: api.Api, server: records.Server, wanted: request.Request
) -> events.Check:
    """Hold the destination against Placement's allocation candidates."""
    name = 'placement'
    asked = demand.of_server(server)
    try:
        provider = nova.provider(wanted.destination)
        if provider is None:
            return events.Check(
                name,
                _FAILED,
                f'{wanted.destination} has no resource provider of its own',
                'see openstack hypervisor list',
            )
        fits = nova.is_candidate(provider, asked.query())
        marked = not fits and nova.is_candidate(
            provider, asked.query(disabled=True)
        )
    except errors.UnreachableError as error:
        # It is the scheduler's question as well, and it will ask it.
        return events.Check(name, _UNKNOWN, str(error), 'see to Placement')
    except errors.KVMBalancerError as error:
        return events.Check(name, _FAILED, str(error))
    if fits:
        return events.Check(name, _PASSED)
    if marked:
        return events.Check(
            _MARK,
            _FAILED,
            f'Placement has {wanted.destination} marked as disabled '
            f'({demand.DISABLED})',
            'nova-compute takes that off when its service is enabled: see '
            'its log',
        )
    resources = ', '.join(f'{n} {one}' for one, n in asked.resources)
    traits = ''.join(f', {one}' for one in sorted(asked.required))
    return events.Check(
        name,
        _FAILED,
        f'{wanted.destination} is no allocation candidate for {resources}'
        f'{traits}',
        'make room there, or let the balancer choose another',
    )
