"""What one host has of a domain, in the words of a migration."""

import libvirt

from kvm_balancer import errors
from kvm_balancer.migration import events
from kvm_balancer.virt.libvirt import connection

_State = events.EndState

#: By libvirt's state; the reasons below refine two of them. A domain in
#: shutdown still runs, and so may one of which nothing is said.
_STATES = {
    libvirt.VIR_DOMAIN_NOSTATE: _State.RUNNING,
    libvirt.VIR_DOMAIN_RUNNING: _State.RUNNING,
    libvirt.VIR_DOMAIN_BLOCKED: _State.RUNNING,
    libvirt.VIR_DOMAIN_PAUSED: _State.PAUSED,
    libvirt.VIR_DOMAIN_SHUTDOWN: _State.RUNNING,
    libvirt.VIR_DOMAIN_SHUTOFF: _State.SHUT_OFF,
    libvirt.VIR_DOMAIN_CRASHED: _State.SHUT_OFF,
    libvirt.VIR_DOMAIN_PMSUSPENDED: _State.PAUSED,
}

_REASONS = {
    (
        libvirt.VIR_DOMAIN_RUNNING,
        libvirt.VIR_DOMAIN_RUNNING_POSTCOPY,
    ): _State.POST_COPY,
    # Newer than the oldest libvirt that is supported; the numbers are part
    # of its interface.
    (
        libvirt.VIR_DOMAIN_RUNNING,
        getattr(libvirt, 'VIR_DOMAIN_RUNNING_POSTCOPY_FAILED', 11),
    ): _State.POST_COPY_FAILED,
    (
        libvirt.VIR_DOMAIN_PAUSED,
        libvirt.VIR_DOMAIN_PAUSED_MIGRATION,
    ): _State.PAUSED_MIGRATION,
    # An incoming domain, before its first byte (seen with libvirt 9.0).
    (
        libvirt.VIR_DOMAIN_PAUSED,
        libvirt.VIR_DOMAIN_PAUSED_STARTING_UP,
    ): _State.PAUSED_MIGRATION,
    (
        libvirt.VIR_DOMAIN_PAUSED,
        libvirt.VIR_DOMAIN_PAUSED_POSTCOPY,
    ): _State.POST_COPY,
    (
        libvirt.VIR_DOMAIN_PAUSED,
        libvirt.VIR_DOMAIN_PAUSED_POSTCOPY_FAILED,
    ): _State.POST_COPY_FAILED,
}

#: What libvirt does not migrate, as the guest has yet to see its answer.
IO_ERROR = 'an I/O error'

_TROUBLES = {
    libvirt.VIR_DOMAIN_PAUSED_IOERROR: IO_ERROR,
    libvirt.VIR_DOMAIN_PAUSED_WATCHDOG: 'its watchdog',
    libvirt.VIR_DOMAIN_PAUSED_CRASHED: 'a crash of its system',
}

_MIGRATED = (
    libvirt.VIR_DOMAIN_SHUTOFF,
    libvirt.VIR_DOMAIN_SHUTOFF_MIGRATED,
)

#: Of one that came in: its guest was never let run there.
_UNSTARTED = (
    libvirt.VIR_DOMAIN_SHUTOFF,
    libvirt.VIR_DOMAIN_SHUTOFF_FAILED,
)

_INACTIVE = (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_CRASHED)

#: What libvirt answers when it is asked for the statistics of a job that
#: brings a domain in: they are told on the source only. And when another
#: job held the domain for as long as libvirt waits.
_HELD = (
    libvirt.VIR_ERR_OPERATION_UNSUPPORTED,
    libvirt.VIR_ERR_OPERATION_INVALID,
    libvirt.VIR_ERR_OPERATION_TIMEOUT,
)


def end_state(state: int, reason: int) -> events.EndState:
    """Say in our words what libvirt's state and reason mean."""
    return _REASONS.get((state, reason), _STATES.get(state, _State.RUNNING))


def read_end(domain: connection.Handle) -> events.End:
    """Ask libvirt about one of its domains."""
    state, reason = domain.state()
    return events.End(
        end_state(state, reason),
        job_active=state not in _INACTIVE and _has_job(domain),
        detail=_detail(state, reason),
        migrated=(state, reason) == _MIGRATED,
        trouble=_trouble(state, reason),
        unstarted=(state, reason) == _UNSTARTED,
    )


def look(link: connection.Connection, uuid: str) -> events.End:
    """Look at one end; what does not answer is not absent."""
    try:
        return link.ask(
            lambda handle: read_end(handle.lookupByUUIDString(uuid))
        )
    except errors.NotFound as error:
        return events.End(_State.ABSENT, detail=str(error))
    except errors.KVMBalancerError as error:
        return events.End(_State.UNREACHABLE, detail=str(error))


def _trouble(state: int, reason: int) -> str:
    if state != libvirt.VIR_DOMAIN_PAUSED:
        return ''
    return _TROUBLES.get(reason, '')


def _has_job(domain: connection.Handle) -> bool:
    try:
        kind = domain.jobInfo()[0]
    except libvirt.libvirtError as error:
        if error.get_error_code() in _HELD:
            return True
        raise
    return bool(kind != libvirt.VIR_DOMAIN_JOB_NONE)


_PREFIXES = {
    libvirt.VIR_DOMAIN_RUNNING: 'VIR_DOMAIN_RUNNING_',
    libvirt.VIR_DOMAIN_PAUSED: 'VIR_DOMAIN_PAUSED_',
    libvirt.VIR_DOMAIN_SHUTOFF: 'VIR_DOMAIN_SHUTOFF_',
    libvirt.VIR_DOMAIN_CRASHED: 'VIR_DOMAIN_CRASHED_',
}


def _detail(state: int, reason: int) -> str:
    """Return libvirt's own words for a state and its reason."""
    prefix = _PREFIXES.get(state)
    if prefix is None:
        return f'state {state}, reason {reason}'
    main = prefix.removeprefix('VIR_DOMAIN_').rstrip('_').lower()
    for name, value in vars(libvirt).items():
        if value == reason and name.startswith(prefix):
            return f'{main} ({name.removeprefix(prefix).lower()})'
    return f'{main} (reason {reason})'
