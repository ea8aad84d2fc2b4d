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
from kbsync.domain.phrasing import PLAIN, Frames
from kbsync.model import load as loading
from tests.support.chat_tokenizer import END, FRAME, TEMPLATE
from tests.support.site import Site, _one_version, built, clean_environment, new_site, random_base, site, with_template  # noqa: F401


def app_of(site: Site) -> App:
    return App(load_all(site.config), actor="test")


def test_the_base_is_known_before_its_weights_are_loaded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(app_of(site)) as app:
        known = app.loaded.fingerprint
    with monkeypatch.context() as patch, closing(app_of(site)) as app:
        patch.setattr(loading, "load", lambda *_, **__: pytest.fail("the weights are loaded"))
        assert app.fingerprint == app.base.fingerprint == known


@pytest.mark.slow
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


@pytest.mark.slow
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


def test_an_instruct_model_is_asked_through_its_template_and_reports_remember_how(site: Site) -> None:
    site = with_template(site)
    with closing(app_of(site)) as app:
        assert {relation.frames for relation in app.relations} == {PLAIN}
        assert {relation.frames for relation in app.framed} == {app.frames} == {Frames.chat(FRAME, END)}
        assert app.loaded.tokenizer.chat_template == TEMPLATE
    with closing(app_of(site)) as app:
        assert {relation.frames for relation in app.relations} == {Frames.chat(FRAME, END)}
    site.config.write_text(site.config.read_text().replace("[edit]", 'chat = "never"\n[edit]'))
    with closing(app_of(site)) as app:
        assert {relation.frames for relation in (*app.relations, *app.framed)} == {PLAIN}


def test_a_template_that_can_not_be_used_stops_a_command_before_anything_is_written(site: Site) -> None:
    site = with_template(site, "{{ raise_exception('only for tools') }}")
    before = sorted(site.state.rglob("*"))
    for command in ("probe", "plan"):
        refused = site(command)
        assert refused.code == 65
        assert "chat_template.jinja can't be rendered: line 1: only for tools" in refused.err
    # Beside what is known of the model, only the trail's anchor begins, which the first writer sets.
    begun = {"digests.json", "models", "audit-anchor.json"}
    after = sorted(path for path in site.state.rglob("*") if path.name not in begun)
    assert after == before


@pytest.mark.slow
def test_how_an_instruct_model_is_asked_is_known_without_torch(site: Site) -> None:
    program = """
import sys
from pathlib import Path
from kbsync.bootstrap import App
from kbsync.config import load_all
print(App(load_all(Path(sys.argv[1])), actor="test").frames.edit_question, end="")
sys.exit(bool({"torch", "transformers", "numpy"} & sys.modules.keys()))
"""
    arguments = [sys.executable, "-c", program, str(with_template(site).config)]
    run = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, FRAME), run.stderr
