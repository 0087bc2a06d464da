"""What an explanation is asked of: an instance or a host, by its name."""

import dataclasses
import difflib

from kvm_balancer import errors
from kvm_balancer.model import fleet as columns

#: instances that are named of those that a text may mean
_NAMED = 3


@dataclasses.dataclass(frozen=True, slots=True)
class Subject:
    """An instance or a host of a fleet, by row."""

    kind: str
    row: int


def find(fleet: columns.Fleet, text: str) -> Subject:
    """Return the host or instance that *text* means.

    :param text: a host's name; an instance's id or name, or the beginning
        of its id
    :raises NotFound: when there is none, or more than one
    """
    if not text.strip():
        raise errors.NotFound(
            'there is no host or instance without a name: say which'
        )
    if text in fleet.host_row:
        return Subject('host', fleet.host_row[text])
    if text in fleet.instance_row:
        return Subject('instance', fleet.instance_row[text])
    instances = fleet.instances
    named = [row for row, name in enumerate(instances.name) if name == text]
    found = named or [
        row for row, uid in enumerate(instances.id) if uid.startswith(text)
    ]
    if len(found) == 1:
        return Subject('instance', found[0])
    if found:
        known = ', '.join(instances.id[row] for row in found[:_NAMED])
        raise errors.NotFound(
            f'{text} is {len(found)} instances: say which by its id: {known}'
        )
    near = difflib.get_close_matches(
        text, [*fleet.hosts.name, *instances.name], n=_NAMED
    )
    hint = f'; did you mean {", ".join(near)}?' if near else ''
    raise errors.NotFound(f'there is no host or instance {text}{hint}')
