"""How much processor time a thread has used: what tells one that works from one that hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


def effort_of_this_thread() -> Callable[[], float]:
    """A function that tells, in any thread, how many seconds of processor time the calling thread has used so far.

    Where the system counts them for no other thread, those of the whole process are told, without the asking thread's.
    """
    ident = threading.get_ident()
    find = getattr(time, "pthread_getcpuclockid", None)
    if find is None:
        return lambda: time.process_time() - time.thread_time()
    clock = find(ident)
    return lambda: time.clock_gettime(clock)
