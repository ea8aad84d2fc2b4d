import gc
import subprocess
import sys

import psutil
import pytest
import torch

from kbsync.system.memory import LARGE, map_large_blocks, release_memory, without_cycle_search


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


_LAYERS = """
import sys, psutil, torch
from kbsync.system.memory import map_large_blocks
if sys.argv[1] == "mapped":
    map_large_blocks()
for size in (8, 16, 28):  # each block that is freed raises glibc's own threshold
    torch.ones(size * 2**18)
blocks = [torch.ones(7 * 2**20) for _ in range(12)]
last = torch.ones(2**16)
full = psutil.Process().memory_info().rss
del blocks
print(full - psutil.Process().memory_info().rss)
"""
"""Twelve blocks of 28 MiB, and a small one after them that keeps a heap from shrinking."""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc's heap is asked")
def test_large_blocks_go_back_at_once():
    def freed(how):
        done = subprocess.run([sys.executable, "-c", _LAYERS, how], capture_output=True, text=True, check=True)
        return int(done.stdout)

    assert freed("mapped") > 12 * 28 * 2**20 - LARGE
    assert freed("as it is") < 12 * 28 * 2**20 / 2


def test_a_system_without_such_calls_is_left_alone(monkeypatch):
    monkeypatch.setattr("ctypes.CDLL", lambda _name: object())
    release_memory()
    map_large_blocks()
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.delattr("ctypes.CDLL")
    release_memory()
    map_large_blocks()


def test_the_search_for_cycles_waits_and_goes_on():
    with without_cycle_search():
        assert not gc.isenabled()
        with without_cycle_search():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(KeyError), without_cycle_search():
        raise KeyError
    assert gc.isenabled()
