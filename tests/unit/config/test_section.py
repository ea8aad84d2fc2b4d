"""What holds for every section."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import create_model

from kbsync.config import load
from kbsync.config.section import Section
from tests.support.config_samples import Writer


def test_settings_are_frozen(write: Writer) -> None:
    settings = load(write())
    with pytest.raises(ValueError, match="frozen"):
        settings.state_dir = Path("/")


class Small(Section):
    size: int = 1


def test_unknown_keys_and_changes_are_refused() -> None:
    with pytest.raises(ValueError, match="Extra inputs are not permitted"):
        Small.model_validate({"sise": 2})
    small = Small(size=2)
    with pytest.raises(ValueError, match="frozen"):
        small.size = 3


def test_defaults_are_validated_like_everything_else() -> None:
    wrong = create_model("Wrong", __base__=Section, size=(int, "many"))
    with pytest.raises(ValueError, match="valid integer"):
        wrong()
