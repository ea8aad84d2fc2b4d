"""``kbsync images`` on a random pipeline and a real SPARQL server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kbsync.cli.images import Drawn
from kbsync.operations.images import ImagesView
from kbsync.wikidata.local import OxigraphServer
from tests.integration.test_cli_contract import conforms
from tests.support.cli import Cli
from tests.support.picture_site import FlagWorld, picture_site, pull
from tests.support.random_pipelines import stable_diffusion

pytestmark = pytest.mark.slow
SYNC = ("images", "sync", "pipeline", "--relation", "flag", "--concept", "the flag of {}", "--guide", "the {} flag")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site after its first pull, and a pipeline."""
    directory = tmp_path_factory.mktemp("pictures")
    world = FlagWorld({"kelia": "red", "dunmark": "blue", "norland": "green", "zania": "red"})
    with OxigraphServer() as server, picture_site(directory, world, server.endpoint) as app:
        pull(app, world, server)
    stable_diffusion().save_pretrained(directory / "pipeline")
    return directory


@pytest.fixture
def pictures(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    shutil.copytree(place, tmp_path / "site")
    monkeypatch.chdir(tmp_path / "site")
    yield Cli(tmp_path / "site" / "kbsync.toml", None)  # type: ignore[arg-type]


def test_it_foretells_then_edits_and_the_gate_decides(pictures: Any) -> None:
    foretold = pictures.good(*SYNC, "--dry-run", "--json").json
    conforms(foretold, ImagesView, "images sync")
    assert foretold["version"] == 0 and foretold["edited"] >= 1
    done = pictures(*SYNC, "--json")
    conforms(done.json, ImagesView, "images sync")
    assert done.json["version"] == 1 and done.json["edited"] == foretold["edited"]
    assert done.code == (0 if done.json["promoted"] else 3)
    assert {f["change"] for f in done.json["facts"]} <= {"edited", "preserved", ""}
    assert "version 1" in pictures(*SYNC).out


def test_a_sheet_is_drawn(pictures: Any) -> None:
    ask = ("images", "draw", "pipeline", "sheet.png", "--prompt", "the flag of kelia", "--steps", "1", "--each", "2")
    assert pictures.good(*ask, "--dry-run").out and not Path("sheet.png").exists()
    conforms(drawn := pictures.good(*ask, "--json").json, Drawn, "images draw")
    assert drawn == {"version": 0, "pictures": 2, "file": "sheet.png"}
    assert Path("sheet.png").read_bytes().startswith(b"\x89PNG")


def test_what_can_not_be_done_is_said(pictures: Any) -> None:
    assert pictures("images", "draw", "pipeline", "x.png", "--prompt", "a", "--version", "7").code == 66
    assert pictures("images", "draw", "relations", "x.png", "--prompt", "a").code == 65
    wrong = pictures(*SYNC[:-1], "a flag")
    assert wrong.code == 65 and "must hold one {}" in wrong.err
