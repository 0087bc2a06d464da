"""What servers boot: the guest of the project's own laboratory.

It writes to its memory, and checks that what it had written is still there
(see :mod:`kvm_balancer.lab.bootsector`). An image for each load, in the form
that the program which stands for Glance serves.
"""

import hashlib
import json
import pathlib
import types

from kvm_balancer.lab import bootsector
from kvm_balancer.lab import programs

#: One that servers of records have: there is nothing in it.
EMPTY = '11111111-1111-4111-8111-111111111111'
#: A little of its memory is written.
CALM = '22222222-2222-4222-8222-222222222222'
#: Much of it, as fast as can be: over a narrow link it never converges.
BUSY = '33333333-3333-4333-8333-333333333333'

_LOADS = types.MappingProxyType(
    {
        CALM: bootsector.Load(0.0, 2.0, 16),
        BUSY: bootsector.Load(0.0, 10_000.0, 160),
    }
)
_BYTES = 1024 * 1024


def make(directory: pathlib.Path) -> None:
    """Write all images, each with what Glance knows of it.

    :raises LabError: when qemu-img does not do it
    """
    directory.mkdir(parents=True)
    for uid, load in _LOADS.items():
        raw = directory / f'{uid}.raw'
        with raw.open('wb') as stream:
            # It computes nothing: how fast its loop turns does not matter.
            stream.write(bootsector.program(bootsector.values(load, 1.0)))
            stream.truncate(_BYTES)
        image = directory / f'{uid}.qcow2'
        # Raw, Nova would take its code for a table of partitions.
        programs.run(
            ['qemu-img', 'convert', '-O', 'qcow2', str(raw), str(image)]
        )
        raw.unlink()
        content = image.read_bytes()
        known = {
            'id': uid,
            'name': uid[:4],
            'disk_format': 'qcow2',
            'size': len(content),
            'virtual_size': _BYTES,
            'checksum': hashlib.md5(
                content, usedforsecurity=False
            ).hexdigest(),
            'file': f'/v2/images/{uid}/file',
        }
        image.with_suffix('.json').write_text(json.dumps(known))
