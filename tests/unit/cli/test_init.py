from __future__ import annotations

from pathlib import Path

import pytest

from kbsync.cli.init import fill_in
from kbsync.config import default_config_text, load_all, shipped_config
from tests.support.invoke import invoke

AGENT = 'kbsync "tests" (mailto:tests@kbsync.invalid)'


def run(*arguments: str) -> tuple[int, str, str]:
    result = invoke(arguments)
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.slow
def test_writes_everything_and_again_says_already(tmp_path: Path) -> None:
    code, _, err = run("init", "--user-agent", AGENT, "--model", "some/model")
    assert (code, err) == (0, "")
    assert {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.toml")} == set(shipped_config())
    assert (tmp_path / "var/kbsync/ledger.sqlite3").is_file()
    before = {p: p.read_bytes() for p in tmp_path.rglob("*.toml")}
    code, again, _ = run("init", "--user-agent", "other (mailto:other@kbsync.invalid)")
    assert code == 0
    assert again.count("already") == 3 and "wrote" not in again
    assert before == {p: p.read_bytes() for p in tmp_path.rglob("*.toml")}
    assert run("db", "check")[0] == 0
    assert "already up to date" in run("db", "upgrade")[1]


@pytest.mark.slow
def test_names_what_only_the_user_knows_and_goes_on_when_it_is_filled_in(tmp_path: Path) -> None:
    code, out, err = run("init")
    assert code == 78
    assert "wrote kbsync.toml" in out
    assert "user_agent" in err and "then run `kbsync init` again" in err
    assert not (tmp_path / "var").exists()
    file = tmp_path / "kbsync.toml"
    file.write_text(fill_in(file.read_text(encoding="utf-8"), AGENT, ""), encoding="utf-8")
    code, out, _ = run("init")
    assert code == 0
    assert "already written: kbsync.toml" in out and "made" in out


@pytest.mark.slow
def test_an_endpoint_of_one_s_own_is_written_into_the_file(tmp_path: Path) -> None:
    mine = "http://127.0.0.1:7878/query"
    assert run("init", "--user-agent", AGENT, "--model", "./model", "--endpoint", mine)[0] == 0
    settings = load_all(tmp_path / "kbsync.toml").settings
    assert settings.source.endpoint == mine and settings.source.user_agent == AGENT


def test_a_dry_run_writes_nothing_and_names_everything(tmp_path: Path) -> None:
    code, out, _ = run("init", "--user-agent", AGENT, "--dry-run")
    assert code == 0 and out.count("would write") == len(shipped_config())
    assert list(tmp_path.iterdir()) == []


def test_what_was_taken_out_does_not_come_back(tmp_path: Path) -> None:
    (tmp_path / "relations").mkdir()
    run("init", "--user-agent", AGENT)
    assert list((tmp_path / "relations").iterdir()) == []


@pytest.mark.slow
def test_the_file_may_be_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("--config", "etc/main.toml", "init", "--user-agent", AGENT)[0] == 0
    assert (tmp_path / "etc/main.toml").is_file() and (tmp_path / "etc/relations").is_dir()
    monkeypatch.setenv("KBSYNC_CONFIG", str(tmp_path / "named.toml"))
    run("init", "--user-agent", AGENT)
    assert (tmp_path / "named.toml").is_file()


def changed_lines(text: str, filled: str) -> list[str]:
    return [b for a, b in zip(text.splitlines(), filled.splitlines(), strict=True) if a != b]


def test_filling_in_changes_three_lines_and_nothing_else() -> None:
    text = default_config_text()
    assert changed_lines(text, fill_in(text, AGENT, "some\\model")) == [
        'user_agent = "kbsync \\"tests\\" (mailto:tests@kbsync.invalid)"',
        'reference = "some\\\\model"',
        'recipe = "auto"',
    ]


@pytest.mark.parametrize("model", ["", "google/gemma-3-270m"])
def test_the_model_of_the_shipped_recipe_keeps_it(model: str) -> None:
    text = default_config_text()
    assert len(changed_lines(text, fill_in(text, AGENT, model))) == 1


def test_for_any_other_model_a_recipe_is_found(tmp_path: Path) -> None:
    assert run("init", "--user-agent", AGENT, "--model", "./model")[0] == 0
    loaded = load_all(tmp_path / "kbsync.toml")
    assert (loaded.settings.edit.recipe, loaded.recipe) == ("auto", None)
