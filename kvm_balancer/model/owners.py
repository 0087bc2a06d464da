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
