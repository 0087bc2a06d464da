"""Figures of live migration, on real libvirt and QEMU, side by side.

A laboratory of two hosts (:mod:`kvm_balancer.lab`) with a link that ``tc``
limits carries guests whose memory is really filled, and which are migrated
there and back. One module is one question; what they share is in
:mod:`.ground` (where), :mod:`.ways` (how), :mod:`.reckoning` (what the
numbers say) and :mod:`.report` (how it is told).
"""

# Before any other import: it keeps libraries quiet and chooses threads.
from kvm_balancer import cmd  # noqa: F401
