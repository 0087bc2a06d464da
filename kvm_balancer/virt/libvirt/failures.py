"""libvirt's errors, in our words.

``libvirtError`` never leaves this package: what libvirt did not answer is
:class:`~kvm_balancer.errors.HypervisorUnreachable`, a domain it denies is
:class:`~kvm_balancer.errors.NotFound`, and every other answer is
:class:`Refused`, with libvirt's own code for those who must tell one from
the other.
"""

import libvirt

from kvm_balancer import errors


class Refused(errors.HypervisorError):
    """libvirt answered, and it was no.

    :ivar code: one of libvirt's ``VIR_ERR_*``
    :ivar domain: which of its parts said so, one of ``VIR_FROM_*``
    """

    def __init__(self, text: str, code: int, domain: int) -> None:
        super().__init__(text)
        self.code = code
        self.domain = domain


def words(error: BaseException) -> str:
    """Return what an error says as one line without a final stop."""
    return ' '.join(str(error).split()).rstrip('.')


def unreachable(uri: str, why: str) -> errors.HypervisorUnreachable:
    """Make the error for a libvirt that does not answer."""
    return errors.HypervisorUnreachable(
        f'libvirt at {uri} does not answer: {why}. '
        'Check that it runs there and that this address reaches it.'
    )


def translate(
    error: libvirt.libvirtError, uri: str, alive: bool
) -> errors.KVMBalancerError:
    """Make our error of libvirt's.

    :param alive: whether the connection outlived the error; one that did
        not gave no answer, whatever its last words were
    """
    code = error.get_error_code()
    if not alive:
        return unreachable(uri, words(error))
    if code == libvirt.VIR_ERR_NO_DOMAIN:
        return errors.NotFound(words(error))
    return Refused(words(error), code or 0, error.get_error_domain() or 0)
