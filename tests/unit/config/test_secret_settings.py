"""Which settings may hold a secret, and what is done so that none is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbsync.config import Settings
from kbsync.config.secret_settings import exposure, secret_files, secret_settings, secrets_in
from tests.evidence.hardening.secrets import leaks, planted_settings, plants
from tests.support.config_samples import MAIN, Writer, problems

pytestmark = pytest.mark.hardening


def test_every_setting_that_may_hold_a_secret_is_found() -> None:
    assert {".".join(location) for location, _ in secret_settings(Settings)} >= {
        "database_url",
        "source.endpoint",
        "source.scholarly",
        "source.events",
        "store.url",
        "store.options",
        "release.command",
        "release.webhook",
        "release.secret",
        "web.token",
    }
    assert {".".join(location) for location in secret_files(Settings)} >= {"release.secret_file", "web.token_file"}


def test_words_of_every_shape_are_found() -> None:
    value = {"a": ["one-word", {"b": "https://u:two-words@h"}], "c": 3, "d": None}
    assert set(secrets_in(value, whole=True)) == {"one-word", "u:two-words", "two-words"}
    assert set(secrets_in(value, whole=False)) == {"u:two-words", "two-words"}


def test_the_name_of_a_setting_that_holds_a_secret_is_told_and_the_value_is_not(write: Writer) -> None:
    config = write(MAIN + "[web]\ntoken = 5\nport = 70000\n")
    said = "\n".join(problems(config, {"release": {"webhook": "htps://u:hunter2@h"}}))
    assert "release.webhook" in said and "hunter2" not in said
    assert "web.token" in said and "got 5" not in said and "got 70000" in said


@pytest.mark.parametrize(
    ("mode", "exposed"), [(0o600, False), (0o640, False), (0o400, False), (0o644, True), (0o604, True), (0o602, True)]
)
def test_a_file_that_everybody_may_read_or_change_is_no_place_for_a_secret(
    tmp_path: Path, mode: int, exposed: bool
) -> None:
    file = tmp_path / "web-token"
    file.write_text("0123456789abcdef", encoding="utf-8")
    file.chmod(mode)
    assert bool(exposure(file)) is exposed
    assert not exposed or f"mode {mode:04o}" in exposure(file)
    assert exposure(tmp_path / "missing") == ""


@pytest.mark.slow
@pytest.mark.parametrize("setting", [".".join(location) for location in planted_settings()])
def test_a_marker_in_it_is_told_nowhere(setting: str) -> None:
    for plant in plants([setting], 1):
        assert leaks(plant, (("status",),)) == [], plant
