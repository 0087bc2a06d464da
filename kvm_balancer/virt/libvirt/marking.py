"""The mark of a migration in the metadata of its domain.

An element in a namespace of its own, so that it takes nothing of what an
operator keeps there. libvirt carries it to the destination with the rest of
the definition. The running domain carries it, and its definition where it
has one: a copy that is left shut off is known by it as well.
"""

import collections.abc
import dataclasses
from typing import Any
from xml.etree import ElementTree

import libvirt

from kvm_balancer.virt import marks
from kvm_balancer.virt import ownership
from kvm_balancer.virt.libvirt import connection

NAMESPACE = f'{ownership.NAMESPACE}/migration'

_KEY = 'kvm-balancer-migration'
_ELEMENT = libvirt.VIR_DOMAIN_METADATA_ELEMENT
_CURRENT = libvirt.VIR_DOMAIN_AFFECT_CURRENT
_CONFIG = libvirt.VIR_DOMAIN_AFFECT_CONFIG
_LIVE = libvirt.VIR_DOMAIN_AFFECT_LIVE


def write(domain: connection.Handle, mark: marks.Mark) -> None:
    """Mark a domain; whoever marked it before has ended."""
    element = ElementTree.Element(
        'migration',
        {
            'id': mark.migration_id,
            'source': mark.source,
            'destination': mark.destination,
            'uri': mark.destination_uri,
            'accepted': repr(mark.accepted_at),
        },
    )
    for name, paths in (('image', mark.images), ('planned', mark.planned)):
        for path in paths:
            ElementTree.SubElement(element, name, {'path': path})
    if mark.limits is not None:
        ElementTree.SubElement(
            element, 'limits', _texts(dataclasses.asdict(mark.limits))
        )
    for card in mark.cards:
        ElementTree.SubElement(
            element, 'card', _texts(dataclasses.asdict(card))
        )
    domain.setMetadata(
        _ELEMENT,
        ElementTree.tostring(element, 'unicode'),
        _KEY,
        NAMESPACE,
        _places(domain),
    )


def read(
    domain: connection.Handle, defined: bool = False
) -> marks.Mark | None:
    """Return the mark of a domain; None where there is none.

    :param defined: that of its definition, also while it runs
    """
    try:
        text = domain.metadata(
            _ELEMENT, NAMESPACE, _CONFIG if defined else _CURRENT
        )
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN_METADATA:
            return None
        raise
    return parse(text)


def erase(domain: connection.Handle, migration_id: str) -> bool:
    """Take the mark of a migration off a domain, if that is its mark.

    :returns: whether it was
    """
    found = read(domain)
    if found is None or found.migration_id != migration_id:
        return False
    domain.setMetadata(_ELEMENT, None, _KEY, NAMESPACE, _places(domain))
    return True


def parse(text: str) -> marks.Mark | None:
    """Read a mark; None where it is none of ours, whoever wrote it."""
    try:
        # libvirt parsed it before, and expands no entity of a guest's
        element = ElementTree.fromstring(text)  # noqa: S314
        accepted = float(element.get('accepted') or 0.0)
        mark = _read(element, accepted)
    except (ElementTree.ParseError, KeyError, ValueError):
        return None
    named = (mark.migration_id, mark.source, mark.destination)
    return mark if all(named) else None


def _read(element: ElementTree.Element, accepted: float) -> marks.Mark:
    return marks.Mark(
        migration_id=element.get('id') or '',
        source=element.get('source') or '',
        destination=element.get('destination') or '',
        destination_uri=element.get('uri') or '',
        accepted_at=accepted,
        images=_paths(element, 'image'),
        planned=_paths(element, 'planned'),
        limits=_limits(element),
        cards=tuple(
            marks.Card(one['bridge'], one['mac'], one['port'])
            for one in _parts(element, 'card')
        ),
    )


def _paths(element: ElementTree.Element, name: str) -> tuple[str, ...]:
    return tuple(
        path for one in _parts(element, name) if (path := one['path'])
    )


def _parts(
    element: ElementTree.Element, name: str
) -> collections.abc.Iterator[dict[str, str]]:
    """Return the attributes of its parts of one name."""
    for one in element.iter():
        if one.tag.rpartition('}')[2] == name:
            yield one.attrib


def _limits(element: ElementTree.Element) -> marks.Limits | None:
    for one in _parts(element, 'limits'):
        return marks.Limits(
            int(one['downtime_ms']),
            int(one['bandwidth_mib_s']),
            int(one['post_copy_mib_s']),
        )
    return None


def _texts(values: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in values.items()}


def _places(domain: connection.Handle) -> int:
    """Say where a domain is to be marked: as it runs, as it is defined."""
    places = _LIVE if domain.isActive() else 0
    return places | (_CONFIG if domain.isPersistent() else 0)
