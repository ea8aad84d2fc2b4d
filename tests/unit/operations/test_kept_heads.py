"""Copies of the trail's head in each form in which people keep them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kbsync.domain.errors import DataError, NotFound
from kbsync.operations.chains import KnownHead
from kbsync.operations.kept_heads import read_kept

EVENT = {"seq": 3, "hash": "a" * 64, "kind": "pull", "body": {"journal": "b" * 64}}
ANCHOR = {"seq": 3, "hash": "a" * 64, "rows": "b" * 64}
HEAD = KnownHead(3, "a" * 64, "b" * 64)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([EVENT], indent=2),
        json.dumps(EVENT) + "\n",
        json.dumps(ANCHOR),
        json.dumps({"type": "current.moved", "data": {"trail": ANCHOR}}),
        json.dumps({"delivery": "x", "trail": ANCHOR}),
    ],
)
def test_every_form_is_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "kept").write_text(text)
    assert read_kept(tmp_path / "kept") == [HEAD]


@pytest.mark.parametrize("text", ["", "[]", "{}", "nothing", '{"seq": "x", "hash": 1}', '"text"', "[" * 100_000, "3"])
def test_what_is_no_copy_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "kept").write_text(text)
    with pytest.raises(DataError, match="names no event"):
        read_kept(tmp_path / "kept")


def test_a_file_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        read_kept(tmp_path / "kept")
