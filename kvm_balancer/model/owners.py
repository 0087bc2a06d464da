"""Who moves an instance, in the words of a sample."""

import enum


class Owner(enum.StrEnum):
    """Whose an instance is, and so by which way it is moved."""

    #: counts as load, is never moved
    NONE = 'none'
    #: managed here, by the hypervisors of its hosts
    BALANCER = 'balancer'
    #: moved by Nova, which is asked to
    NOVA = 'nova'


class Withheld(enum.StrEnum):
    """What makes an instance nobody's."""

    #: nothing that is known: it is somebody's, or its host does not tell
    NOT = ''
    #: no instance of its host is managed
    HOST = 'host'
    #: its own metadata says that it is not to be managed
    METADATA = 'metadata'
    #: its host manages those that say so, and it does not
    UNMARKED = 'unmarked'
    #: its name is none of those that its host manages
    NAME = 'name'
