import sys

import psutil
import pytest
import torch

from kbsync.system.memory import release_memory


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc's heap is asked")
def test_freed_memory_goes_back_to_the_system():
    """Pieces that are too small for pages of their own; the last one keeps the heap from shrinking by itself."""
    pieces = [torch.ones(4096) for _ in range(8000)]
    last, process = pieces[-1], psutil.Process()
    full = process.memory_info().rss
    del pieces
    release_memory()
    assert process.memory_info().rss < full - 100e6
    assert last.sum() == 4096


def test_a_system_without_such_a_call_is_left_alone(monkeypatch):
    monkeypatch.setattr("ctypes.CDLL", lambda _name: object())
    release_memory()
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.delattr("ctypes.CDLL")
    release_memory()
