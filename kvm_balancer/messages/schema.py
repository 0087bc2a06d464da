"""The version that every payload carries, and what a wrong one is answered.

A payload names its schema as ``kvm-balancer/NAME/MAJOR`` or
``kvm-balancer/NAME/MAJOR.MINOR``. Within a major version keys are only ever
added, and added ones are optional: a reader ignores what it does not know.
A payload of another major version is refused.
"""

import math
from typing import Any
from typing import TypeVar

import msgspec

from kvm_balancer import errors

_Noun = TypeVar('_Noun')


def fits(found: object, wanted: str) -> bool:
    """Return whether *found* names *wanted*, in any minor version."""
    if not isinstance(found, str):
        return False
    return found == wanted or found.startswith(wanted + '.')


def wrap(schema: str, noun: Any) -> dict[str, Any]:
    """Turn a noun of the model into a payload of plain types.

    :raises DocumentError: when a number in it is none that JSON knows
    """
    payload: dict[str, Any] = {'schema': schema}
    payload.update(msgspec.to_builtins(noun))
    wrong = _not_finite(payload)
    if wrong is not None:
        raise errors.DocumentError(
            f'{schema}: {wrong} is not a number; it is not sent'
        )
    return payload


def unwrap(schema: str, payload: object, noun: type[_Noun]) -> _Noun:
    """Turn a payload of plain types into a noun of the model.

    Unknown keys are ignored.

    :raises DocumentError: one line that names the field
    """
    if not isinstance(payload, dict):
        raise errors.DocumentError(
            f'{schema}: expected an object, got {type(payload).__name__}'
        )
    found = payload.get('schema')
    if not fits(found, schema):
        raise errors.DocumentError(
            f'expected a message of schema {schema}, got '
            f'{brief(found)}: the sender may be of another release'
        )
    wrong = _not_finite(payload)
    if wrong is not None:
        raise errors.DocumentError(f'{schema}: {wrong} is not a number')
    try:
        return msgspec.convert(payload, noun)
    except (msgspec.ValidationError, TypeError) as error:
        raise errors.DocumentError(f'{schema}: {error}') from None


def check_named(schema: str, **names: str) -> None:
    """Check that what a message is about has a name.

    :param names: by the fields that they stand in
    :raises DocumentError: one line that names the first empty one
    """
    for field, name in names.items():
        if not name.strip():
            raise errors.DocumentError(
                f'{schema}: {field} is empty, and so it names nothing'
            )


def brief(value: object) -> str:
    """Show a value of someone else's on a line of ours."""
    text = repr(value)
    return text if len(text) <= 60 else f'{text[:57]}...'


def _not_finite(value: object, path: str = '') -> str | None:
    """Return the path of the first NaN or infinity in plain types."""
    if isinstance(value, float):
        return None if math.isfinite(value) else path
    children: Any = ()
    if isinstance(value, dict):
        children = ((f'{path}.{key}', one) for key, one in value.items())
    elif isinstance(value, list | tuple):
        children = ((f'{path}[{n}]', one) for n, one in enumerate(value))
    for name, child in children:
        wrong = _not_finite(child, name.lstrip('.'))
        if wrong is not None:
            return wrong
    return None
