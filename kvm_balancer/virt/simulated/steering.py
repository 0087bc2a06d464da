"""How instructions reach a simulated migration. Pure."""

import collections.abc

from kvm_balancer import errors
from kvm_balancer.migration import instructions
from kvm_balancer.migration import request
from kvm_balancer.virt.simulated import journey


def carry_out(
    trip: journey.Journey,
    wanted: request.Request,
    instruction: instructions.Instruction,
) -> None:
    """Let a journey do what is asked of it.

    :raises MigrationError: when that is nothing for a carrier
    """
    match instruction:
        case instructions.Start(options=options):
            trip.start(options or wanted.options)
            return
        case instructions.SetDowntime(downtime_ms=limit):
            trip.set_downtime(limit)
            return
        case instructions.SetBandwidth(mib_s=limit):
            trip.set_bandwidth(limit)
            return
    plain: dict[
        type[instructions.Instruction], collections.abc.Callable[[], None]
    ] = {
        instructions.Follow: trip.follow,
        instructions.StartPostCopy: trip.start_post_copy,
        instructions.PausePostCopy: trip.pause_post_copy,
        instructions.Recover: trip.recover,
        instructions.Abort: trip.abort,
    }
    kind = type(instruction)
    if kind not in plain:
        raise errors.MigrationError(
            f'{kind.__name__} is not an instruction that a carrier knows.'
        )
    plain[kind]()
