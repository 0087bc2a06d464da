"""The distribution's Linux kernel, and what a guest needs of its modules.

Any kernel that is installed on the machine will do: guests are started with
it directly. Nothing is installed or changed here.
"""

import dataclasses
import gzip
import lzma
import pathlib
import re

from kvm_balancer import errors

_BOOT = pathlib.Path('/boot')
_MODULES = pathlib.Path('/lib/modules')

#: What is made for virtual machines boots faster, as it has fewer drivers.
_FOR_GUESTS = ('-cloud-', '-kvm', '-virtual')

_UNPACK = {
    '.ko': lambda content: content,
    '.xz': lzma.decompress,
    '.gz': gzip.decompress,
}


@dataclasses.dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel with its modules.

    :ivar image: what QEMU loads
    :ivar modules: folder of the modules of this release
    """

    image: pathlib.Path
    modules: pathlib.Path


def find(
    boot: pathlib.Path = _BOOT, modules: pathlib.Path = _MODULES
) -> Kernel | None:
    """Return the kernel to give to guests, or None when there is none.

    One that is made for guests is preferred, and then the newest.
    """
    found = [
        Kernel(image, folder)
        for image in boot.glob('vmlinuz-*')
        if (folder := modules / image.name.removeprefix('vmlinuz-'))
        .joinpath('modules.dep')
        .is_file()
    ]
    return max(found, key=_merit, default=None)


def _merit(kernel: Kernel) -> tuple[bool, list[int]]:
    release = kernel.modules.name
    numbers = [int(digits) for digits in re.findall(r'\d+', release)]
    return any(word in release for word in _FOR_GUESTS), numbers


def load_order(
    dependencies: str, built_in: str, wanted: tuple[str, ...]
) -> list[str]:
    """Return the files to load, each after those that it needs.

    :param dependencies: text of the release's ``modules.dep``
    :param built_in: text of its ``modules.builtin``
    :param wanted: names of modules; those built in need no file
    :raises LabError: when the kernel does not have one
    """
    needs, files = {}, {}
    for line in dependencies.splitlines():
        file, _, others = line.partition(':')
        needs[file] = others.split()
        files[_name(file)] = file
    inside = {_name(line) for line in built_in.splitlines()}
    order: list[str] = []

    def add(file: str) -> None:
        for other in needs.get(file, ()):
            add(other)
        if file not in order:
            order.append(file)

    for name in wanted:
        if _name(name) in files:
            add(files[_name(name)])
        elif _name(name) not in inside:
            raise errors.LabError(f'the kernel has no module {name}')
    return order


def read_modules(
    kernel: Kernel, wanted: tuple[str, ...]
) -> list[tuple[str, bytes]]:
    """Return name and content of modules, in the order to load them.

    :raises LabError: when the kernel lacks one, or it cannot be unpacked
    """
    try:
        order = load_order(
            (kernel.modules / 'modules.dep').read_text(),
            (kernel.modules / 'modules.builtin').read_text(),
            wanted,
        )
        return [_read(kernel.modules / file) for file in order]
    except (OSError, lzma.LZMAError) as error:
        raise errors.LabError(
            f'kernel modules of {kernel.modules}: {error}'
        ) from None


def _read(path: pathlib.Path) -> tuple[str, bytes]:
    unpack = _UNPACK.get(path.suffix)
    if unpack is None:
        raise errors.LabError(
            f'{path}: modules that are packed as {path.suffix} cannot be '
            f'read; install another kernel'
        )
    return f'{_name(path.name)}.ko', unpack(path.read_bytes())


def _name(file: str) -> str:
    """Return a module's name as the kernel has it."""
    return pathlib.PurePath(file).name.partition('.')[0].replace('-', '_')
