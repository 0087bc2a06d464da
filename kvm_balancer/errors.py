"""What can go wrong, named by whose fault it is.

Every error that this project raises on purpose derives from
:class:`KVMBalancerError`, and its text is one line that says what is wrong,
where, and what to do. Errors of libraries are translated at the edge where
they appear: those of libvirt in ``virt/libvirt``, those of the transport in
``bus``, those of the database in ``store``.
"""


class KVMBalancerError(Exception):
    """Base of all errors that the project raises on purpose."""


class ConfigurationError(KVMBalancerError):
    """The operator's configuration or command line cannot be carried out."""


class PluginError(ConfigurationError):
    """A plugin is unknown, does not load or breaks its contract."""


class DocumentError(KVMBalancerError):
    """A file or message does not have the form its schema asks for."""


class SampleRefused(DocumentError):
    """A sample was not taken into the fleet.

    :ivar cause: a short constant word under which refusals are counted
    """

    def __init__(self, cause: str, text: str) -> None:
        super().__init__(text)
        self.cause = cause


class PlanRefused(KVMBalancerError):
    """No plan can be made, or a plan does not fit its fleet."""


class MigrationError(KVMBalancerError):
    """A migration cannot be accepted, or broke the rules of its life.

    :ivar story: the lines of its story up to there, oldest first
    """

    def __init__(self, text: str, story: tuple[object, ...] = ()) -> None:
        super().__init__(text)
        self.story = story


class UnreachableError(KVMBalancerError):
    """The other side does not answer: that says nothing about its state."""


class BusError(UnreachableError):
    """The message bus, or the service asked for on it, does not answer."""


class HypervisorError(KVMBalancerError):
    """The hypervisor answered, and refused."""


class HypervisorUnreachable(UnreachableError):
    """The hypervisor of a host does not answer."""


class CloudUnreachable(UnreachableError):
    """Nova or Placement do not answer, or not so that it can be told."""


class CloudError(KVMBalancerError):
    """Nova or Placement answered, and refused."""


class StoreError(KVMBalancerError):
    """The database cannot be reached, or its schema does not fit."""


class NotFound(KVMBalancerError):
    """What was asked for by name does not exist."""


class LabError(KVMBalancerError):
    """The lab cannot be brought up, is not there, or lacks a program."""
