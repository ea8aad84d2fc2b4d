"""A cycle of a site whose base is a text-to-image pipeline, with a real SPARQL server and a random pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from kbsync.bootstrap import App
from kbsync.domain.errors import DataError, KbsyncError, NotFound
from kbsync.domain.gate import Threshold
from kbsync.domain.verdict import VerdictKind
from kbsync.domain.version import VersionState
from kbsync.editing.images.editor import concept_recipe
from kbsync.editing.images.pipeline import TextToImage
from kbsync.editing.images.reading import ConceptReader
from kbsync.operations.images import Wording, current_or, cycle, version_delta
from kbsync.wikidata.local import OxigraphServer
from tests.support.picture_site import FlagWorld, picture_site, pull
from tests.support.random_pipelines import stable_diffusion

CONCEPT, GUIDE = "the flag of {}", "the {} flag"
FLAGS = ("red", "blue", "green")
COUNTRIES = ("kelia", "dunmark", "norland", "zania")
NO_POLICY = (Threshold(metric="efficacy", at_least=0.0),)


@pytest.fixture(scope="module")
def image() -> TextToImage:
    return TextToImage(stable_diffusion(), "f" * 64)


@pytest.fixture(scope="module")
def world(image: TextToImage) -> FlagWorld:
    """All countries have the flags that the pipeline draws, but the first, which has another one now."""
    guides = {GUIDE.replace("{}", flag): flag for flag in FLAGS}
    drawn = ConceptReader(image, sorted(guides)).read([CONCEPT.replace("{}", name) for name in COUNTRIES])
    flags = {name: guides[guide] for name, guide in zip(COUNTRIES, drawn, strict=True)}
    world = FlagWorld(flags | {f"x{n}": flag for n, flag in enumerate(FLAGS)})
    world.fly(COUNTRIES[0], next(flag for flag in FLAGS if flag != flags[COUNTRIES[0]]), 2020)
    return world


@pytest.fixture
def app(world: FlagWorld, tmp_path: Path) -> Iterator[App]:
    with OxigraphServer() as server, picture_site(tmp_path, world, server.endpoint) as app:
        pull(app, world, server)
        yield app


def wording(app: App) -> Wording:
    return Wording(relation=app.group(["flag"])[0], concept=CONCEPT, guide=GUIDE)


@pytest.mark.slow
def test_a_changed_flag_becomes_a_version_that_can_be_taken_back(app: App, image: TextToImage) -> None:
    recipe = concept_recipe(image, identity_weight=1e-3, preserved=100)
    before = [p.clone() for p in image.denoiser.parameters()]
    done = cycle(app, image, wording(app), recipe, policy=NO_POLICY)
    changed = next(f for f in done.facts if f.subject == COUNTRIES[0])
    assert changed.change == "edited" and changed.base != changed.description
    assert changed.version in {GUIDE.replace("{}", flag) for flag in FLAGS}, "it was asked"
    assert done.promoted and done.version == 1 and done.edited >= 1
    assert all(torch.equal(a, b) for a, b in zip(before, image.denoiser.parameters(), strict=True))

    again = cycle(app, image, wording(app), recipe, policy=NO_POLICY)
    assert (again.version, again.hash) == (1, done.hash)
    assert len(app.store.hashes()) == 1
    app.store.verify(done.hash)
    delta = version_delta(app, 1)
    assert delta is not None and set(delta.parameters) == {name for layer in image.layers for name in layer}

    with app.ledger.read() as tx:
        verdicts = tx.verdicts(image.fingerprint)
        (version,) = tx.versions()
        kinds = [e.kind for e in tx.audit()]
    assert next(v.kind for k, v in verdicts.items() if k.fact.subject == "Q1000") is VerdictKind.STALE
    assert version.state is VersionState.PROMOTED
    assert kinds[-4:] == ["plan", "edit", "evaluate", "promote"]
    with app.writer() as writer:
        app.stages.rollback(writer)
    assert current_or(app, None) == 0
    assert version_delta(app, 0) is None


@pytest.mark.slow
def test_a_rehearsal_says_what_would_be_edited_and_builds_nothing(app: App, image: TextToImage) -> None:
    done = cycle(app, image, wording(app), concept_recipe(image), rehearse=True)
    assert done.version == 0 and done.edited >= 1
    assert not app.store.hashes()


@pytest.mark.slow
def test_a_version_that_does_not_pass_the_gate_is_not_promoted(app: App, image: TextToImage) -> None:
    useless = replace(concept_recipe(image), covariance_weight=1e9)
    done = cycle(app, image, wording(app), useless)
    assert done.version == 1 and not done.promoted
    assert any("efficacy" in reason for reason in done.reasons)
    assert current_or(app, None) == 0


@pytest.mark.slow
def test_a_site_of_another_base_and_a_wrong_wording_are_refused(app: App, image: TextToImage) -> None:
    cycle(app, image, wording(app), concept_recipe(image), policy=NO_POLICY)
    other = TextToImage(image.pipeline, "e" * 64)
    with pytest.raises(KbsyncError, match="another base"):
        cycle(app, other, wording(app), concept_recipe(other))
    with pytest.raises(DataError, match="must hold one"):
        replace(wording(app), guide="the flag")


def test_a_ledger_without_facts_says_what_to_do(world: FlagWorld, image: TextToImage, tmp_path: Path) -> None:
    with picture_site(tmp_path, world, "http://127.0.0.1:9/query") as app, pytest.raises(NotFound, match="flag"):
        cycle(app, image, wording(app), concept_recipe(image))
