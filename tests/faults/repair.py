"""The laboratory, made as it was before a run."""

import threading

import libvirt

from kvm_balancer import errors
from kvm_balancer.lab import network
from kvm_balancer.lab import processes
from kvm_balancer.lab.faults import daemons

#: A libvirtd that has not removed a guest by then hangs.
_PATIENCE_SECONDS = 60.0


def repair(ground, scene, fault, result):
    """Undo what is left of a fault, and take its guest away.

    What cannot be cleared away is a problem of the run.
    """
    lab = ground.lab
    fault.clear(scene)
    _bring_back(lab)
    is_unknown = any(kind == 'unknown' for kind, _ in result.outcomes[-1:])
    for end in ('source', 'destination'):
        for pid in daemons.qemu_of(scene, end):
            processes.kill(pid)
    if is_unknown:
        # libvirt holds a copy whose post-copy broke for ever.
        _renew_libvirtds(lab)
    result.problems += _take_away(scene)
    if result.problems or is_unknown or not result.struck:
        _start_afresh(ground)
    for host in lab.hosts:
        ground.wait_for_executor(host)
    ground.wait_for_agent()


def _bring_back(lab):
    """Let everything run that belongs to the laboratory."""
    if not lab.services.bus.is_alive():
        lab.services.bus.start()
    for host in lab.hosts:
        if not host.is_alive('holder'):
            host.up()
        host.plug_in()
        network.unblock(host.holder)
        network.release(host.holder)
        host.limit_bandwidth(None)
        if not host.is_alive():
            host.start_libvirtd()
            host.wait()
        if not host.is_alive('executor'):
            lab.services.start_executor(host)
    if not lab.services.processes.is_alive('agent'):
        lab.services.start_agent()


def _take_away(scene):
    """Take the guest from every host; return what stood in the way."""
    hung = []

    def end_what_hangs():
        for host in scene.lab.hosts:
            hung.append(f'libvirtd of {host.name} had to be killed')
            host.kill('libvirtd')

    timer = threading.Timer(_PATIENCE_SECONDS, end_what_hangs)
    timer.start()
    try:
        scene.lab.remove_guest(scene.guest)
    except (errors.LabError, libvirt.libvirtError) as error:
        hung.append(f'it could not be cleared away: {error}')
    finally:
        timer.cancel()
        timer.join()
    if hung:
        _renew_libvirtds(scene.lab)
        scene.lab.remove_guest(scene.guest)
    return hung


def _renew_libvirtds(lab):
    """Let jobs go that the libvirtds of both hosts still have."""
    for host in lab.hosts:
        host.kill('libvirtd')
        host.start_libvirtd()
    for host in lab.hosts:
        host.wait()


def _start_afresh(ground):
    """Let no problem of one run become one of the next."""
    for host in ground.lab.hosts:
        host.processes.stop('executor')
        for path in host.state.iterdir():
            path.unlink()
        ground.lab.services.start_executor(host)
