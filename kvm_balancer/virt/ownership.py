"""Who may move an instance: the rule, and its reasons.

Pure. An instance is Nova's when it looks like Nova's, whatever the operator
says here, but for one option that is called dangerous; one whose own metadata
declines is left alone; the rest follows the rule of this host.
"""

import collections.abc
import dataclasses
import enum
import fnmatch

from kvm_balancer import errors
from kvm_balancer.model import owners

#: Any version of Nova's metadata: the element's namespace begins like this.
NOVA_NAMESPACE = 'http://openstack.org/xmlns/libvirt/nova/'

#: What Nova's libvirt driver writes into the SMBIOS by default.
NOVA_PRODUCT = 'OpenStack Nova'

#: Namespace of our own metadata: ``<instance><manage>true</manage>``.
NAMESPACE = 'https://kvm-balancer.org/xmlns/1'


class Rule(enum.StrEnum):
    """Which instances of a host may be moved."""

    NONE = 'none'
    ALL = 'all'
    METADATA = 'metadata'
    NAMES = 'names'
    #: a person named the instance: only Nova's claim counts
    BY_HAND = 'by hand'


@dataclasses.dataclass(frozen=True, slots=True)
class Marks:
    """What an instance says of itself.

    :ivar nova: it carries Nova's metadata
    :ivar product: SMBIOS product name
    :ivar consent: what our own metadata says; None where it is silent
    """

    name: str
    nova: bool = False
    product: str = ''
    consent: bool | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Manage:
    """The rule of one host.

    :ivar names: shell-style patterns, for ``Rule.NAMES``
    :ivar behind_nova: dangerous: what Nova claims is treated as if it did not
    """

    rule: Rule = Rule.NONE
    names: tuple[str, ...] = ()
    behind_nova: bool = False

    @classmethod
    def from_words(
        cls,
        rule: str,
        names: collections.abc.Iterable[str] = (),
        behind_nova: bool = False,
    ) -> 'Manage':
        """Make the rule from the operator's words.

        :raises ConfigurationError: when there is no such rule, or patterns
            are wanted and there are none
        """
        words = [str(known) for known in Rule if known != Rule.BY_HAND]
        if rule not in words:
            raise errors.ConfigurationError(
                f'Instances cannot be managed by "{rule}": use one of '
                f'{", ".join(words)}.'
            )
        patterns = tuple(name.strip() for name in names if name.strip())
        if rule == Rule.NAMES and not patterns:
            raise errors.ConfigurationError(
                'Instances are to be managed by names and no name is given: '
                'list patterns of names, such as web-*.'
            )
        return cls(Rule(rule), patterns, behind_nova)


#: A person asked for this very instance.
BY_HAND = Manage(Rule.BY_HAND)


def owner_of(marks: Marks, manage: Manage) -> tuple[owners.Owner, str]:
    """Say who moves an instance, and why it is not us.

    :returns: the owner, and a reason that is empty where it is ours
    """
    if marks.nova and not manage.behind_nova:
        return owners.Owner.NOVA, (
            'it belongs to Nova: its domain carries metadata of '
            f'{NOVA_NAMESPACE}; move it through Nova'
        )
    if marks.product == NOVA_PRODUCT and not manage.behind_nova:
        return owners.Owner.NOVA, (
            f'it belongs to Nova: its SMBIOS product is "{NOVA_PRODUCT}"; '
            'move it through Nova'
        )
    match withheld(marks, manage):
        case owners.Withheld.METADATA:
            reason = 'its own metadata says that it is not to be managed'
        case owners.Withheld.UNMARKED:
            reason = f'its metadata has no manage in {NAMESPACE}'
        case owners.Withheld.NAME:
            patterns = ', '.join(manage.names)
            reason = f'its name {marks.name} matches none of {patterns}'
        case owners.Withheld.HOST:
            reason = 'no instance of this host is managed'
        case _:
            return owners.Owner.BALANCER, ''
    return owners.Owner.NONE, reason


def withheld(marks: Marks, manage: Manage) -> owners.Withheld:
    """Say what keeps an instance from us, where it is not Nova's."""
    if manage.rule == Rule.BY_HAND:
        return owners.Withheld.NOT
    if marks.consent is False:
        return owners.Withheld.METADATA
    match manage.rule:
        case Rule.ALL:
            kept = owners.Withheld.NOT
        case Rule.METADATA:
            kept = owners.Withheld.UNMARKED
            if marks.consent:
                kept = owners.Withheld.NOT
        case Rule.NAMES:
            kept = owners.Withheld.NAME
            if any(fnmatch.fnmatchcase(marks.name, p) for p in manage.names):
                kept = owners.Withheld.NOT
        case _:
            kept = owners.Withheld.HOST
    return kept


def told(marks: Marks, manage: Manage) -> tuple[owners.Owner, owners.Withheld]:
    """Return what a sample tells of it: whose it is, or why nobody's."""
    owner, _ = owner_of(marks, manage)
    if owner is owners.Owner.NONE:
        return owner, withheld(marks, manage)
    return owner, owners.Withheld.NOT
