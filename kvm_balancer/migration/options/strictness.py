"""Which of two values of an option is the stricter one.

Pure. Where several have a say in a migration and safety is concerned, the
stricter of them is heeded: the guest stands still, is slowed down and is
risked as little as any of them allows.
"""

import collections.abc
from typing import Any

from kvm_balancer.migration import qemu

#: Of an option: a truth value, a number or a word.
Value = Any


def lower(one: Value, other: Value) -> Value:
    """Return the lower one."""
    return min(one, other)


def higher(one: Value, other: Value) -> Value:
    """Return the higher one."""
    return max(one, other)


def lower_limit(one: Value, other: Value) -> Value:
    """Return the lower of two limits, of which 0 is none."""
    return min(filter(None, (one, other)), default=0)


def gentler(
    own: int,
) -> collections.abc.Callable[[Value, Value], Value]:
    """Make the choice of the lower one, where 0 is the hypervisor's own.

    :param own: what that is
    """

    def choose(one: Value, other: Value) -> Value:
        return min(one, other, key=lambda percent: percent or own)

    return choose


def both(one: Value, other: Value) -> Value:
    """Return what both allow."""
    return one and other


def either(one: Value, other: Value) -> Value:
    """Return what any of them asks for."""
    return one or other


#: By the names of the options. Those that are not here say how the stream is
#: carried, and how long is tried: no value of them is the safer one.
STRICTER: dict[str, collections.abc.Callable[[Value, Value], Value]] = {
    'auto_converge': both,
    'auto_converge_initial_percent': gentler(qemu.FIRST_THROTTLE_PERCENT),
    'auto_converge_increment_percent': gentler(qemu.THROTTLE_STEP_PERCENT),
    'max_throttle_percent': lower,
    'post_copy': both,
    'post_copy_by_instance': both,
    'post_copy_patience': higher,
    'max_downtime_ms': lower,
    'bandwidth_mib_s': lower_limit,
    'time_limit_seconds': lower_limit,
    'tls': either,
    'copy_storage': both,
    'storage_time_limit_seconds': lower_limit,
    'keep_source_disks': either,
    'trust_disk_paths': both,
}


def said(name: str, value: Value) -> str:
    """Say a value of an option to a person.

    0 is said for what it means there, and so is an empty word; true and false
    as they stand in metadata.
    """
    if value == '':
        return 'none'
    if isinstance(value, bool):
        return str(value).lower()
    if value:
        return str(value)
    rule = STRICTER.get(name)
    if rule is lower_limit:
        return 'unlimited'
    if name.startswith('auto_converge_'):
        return "the hypervisor's own"
    return str(value)
