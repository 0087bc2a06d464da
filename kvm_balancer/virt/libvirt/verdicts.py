"""Pre-flight checks in the making: each verdict with what belongs to it."""

from kvm_balancer.migration import events


def passed(name: str, remark: str = '') -> events.Check:
    """Make a check that stands in nobody's way."""
    return events.Check(name, events.Verdict.PASSED, remark)


def failed(name: str, reason: str, remedy: str) -> events.Check:
    """Make a check that ends the migration before it began."""
    return events.Check(name, events.Verdict.FAILED, reason, remedy)


def forgone(name: str, reason: str, remedy: str) -> events.Check:
    """Make a check of a means that the migration goes without."""
    return events.Check(
        name,
        events.Verdict.FORGONE,
        f'{reason}: it goes without {name}',
        remedy,
    )


def unknown(name: str, reason: str, remedy: str = '') -> events.Check:
    """Make a check that could not tell."""
    return events.Check(name, events.Verdict.UNKNOWN, reason, remedy)
