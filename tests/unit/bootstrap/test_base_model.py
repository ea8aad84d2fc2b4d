"""How the base was asked is remembered for as long as the configuration asks for the same."""
# ruff: noqa: F811 (pytest hands imported fixtures to arguments of the same name)

from __future__ import annotations

from pathlib import Path

import pytest

from kbsync.bootstrap.base_model import FRAMES_FILE, base_frames, load_base, remembered_frames
from kbsync.config import load_all
from kbsync.config.settings import ModelSettings
from kbsync.domain.errors import ModelError
from kbsync.domain.phrasing import PLAIN, Frames
from kbsync.ports import UNWATCHED
from tests.support.chat_tokenizer import END, FRAME
from tests.support.site import Site, clean_environment, new_site, random_base, site, with_template  # noqa: F401


def settings_of(site: Site) -> ModelSettings:
    return load_all(site.config).settings.model


def test_a_base_without_a_template_is_asked_plainly(site: Site, tmp_path: Path) -> None:
    settings = settings_of(site)
    assert base_frames(settings, tmp_path, UNWATCHED) == PLAIN == remembered_frames(settings, tmp_path)
    assert load_base(settings, tmp_path, PLAIN, UNWATCHED).fingerprint


def test_what_was_asked_last_is_remembered_for_the_same_settings_only(site: Site, tmp_path: Path) -> None:
    settings = settings_of(with_template(site))
    frames = base_frames(settings, tmp_path, UNWATCHED)
    assert frames == Frames.chat(FRAME, END)
    assert remembered_frames(settings, tmp_path) == frames
    assert remembered_frames(settings.model_copy(update={"system": "Be brief."}), tmp_path) == PLAIN
    (tmp_path / FRAMES_FILE).write_text("{")
    assert remembered_frames(settings, tmp_path) == PLAIN, "a damaged file tells nothing"
    never = settings.model_copy(update={"chat": "never"})
    assert base_frames(never, tmp_path, UNWATCHED) == PLAIN


def test_weights_whose_tokenizer_asks_otherwise_are_not_used(site: Site, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="another way"):
        load_base(settings_of(with_template(site)), tmp_path, PLAIN, UNWATCHED)
