"""``import kbsync.editing as ke``: every name is there, and importing it costs next to nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

import kbsync.editing as ke


def test_every_name_is_there_and_none_twice() -> None:
    assert len(set(ke.__all__)) == len(ke.__all__) and ke.__all__ == sorted(ke.__all__)
    for name in ke.__all__:
        assert getattr(ke, name) is not None
    assert set(ke.__all__) <= set(dir(ke))
    with pytest.raises(AttributeError, match="no attribute 'edit_modle'"):
        _ = ke.edit_modle


@pytest.mark.parametrize("used", ["Rewrite", "Recipe"])
def test_neither_the_import_nor_plain_data_loads_torch(used: str) -> None:
    program = f"import sys, kbsync.editing as ke; ke.{used}; print('torch' in sys.modules, 'pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
