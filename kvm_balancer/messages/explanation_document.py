"""The explanation document, ``kvm-balancer/explanation/1``."""

from typing import Any
from typing import Final

import msgspec

from kvm_balancer.planner.explanation import records

SCHEMA: Final = 'kvm-balancer/explanation/1'


def to_builtins(found: records.Explanation) -> dict[str, Any]:
    """Return *found* as the dictionary that its document decodes to."""
    document: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(found))
    return {'schema': SCHEMA, **document}
