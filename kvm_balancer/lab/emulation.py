"""What keeps a guest's memory whole when emulated QEMU migrates it.

Before 9.0 (its commit 03bfc2188f06), emulated QEMU goes on writing to a page
unseen after a pass has begun, as long as it has the page's address at hand:
the page arrives as it was before. That is so where it looks for what was
written in words of its bitmap, a word for 64 pages. Where a guest's memory is
no whole number of words it looks page by page, and misses nothing. A guest's
own program can be written such that it does no harm; its firmware is not, and
never comes to start the guest where it lost what it wrote.

Such a size can be told to QEMU alone: libvirt takes whole MiB. Beginning a
migration takes longer by about half a millisecond a MiB.
"""

#: Less than what libvirt was told, and as much as QEMU rounds to.
_LEFT_OUT_KIB = 8
_BACKEND = 'exact'


def arguments(memory_mib: int) -> tuple[str, ...]:
    """Return what to tell QEMU, after all that libvirt tells it."""
    kib = memory_mib * 1024 - _LEFT_OUT_KIB
    return (
        '-object',
        f'memory-backend-ram,id={_BACKEND},size={kib}K',
        '-machine',
        f'memory-backend={_BACKEND}',
        '-m',
        f'{kib}K',
    )
