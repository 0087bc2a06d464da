"""What an instance's own metadata asks of its migrations.

Pure. The wishes of an instance are laid over the options of its migration,
and where safety is concerned the stricter of the two holds, whoever asked
for the other: an instance can always ask for a shorter stop, less throttle,
less bandwidth, less time, encryption, and to be spared post-copy, at all or
for longer, or auto-converge. It can allow itself post-copy only where the
operator lets instances do so. How the stream is carried (parallel connections,
compression) is the instance's to choose.

A wish that is not understood is not passed over: it may have been meant to
protect the instance.
"""

import collections.abc
import dataclasses
import re

from kvm_balancer import errors
from kvm_balancer.migration import request
from kvm_balancer.migration.options import strictness

#: Names and values, as they stand in the metadata.
Wishes = tuple[tuple[str, str], ...]

Value = strictness.Value

#: Of one instance in a sample, and of a name or text of one of them.
_MOST = 32
_LONGEST = 255
_MOST_PATIENCE = 1000.0
_FACTOR = re.compile(r'[0-9]+(\.[0-9]+)?')

_TRUTH = {'true': True, '1': True, 'false': False, '0': False}


@dataclasses.dataclass(frozen=True, slots=True)
class Merged:
    """Options with the wishes of an instance.

    :ivar changes: what the wishes changed, and what was not granted, one
        line each
    """

    options: request.Options
    changes: tuple[str, ...] = ()


def merge(options: request.Options, wishes: Wishes) -> Merged:
    """Lay the wishes of an instance over *options*.

    :raises MigrationError: when a wish is not understood, or contradicts
        another
    """
    merged, changes = options, []
    texts: dict[str, str] = {}
    for name, text in wishes:
        if (said := texts.setdefault(name, text)) != text:
            raise errors.MigrationError(
                f'the metadata of the instance asks for {name} twice, '
                f'{said!r} and {text!r}: leave one of the two'
            )
        rule = RULES.get(name)
        if rule is None:
            raise errors.MigrationError(
                f'the metadata of the instance asks for {name}, which is not '
                f'known; known are {", ".join(RULES)}'
            )
        before = getattr(merged, name)
        wish = rule.read(name, text)
        after = rule.settle(merged, before, wish)
        if after != before:
            merged = dataclasses.replace(merged, **{name: after})
            changes.append(
                f'{name} is {strictness.said(name, after)}, as its metadata '
                f'asks, and not {strictness.said(name, before)}'
            )
        elif wish != before:
            changes.append(
                f'{name} stays {strictness.said(name, before)}, although its '
                f'metadata asks for {strictness.said(name, wish)}'
            )
    return Merged(merged, tuple(changes))


def brief(wishes: Wishes) -> Wishes:
    """Return *wishes* as a sample has room for them.

    What is cut would not be understood, and is not understood when it is
    cut.
    """
    cut = tuple((name[:_LONGEST], text[:_LONGEST]) for name, text in wishes)
    if len(cut) <= _MOST:
        return cut
    return (*cut[: _MOST - 1], ('too_many', str(len(cut))))


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """How one wish is read, and what comes of it.

    :ivar read: of its name and text
    :ivar settle: of the options so far, the value there, and the wish
    """

    read: collections.abc.Callable[[str, str], Value]
    settle: collections.abc.Callable[[request.Options, Value, Value], Value]


def _refused(name: str, text: str, what: str) -> errors.MigrationError:
    return errors.MigrationError(
        f'the metadata of the instance asks for {name} {text!r}, which is not '
        f'{what}'
    )


def _truth(name: str, text: str) -> bool:
    try:
        return _TRUTH[text.strip().lower()]
    except KeyError:
        raise _refused(name, text, 'true or false') from None


def _whole(least: int, most: int) -> collections.abc.Callable[[str, str], int]:
    def read(name: str, text: str) -> int:
        words = text.strip()
        # isdecimal alone takes the digits of all scripts
        if words.isascii() and words.isdecimal():
            value = int(words)
            if least <= value <= most:
                return value
        raise _refused(name, text, f'a whole number from {least} to {most}')

    return read


def _factor(name: str, text: str) -> float:
    words = text.strip()
    if words.isascii() and _FACTOR.fullmatch(words):
        value = float(words)
        if 1.0 <= value <= _MOST_PATIENCE:
            return value
    raise _refused(name, text, f'a number from 1 to {_MOST_PATIENCE:g}')


def _word(name: str, text: str) -> str:
    words = text.strip()
    return '' if words == 'none' else words


def _stricter(
    name: str,
) -> collections.abc.Callable[[request.Options, Value, Value], Value]:
    stricter = strictness.STRICTER[name]

    def settle(_: request.Options, ours: Value, wish: Value) -> Value:
        return stricter(ours, wish)

    return settle


def _instances(_: request.Options, ours: Value, wish: Value) -> Value:
    return wish


def _post_copy(options: request.Options, ours: Value, wish: Value) -> Value:
    return wish and (ours or options.post_copy_by_instance)


_READ: dict[str, collections.abc.Callable[[str, str], Value]] = {
    'max_downtime_ms': _whole(1, 2_000_000),
    'max_throttle_percent': _whole(0, 99),
    'auto_converge': _truth,
    'auto_converge_initial_percent': _whole(0, 99),
    'auto_converge_increment_percent': _whole(0, 99),
    'bandwidth_mib_s': _whole(0, 1_000_000),
    'time_limit_seconds': _whole(0, 10_000_000),
    'tls': _truth,
    'post_copy_patience': _factor,
    'copy_storage': _truth,
    'storage_time_limit_seconds': _whole(0, 10_000_000),
    'keep_source_disks': _truth,
}

#: By the names of the options.
RULES: dict[str, Rule] = {
    **{name: Rule(read, _stricter(name)) for name, read in _READ.items()},
    'post_copy': Rule(_truth, _post_copy),
    'parallel_connections': Rule(_whole(0, 255), _instances),
    'compression': Rule(_word, _instances),
}
