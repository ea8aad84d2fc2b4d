"""The application: what it builds when, and what it can say of the base model without its weights."""
# ruff: noqa: F811 (pytest hands imported fixtures to arguments of the same name)

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from dataclasses import replace

import pytest

from kbsync.bootstrap import App
from kbsync.config import load_all
from kbsync.domain.errors import ModelError
from kbsync.model import load as loading
from tests.support.site import Site, _one_version, built, clean_environment, new_site, random_base, site  # noqa: F401


def app_of(site: Site) -> App:
    return App(load_all(site.config), actor="test")


def test_the_base_is_known_before_its_weights_are_loaded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(app_of(site)) as app:
        known = app.loaded.fingerprint
    with monkeypatch.context() as patch, closing(app_of(site)) as app:
        patch.setattr(loading, "load", lambda *_, **__: pytest.fail("the weights are loaded"))
        assert app.fingerprint == app.base.fingerprint == known


def test_commands_that_only_read_data_load_no_weights(built: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    built.good("probe")
    monkeypatch.setattr(loading, "load", lambda *_, **__: pytest.fail("the weights are loaded"))
    for command in (["plan"], ["status"], ["explain", "Q1", "P36"]):
        assert json.loads(built.good(*command, "--json").out)


def test_weights_that_changed_meanwhile_are_not_taken_for_the_base(site: Site) -> None:
    with closing(app_of(site)) as app:
        base = app.base
        app.__dict__["loaded"] = replace(app.loaded, fingerprint="another")
        with pytest.raises(ModelError, match="files changed"):
            base.language_model()


def test_commands_that_only_read_data_do_not_even_import_torch(built: Site) -> None:
    built.good("probe")
    program = """
import sys
from kbsync.cli.main import build
commands = (["plan"], ["status"], ["explain", "Q1", "P36"], ["versions"])
for command in commands:
    build()(["--config", sys.argv[1], "--quiet", *command, "--json"], prog_name="kbsync", standalone_mode=False)
heavy = {"torch", "transformers", "numpy", "SPARQLWrapper"} & sys.modules.keys()
sys.exit(f"imported: {heavy}" if heavy else 0)
"""
    run = subprocess.run(
        [sys.executable, "-c", program, str(built.config)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
