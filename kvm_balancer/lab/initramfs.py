"""An initial file system for a Linux guest, put together in memory.

The format is the "newc" archive of cpio, which the kernel unpacks itself
(its Documentation/driver-api/early-userspace/buffer-format.rst). Pure:
content in, bytes out; it is not compressed, since to unpack it would take an
emulated guest longer than to load it.
"""

import collections.abc
import dataclasses
import stat

_MAGIC = '070701'
_TRAILER = 'TRAILER!!!'
_ALIGNMENT = 4


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One directory, file, link or device.

    :ivar path: without a slash in front; what it lies in comes before it
    :ivar mode: type and permissions, as ``stat`` has them
    :ivar content: of a file; of a link, where it leads to
    :ivar device: major and minor number of a device
    """

    path: str
    mode: int
    content: bytes = b''
    device: tuple[int, int] = (0, 0)


def directory(path: str) -> Entry:
    """Return a directory."""
    return Entry(path, stat.S_IFDIR | 0o755)


def program(path: str, content: bytes) -> Entry:
    """Return a file that can be executed."""
    return Entry(path, stat.S_IFREG | 0o755, content)


def link(path: str, target: str) -> Entry:
    """Return a symbolic link."""
    return Entry(path, stat.S_IFLNK | 0o777, target.encode())


def terminal(path: str, major: int, minor: int) -> Entry:
    """Return a character device."""
    return Entry(path, stat.S_IFCHR | 0o600, device=(major, minor))


def archive(entries: collections.abc.Iterable[Entry]) -> bytes:
    """Return the archive of *entries*, in their order."""
    packed = bytearray()
    for number, entry in enumerate((*entries, Entry(_TRAILER, 0)), 1):
        name = entry.path.encode() + b'\0'
        fields = (
            number,
            entry.mode,
            0,  # user
            0,  # group
            1,  # links
            0,  # time of change: the same content gives the same archive
            len(entry.content),
            0,  # device that it lies on
            0,
            *entry.device,
            len(name),
            0,  # checksum, which this format has not
        )
        packed += _MAGIC.encode()
        packed += ''.join(f'{field:08x}' for field in fields).encode()
        _pad(packed, name)
        _pad(packed, entry.content)
    return bytes(packed)


def _pad(packed: bytearray, content: bytes) -> None:
    """Add *content*, and go on at a multiple of four."""
    packed += content
    packed += bytes(-len(packed) % _ALIGNMENT)
