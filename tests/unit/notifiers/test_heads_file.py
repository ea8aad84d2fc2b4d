"""The file elsewhere that gets the trail's head at each move."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from kbsync.domain.announcement import TrailHead
from kbsync.domain.errors import DataError, NotifierFailed
from kbsync.notifiers.heads_file import HeadsFileNotifier, is_signed
from kbsync.operations.chains import KnownHead
from kbsync.operations.kept_heads import read_kept
from tests.support.announcements import NEWS

SECRET = "a secret of these tests only"
TOLD = replace(NEWS, trail=TrailHead(seq=7, hash="a" * 64, rows="b" * 64))


def notifier(file: Path) -> HeadsFileNotifier:
    return HeadsFileNotifier(file, SECRET, lambda: 1_700_000_000.0)


def test_each_move_adds_a_signed_line_that_verify_reads(tmp_path: Path) -> None:
    file = tmp_path / "heads.jsonl"
    notifier(file).deliver(TOLD)
    notifier(file).deliver(replace(TOLD, trail=TrailHead(seq=9, hash="c" * 64, rows="d" * 64)))
    first, _ = [json.loads(line) for line in file.read_text().splitlines()]
    assert (first["delivery"], first["version"], first["trail"]["seq"]) == (TOLD.delivery, TOLD.version, 7)
    assert is_signed(first, SECRET) and not is_signed(first | {"version": 1_000}, SECRET)
    heads = [KnownHead(7, "a" * 64, "b" * 64), KnownHead(9, "c" * 64, "d" * 64)]
    assert read_kept(file, SECRET) == read_kept(file) == heads


def test_a_forged_line_is_told(tmp_path: Path) -> None:
    file = tmp_path / "heads.jsonl"
    notifier(file).deliver(TOLD)
    file.write_text(file.read_text().replace("a" * 64, "e" * 64))
    with pytest.raises(DataError, match=r"1 lines that .* did not sign"):
        read_kept(file, SECRET)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    victim, file = tmp_path / "victim", tmp_path / "heads.jsonl"
    victim.write_text("precious")
    file.symlink_to(victim)
    with pytest.raises(NotifierFailed, match=r"heads\.jsonl"):
        notifier(file).deliver(TOLD)
    assert victim.read_text() == "precious"
