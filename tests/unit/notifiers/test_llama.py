"""What kbsync gives a llama.cpp server that it starts. Real servers are switched in ``tests/integration``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kbsync.domain.errors import NotifierFailed
from kbsync.notifiers.llama import LlamaEngine
from tests.support.announcements import NEWS

SAYS_ITS_ENVIRONMENT = ("/bin/sh", "-c", 'env > "{directory}/environment"', "{port}")


def test_a_server_gets_no_secret_of_kbsync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KBSYNC_WEB__TOKEN", "hunter2")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    directory = tmp_path / "version"
    directory.mkdir()
    (directory / "adapter.gguf").touch()
    engine = LlamaEngine(SAYS_ITS_ENVIRONMENT, tmp_path, 20, 0, 8, lambda *_: ())
    with pytest.raises(NotifierFailed, match="ended while it started"):
        engine.deliver(replace(NEWS, directory=str(directory)))
    told = (directory / "environment").read_text(encoding="utf-8")
    assert "CUDA_VISIBLE_DEVICES=1" in told and "PATH=" in told
    assert "hunter2" not in told
