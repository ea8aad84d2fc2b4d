"""How the process holds memory: what goes back to the operating system when, and when the search for garbage waits."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""``M_TRIM_THRESHOLD`` and ``M_MMAP_THRESHOLD`` of glibc's ``mallopt``."""
LARGE = 1 << 20
"""Bytes from which a block is mapped apart from the heap."""
_KEPT = 2**31 - 1
"""The largest threshold: no block is mapped apart, and no free memory goes back by itself."""
_RAISED = 32 * 2**20
"""Where glibc ends that raises its threshold by itself as large blocks are freed."""

_are_mapped = False
"""Whether ``map_large_blocks`` was called."""


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
    global _are_mapped
    _are_mapped = True
    _set(_MMAP_THRESHOLD, LARGE)


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Inside the block the process keeps what it frees; afterwards it goes back.

    glibc maps blocks of more than 32 MiB apart from the heap, and unmaps them when they are freed. A step of a
    refinement makes some dozens of such tensors (states times vocabulary), and the system hands out and clears their
    pages again and again: a fifth of the step's time. Without glibc, or after ``map_large_blocks``, this does nothing.
    """
    if _are_mapped:
        yield
        return
    _set(_MMAP_THRESHOLD, _KEPT)
    _set(_TRIM_THRESHOLD, _KEPT)
    try:
        yield
    finally:
        _set(_MMAP_THRESHOLD, _RAISED)
        _set(_TRIM_THRESHOLD, 2 * _RAISED)
        release_memory()


def _set(parameter: int, value: int) -> None:
    """Set a parameter of glibc's heap, where there is one."""
    if sys.platform == "linux":
        option = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
        if option is not None:
            option(parameter, value)


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
