"""The configuration that comes with kbsync."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbsync.config import default_config_text, load, shipped, shipped_config
from kbsync.domain.errors import StoreError
from tests.support.config_samples import Writer, problems


def test_the_default_file_needs_a_contact_only(tmp_path: Path) -> None:
    path = tmp_path / "kbsync.toml"
    path.write_text(default_config_text())
    (problem,) = problems(path)
    assert "source.user_agent: must hold a contact" in problem
    assert load(path, {"source": {"user_agent": "x (x@y.invalid)"}}).source.batch == 200


def test_the_default_file_comments_out_the_real_defaults(tmp_path: Path, write: Writer) -> None:
    """With every commented assignment switched on, the settings equal those of a file with the few that it sets."""
    bare = load(
        write(
            '[source]\nuser_agent = "x@y"\n[model]\nreference = "google/gemma-3-270m"\n'
            '[edit]\nrecipe = "gemma-3-270m"\n'
        )
    )
    lines = default_config_text().replace('user_agent = ""', 'user_agent = "x@y"').splitlines()
    on = [
        x.removeprefix("# ") if x.startswith("# ") and x[2] != " " and (" = " in x or "[[" in x) else x for x in lines
    ]
    on = [x for x in on if not x.startswith("database_url")]
    path = tmp_path / "etc" / "all.toml"
    path.write_text("\n".join(on))
    assert load(path) == bare
    names = {name for name in type(bare).model_fields if f"{name} = " in "\n".join(lines) or f"[{name}]" in lines}
    assert names == set(type(bare).model_fields)


def test_every_shipped_file_is_there_by_its_relative_path() -> None:
    files = shipped_config()
    assert {"kbsync.toml", "gate.toml", "relations/capital.toml", "recipes/gemma-3-270m.toml"} <= set(files)
    assert files["kbsync.toml"] == default_config_text()


def test_an_installation_without_them_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shipped, "files", lambda _: tmp_path)
    monkeypatch.setattr("kbsync.__file__", str(tmp_path / "site" / "kbsync" / "__init__.py"))
    with pytest.raises(StoreError, match="is neither in"):
        shipped_config()
