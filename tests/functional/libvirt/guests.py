"""Guests for migrations: a few bytes of machine code and no device.

The guest is a flat multiboot image, which QEMU loads as a kernel: it writes
one byte in every page of a range, with a delay after each, for ever, and a
dot to its serial port at the end of every round. No compiler, disk or
network is needed, and libvirt sees nothing that could not be migrated.

Its pages hold a number each that goes up by one in each round: they tell
whether any of them is older than it should be.
"""

import collections.abc
import pathlib
import struct
import uuid

import libvirt

_LOAD_AT = 0x100000
_WORK_AT = 0x1000000
_PAGE = 4096
_MIB = 2**20

_NAMES = 'http://openstack.org/xmlns/libvirt/nova/1.1'

NOVA = f'<n:instance xmlns:n="{_NAMES}"><n:name>web</n:name></n:instance>'


def image(working_set_mib: int, delay: int, filled_mib: int = 0) -> bytes:
    """Assemble a guest.

    :param delay: turns of an empty loop after every written page
    :param filled_mib: so much is written to before its first round, and as
        much as its rounds write to at least
    """
    end = _WORK_AT + working_set_mib * _MIB
    filled = _WORK_AT + max(working_set_mib, filled_mib) * _MIB
    code = b''.join(
        (
            b'\xbf' + struct.pack('<I', _WORK_AT),  # mov edi, start
            b'\xc6\x07\x01',  # fill: mov byte [edi], 1
            b'\x81\xc7' + struct.pack('<I', _PAGE),  # add edi, page
            b'\x81\xff' + struct.pack('<I', filled),  # cmp edi, end
            b'\x72\xef',  # jb fill
            b'\xbf' + struct.pack('<I', _WORK_AT),  # mov edi, start
            b'\xfe\x07',  # page: inc byte [edi]
            b'\xb9' + struct.pack('<I', delay),  # mov ecx, delay
            b'\x49\x75\xfd',  # wait: dec ecx; jnz wait
            b'\x81\xc7' + struct.pack('<I', _PAGE),  # add edi, page
            b'\x81\xff' + struct.pack('<I', end),  # cmp edi, end
            b'\x72\xe8',  # jb page
            b'\x66\xba\xf8\x03',  # mov dx, first serial port
            b'\xb0.\xee',  # mov al, '.'; out dx, al
            b'\xeb\xda',  # jmp start
        )
    )
    magic, flags = 0x1BADB002, 0x10000
    size = 32
    header = struct.pack(
        '<8I',
        magic,
        flags,
        -(magic + flags) & 0xFFFFFFFF,
        _LOAD_AT,
        _LOAD_AT,
        _LOAD_AT + size + len(code),
        0,
        _LOAD_AT + size,
    )
    return header + code


def outdated(
    peek: collections.abc.Callable[[int, int], bytes],
    working_set_mib: int,
    filled_mib: int = 0,
) -> list[int]:
    """List the pages that do not hold what the guest last wrote.

    A round under way has counted the pages before some one up, and those
    behind it not yet.

    :param peek: reads so many bytes from an address of a guest that stands
        still
    :returns: numbers of pages, from the first that it writes to
    """
    most = max(working_set_mib, filled_mib)
    read = [peek(_WORK_AT + mib * _MIB, _MIB)[::_PAGE] for mib in range(most)]
    pages = b''.join(read)
    written = working_set_mib * _MIB // _PAGE
    old = pages[written - 1]
    new = (old + 1) % 256
    turn = next((at for at in range(written) if pages[at] != new), written)
    wanted = bytes([new]) * turn + bytes([old]) * (written - turn)
    wanted += b'\x01' * (len(pages) - written)
    return [at for at in range(len(pages)) if pages[at] != wanted[at]]


def definition(
    kernel: pathlib.Path,
    memory_mib: int = 64,
    metadata: str = '',
    devices: str = '',
    terms: str = '',
) -> tuple[str, str]:
    """Write the XML of a new guest; returns its uuid and the XML.

    :param terms: elements of its own that say how it gets CPUs and memory
    """
    uid = str(uuid.uuid4())
    return (
        uid,
        f"""
<domain type='qemu'>
  <name>guest-{uid[:8]}</name>
  <uuid>{uid}</uuid>
  <metadata>{metadata}</metadata>
  <memory unit='MiB'>{memory_mib}</memory>
  {terms}
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <kernel>{kernel}</kernel>
  </os>
  <cpu mode='custom' match='exact'><model>qemu64</model></cpu>
  <devices>
    <serial type='pty'/>
    <memballoon model='none'/>
    {devices}
  </devices>
</domain>
""",
    )


def wait_for_round(domain: libvirt.virDomain) -> None:
    """Wait until a guest has written to all of its pages.

    Before, while its machine starts, it dirties next to nothing, and any copy
    of it converges.
    """
    stream = domain.connect().newStream(0)
    domain.openConsole(None, stream, 0)
    while b'.' not in stream.recv(1):
        pass
    stream.abort()
