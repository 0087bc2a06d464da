"""What a carrier does of an instruction, and tells where it fails."""

import logging

from kvm_balancer import errors
from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from kvm_balancer.virt import driver
from kvm_balancer.virt import lane
from kvm_balancer.virt import steady

LOG = logging.getLogger(__name__)


def delay_seconds(instruction: instructions.Instruction) -> float:
    """Say how long an instruction is to wait, for which nothing else does."""
    if isinstance(instruction, instructions.LookAtEnds):
        return instruction.delay_seconds
    return 0.0


def attempt(
    migration_id: str,
    instruction: instructions.Instruction,
    work: lane.Work,
    clock: steady.Clock,
    tell: driver.Sink,
) -> None:
    """Do *work* for an instruction; what it raises is told as a refusal.

    No answer is no refusal: it may have been carried out all the same. But a
    look changes nothing, and who waits for one has no limit.
    """
    name = type(instruction).__name__
    try:
        work()
        return
    except errors.UnreachableError as error:
        LOG.warning(
            'Migration %s: no answer to %s: %s', migration_id, name, error
        )
        if not isinstance(instruction, instructions.LookAtEnds):
            return
        text = str(error)
    except errors.KVMBalancerError as error:
        text = str(error)
    except Exception as error:
        # A lane must outlive a defect: an abort may come next.
        LOG.exception('%s of a migration broke', name)
        text = f'internal error: {error}'
    tell(events.Refused(at=clock(), cause=name, instruction=name, text=text))
