"""Returns freed memory to the operating system."""

from __future__ import annotations

import ctypes
import sys


def release_memory() -> None:
    """Return the freed pages of the C library's heap; without glibc, do nothing.

    glibc keeps freed heap pages for itself, and maps large tensors apart from the heap. So the tensors of the next step
    would come on top of what the last step freed; returning it between two steps lowers the peak.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
        if trim is not None:
            trim(0)
