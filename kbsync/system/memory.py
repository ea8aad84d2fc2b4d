"""Memory that was freed, given back to the system."""

from __future__ import annotations

import ctypes
import sys


def release_memory() -> None:
    """Return freed pages of the C library's heap (glibc; elsewhere nothing happens).

    What a long step frees stays with the process otherwise, and the next one's large tensors, which the library maps apart
    from the heap, come on top of it.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
        if trim is not None:
            trim(0)
