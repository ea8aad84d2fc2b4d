"""The environment of the programs that kbsync starts."""

from __future__ import annotations

import pytest

from kbsync.system.children import environment

pytestmark = pytest.mark.hardening


def test_a_child_gets_what_a_program_needs_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KBSYNC_DATABASE_URL", "KBSYNC_WEB__TOKEN", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "PGPASSWORD"):
        monkeypatch.setenv(name, "hunter2secret")
    monkeypatch.setenv("https_proxy", "http://user:hunter2secret@proxy")
    monkeypatch.setenv("LC_TIME", "C")
    given = environment({"KBSYNC_VERSION": "3"})
    assert "hunter2secret" not in "".join(given.values())
    assert given["LC_TIME"] == "C" and given["KBSYNC_VERSION"] == "3" and given["PATH"]
