"""What is done to copies that were left behind in a simulated world. Pure.

The same conditions as on real hosts: both ends are as they were seen, and a
copy that is touched carries the mark of the migration and is ours to move.
"""

from kvm_balancer import errors
from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from kvm_balancer.migration import request
from kvm_balancer.migration.lifecycle import verdicts
from kvm_balancer.model import owners
from kvm_balancer.virt import ownership
from kvm_balancer.virt.simulated import hosts
from kvm_balancer.virt.simulated import scene

_Action = verdicts.Action
_State = events.EndState


def mend(
    around: scene.Scene,
    wanted: request.Request,
    ends: tuple[str, str],
    manage: ownership.Manage,
    wish: instructions.Mend,
) -> str:
    """Do what *wish* says, and return it in words.

    :param ends: names of source and destination
    :raises HypervisorError: when it must not be done
    """
    here, there = (around.look(name, wanted.instance) for name in ends)
    if (here.state, there.state) != (wish.source, wish.destination):
        raise errors.HypervisorError(
            'the ends changed meanwhile: source '
            f'{here.state.value}, destination {there.state.value}'
        )
    begun = wish.job_since(here, there)
    if begun:
        raise errors.HypervisorError(
            f'a job has begun meanwhile on the {begun}'
        )
    source, destination = (around.host(name) for name in ends)

    def owned(host: hosts.Host) -> hosts.Holding:
        held = host.find(wanted.instance)
        _refuse_foreign(host, held, wanted, manage)
        return held

    match wish.action:
        case _Action.DESTROY_SOURCE:
            owned(source)
            del source.holdings[wanted.instance]
            return 'what was left on the source was removed'
        case _Action.DESTROY_DESTINATION:
            owned(destination)
            del destination.holdings[wanted.instance]
            return 'the unstarted copy on the destination was removed'
        case _Action.RESUME_SOURCE:
            _resume(owned(source))
            return 'it was resumed on the source'
        case _Action.RESUME_DESTINATION:
            _resume(owned(destination))
            return 'it was started on the destination'
        case _Action.SUSPEND_BOTH:
            for held in (owned(source), owned(destination)):
                held.state, held.executes = _State.PAUSED, False
            return 'both copies were suspended'
        case _:
            raise errors.HypervisorError(
                f'{wish.action.value} is nothing that can be done'
            )


def unmark(
    around: scene.Scene, wanted: request.Request, ends: tuple[str, str]
) -> None:
    """Take the mark of a migration off both ends.

    :raises HypervisorUnreachable: when one of them does not answer
    """
    for name in ends:
        try:
            held = around.host(name).find(wanted.instance)
        except errors.NotFound:
            continue
        if held.mark is not None and (
            held.mark.migration_id == wanted.migration_id
        ):
            held.mark = None


def _resume(held: hosts.Holding) -> None:
    held.state, held.executes = _State.RUNNING, True
    held.job_active = held.arriving = False


def _refuse_foreign(
    host: hosts.Host,
    held: hosts.Holding,
    wanted: request.Request,
    manage: ownership.Manage,
) -> None:
    name = host.facts.name
    if held.mark is None or held.mark.migration_id != wanted.migration_id:
        raise errors.HypervisorError(
            f'the copy on {name} does not carry the mark of this migration'
        )
    owner, reason = ownership.owner_of(held.instance.marks, manage)
    if owner != owners.Owner.BALANCER:
        raise errors.HypervisorError(f'the copy on {name}: {reason}')
