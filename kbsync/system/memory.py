"""How the process holds memory: freed memory goes back to the operating system, and the search for garbage waits."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_MMAP_THRESHOLD = -3
"""``M_MMAP_THRESHOLD`` of glibc's ``mallopt``."""
LARGE = 1 << 20
"""Bytes from which a block is mapped apart from the heap."""


def release_memory() -> None:
    """Return the freed pages of the C library's heap; without glibc, do nothing.

    glibc keeps freed heap pages for itself, and maps large tensors apart from the heap. So the tensors of the next step
    would come on top of what the last step freed; returning it between two steps lowers the peak.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
        if trim is not None:
            trim(0)


def map_large_blocks() -> None:
    """From now on, return every freed block of ``LARGE`` bytes or more to the operating system at once.

    glibc raises its threshold to 32 MiB as such blocks are freed, and so keeps the weights of a layer in its heap. A
    model that is read from the disk layer by layer would hold several layers there that nobody uses. Without glibc,
    this does nothing.
    """
    if sys.platform == "linux":
        option = getattr(ctypes.CDLL(None), "mallopt", None)
        if option is not None:
            option(_MMAP_THRESHOLD, LARGE)


@contextmanager
def without_cycle_search() -> Iterator[None]:
    """Don't look for reference cycles meanwhile.

    Python looks for them after every so many new objects, among all objects. Where hundreds of thousands are made that
    have no cycles, such as the facts of a plan, this took a fifth of the time and freed nothing.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
