"""Main file, environment and overrides: which layer wins, and how every mistake is reported."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kbsync.config import load, load_all
from kbsync.domain.errors import ConfigError
from tests.support.config_samples import MAIN, RELATION, Writer, problems


def test_environment_wins_over_the_file_and_overrides_over_both(write: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(MAIN.replace("[model]", 'batch = 10\nlanguage = "de"\nattempts = 2\n[model]'))
    monkeypatch.setenv("KBSYNC_SOURCE__BATCH", "20")
    monkeypatch.setenv("KBSYNC_SOURCE__LANGUAGE", "fr")
    monkeypatch.setenv("KBSYNC_SOURCE__TIMEOUT", "5s")
    monkeypatch.setenv("KBSYNC_TEXT__CORPUS", f'["{path}"]')
    monkeypatch.setenv("KBSYNC_LOG__LEVEL", "")
    settings = load(path, {"source": {"batch": 30}})
    assert (settings.source.batch, settings.source.language, settings.source.attempts) == (30, "fr", 2)
    assert settings.source.timeout == timedelta(seconds=5)
    assert settings.text.corpus == (path,)
    assert settings.log.level == "info"


def test_the_file_is_found_by_variable_and_by_place(write: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write()
    monkeypatch.setenv("KBSYNC_CONFIG", str(path))
    assert load().model.reference == "tiny"
    monkeypatch.delenv("KBSYNC_CONFIG")
    assert problems(None) == [
        "no configuration file: source: is missing",
        "no configuration file: model: is missing",
    ]
    monkeypatch.chdir(path.parent)
    assert load().state_dir == path.parent / "var/kbsync"


def test_every_mistake_is_reported_at_once_with_its_place(write: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("""
state_dri = "x"
[source]
user_agent = "kbsync"
bach = 7
timeout = 30
[model]
[edit]
verdicts = ["stale", "ambiguous"]
max_facts = 0
[text]
held_out = ["missing.txt"]
[[gate.thresholds]]
metric = "efficacy"
[[gate.thresholds]]
metric = "perplexity"
max_growt = 0.1
at_most = 9
[schedule]
sync = "99 * * * *"
""")
    monkeypatch.setenv("KBSYNC_SOURCE__BATCH", "many")
    monkeypatch.setenv("KBSYNC_SOURCE__ATEMPTS", "1")
    monkeypatch.setenv("KBSYNC_MODLE__DEVICE", "cpu")
    monkeypatch.setenv("KBSYNC_TEXT__CORPUS", "not json")
    found = problems(path, {"log": {"level": "loud"}})
    expected = [
        "environment: KBSYNC_MODLE__DEVICE: is not a setting; did you mean 'KBSYNC_MODEL'?",
        f"{path}: source.user_agent: must hold a contact",
        "environment: KBSYNC_SOURCE__BATCH: input should be a valid integer",
        f'{path}: source.timeout: is not a duration such as "90s", "10m", "72h", "3d" or "1h30m" (got 30)',
        f"{path}: source.bach: is not a key here; did you mean 'batch'?",
        "environment: KBSYNC_SOURCE__ATEMPTS: is not a key here; did you mean 'attempts'?",
        f"{path}: model.reference: is missing",
        f"{path}: edit.verdicts[1]: ambiguous facts are not edited; choose of 'shaky', 'stale' and 'unknown'",
        f"{path}: edit.max_facts: input should be greater than or equal to 1 (got 0)",
        "environment: KBSYNC_TEXT__CORPUS: input should be a valid tuple (got 'not json')",
        f"{path}: text.held_out[0]: {path.parent}/missing.txt does not exist",
        f"{path}: gate.thresholds[0]: efficacy has no bound",
        f"{path}: gate.thresholds[1].max_growt: is not a key here; did you mean 'max_growth'?",
        f"{path}: schedule.sync: is not a cron line",
        "command line: log.level: input should be 'debug', 'info', 'warning' or 'error' (got 'loud')",
        f"{path}: state_dri: is not a key here; did you mean 'state_dir'?",
    ]
    assert len(found) == len(expected), found
    missing = [e for e in expected if not any(f.startswith(e) for f in found)]
    assert not missing, found


def test_load_all_reads_everything(write: Writer) -> None:
    path = write()
    configuration = load_all(path)
    assert configuration.file == path
    assert [r.name for r in configuration.relations] == ["head-of-state"]
    assert configuration.recipe.layers == (1, 2)


def test_mistakes_of_all_files_come_together(write: Writer) -> None:
    path = write(
        MAIN + "[log]\nlevel = 3\n",
        relations={"a": RELATION + "x = 1", "b": "[", "c": RELATION},
        recipes={"small": "layers = []\nstep = 5\n"},
    )
    with pytest.raises(ConfigError) as caught:
        load_all(path)
    places = [p.removeprefix(f"{path.parent}/").partition(": ")[0] for p in caught.value.problems]
    assert places == [
        "kbsync.toml",
        "relations/a.toml:6",
        "relations/b.toml",
        "recipes/small.toml",
        "recipes/small.toml",
    ]
    assert "5 mistakes" in str(caught.value)
