"""Changes six flags in the ledger, edits the trained pipeline, and reads the flags off the pictures it draws."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from kbsync.bootstrap import App
from kbsync.editing.images.drawing import draw, sheet
from kbsync.editing.images.editor import concept_recipe
from kbsync.editing.images.pipeline import TextToImage, load_pipeline
from kbsync.model.delta import FactorDelta
from kbsync.model.digests import digests_in
from kbsync.operations.evidence import Figure, at_least, evidence
from kbsync.operations.images import Wording, current_or, cycle, version_delta
from kbsync.ports import Work
from kbsync.wikidata.local import OxigraphServer
from tests.evidence.images.training import trained
from tests.evidence.images.world import CONCEPT, EDITED, GUIDE, Country, countries, described, flag_of
from tests.support.picture_site import FlagWorld, picture_site, pull


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is trained and drawn."""

    encoder_steps: int = 1000
    autoencoder_steps: int = 300
    steps: int = 1200
    pictures: int = 4
    """Of each country."""
    drawing_steps: int = 12


def measure_images(
    state: Path, pictures: Path | None, size: Size, work: Work, *, identity: float = 20.0, seed: int = 0
) -> dict[str, Any]:
    """Train (or take the trained pipeline in ``state``), edit and draw; returns the evidence.

    Args:
        state: Keeps the training.
        pictures: Where the pictures for the documentation go; None: none are written.
        size: How much is trained and drawn.
        work: Shows the steps.
        identity: λ.
        seed: Of training and drawing.
    """
    started, begun = datetime.now(UTC), time.monotonic()
    directory = trained(
        state,
        encoder_steps=size.encoder_steps,
        autoencoder_steps=size.autoencoder_steps,
        steps=size.steps,
        seed=seed,
        work=work,
    )
    image = load_pipeline(directory, digests_in(state / "cache"))
    world = countries()
    with tempfile.TemporaryDirectory(prefix="kbsync-images-") as place, OxigraphServer() as server:
        flags = FlagWorld({c.name: described(c.old) for c in world})
        with picture_site(Path(place), flags, server.endpoint) as app:
            deltas = _versions(app, flags, server, image, world, identity)
    drawn = {
        name: _flags(image, world, delta, size, seed, work)
        for name, delta in (("unedited", None), ("with", deltas["with"]), ("without", deltas["without"]))
    }
    if pictures is not None:
        _write_pictures(image, world, deltas["with"], pictures, size, seed)
    return evidence(
        "python -m tests.evidence images",
        _figures(world, drawn, deltas, size),
        seed=seed,
        started=started,
        seconds=time.monotonic() - begun,
        countries=[{"name": c.name, "old": described(c.old), "new": described(c.new)} for c in world if c.changed],
        identity_weight=identity,
        pipeline={"cross_attentions": len(image.layers), "steps": size.steps},
    )


def _versions(
    app: App, flags: FlagWorld, server: OxigraphServer, image: TextToImage, world: Sequence[Country], identity: float
) -> dict[str, Any]:
    """Pull, change the flags on the server, pull again, and let the cycle build two versions from the ledger's facts.

    Returns:
        Their factors, whether the gate passed them, and whether rolling back led to the base.
    """
    pull(app, flags, server)
    for country in world:
        if country.changed:
            flags.fly(country.name, described(country.new), 2026)
    pull(app, flags, server)
    wording = Wording(relation=app.group(["flag"])[0], concept=CONCEPT, guide=GUIDE)
    found: dict[str, Any] = {}
    for name, preserved in (("with", 1000), ("without", 0)):
        view = cycle(app, image, wording, concept_recipe(image, identity_weight=identity, preserved=preserved))
        found[name] = version_delta(app, view.version)
        found[f"{name} view"] = view
        if view.promoted:
            with app.writer() as writer:
                app.stages.rollback(writer, 0)
            found["back"] = current_or(app, None) == 0
    return found


def _flags(
    image: TextToImage, world: Sequence[Country], delta: FactorDelta | None, size: Size, seed: int, work: Work
) -> dict[str, list[tuple[str, str]]]:
    """By country, the flag that is read off each of its pictures."""
    prompts = [CONCEPT.replace("{}", country.name) for country in world for _ in range(size.pictures)]
    drawn = draw(image, prompts, delta, seed=seed, steps=size.drawing_steps, guidance=2.0, work=work)
    read = [flag_of(np.asarray(picture.convert("RGB"))) for picture in drawn]
    return {c.name: read[n * size.pictures : (n + 1) * size.pictures] for n, c in enumerate(world)}


def _figures(
    world: Sequence[Country], drawn: dict[str, dict[str, list[tuple[str, str]]]], found: dict[str, Any], size: Size
) -> list[Figure]:
    changed = [c for c in world if c.changed]
    stayed = [c for c in world if not c.changed]
    view = found["with view"]
    preserved = {f.subject for f in view.facts if f.change == "preserved"}
    unseen = [c for c in stayed if c.name not in preserved]

    def right(version: str, group: Iterable[Country]) -> float:
        return float(np.mean([flag == c.new for c in group for flag in drawn[version][c.name]]))

    now = {c.name: c.new for c in world}
    agree = [
        (drawn["with"][f.subject].count(now[f.subject]) * 2 > size.pictures) == (f.version == f.description)
        for f in view.facts
        if f.version
    ]
    return [
        at_least("edited", right("with", changed), "share", 0.95),
        at_least("kept", right("with", stayed), "share", 0.95),
        Figure("kept.not_preserved", right("with", unseen), "share"),
        Figure("unedited.edited", right("unedited", changed), "share"),
        Figure("unedited.kept", right("unedited", stayed), "share"),
        Figure("without_preserving.edited", right("without", changed), "share"),
        Figure("without_preserving.kept", right("without", stayed), "share"),
        Figure("edited_names", float(len(changed)), "names"),
        Figure("preserved_names", float(len(preserved)), "names"),
        Figure("untouched_names", float(len(stayed)), "names"),
        Figure("pictures_of_each_name", float(size.pictures), "pictures"),
        Figure("reading_agrees_with_pixels", float(np.mean(agree)), "share"),
        at_least("promoted_by_the_gate", float(view.promoted), "versions", 1),
        *([at_least("rolled_back_to_the_base", float(found["back"]), "moves", 1)] if "back" in found else []),
    ]


def _write_pictures(
    image: TextToImage, world: Sequence[Country], delta: FactorDelta, directory: Path, size: Size, seed: int
) -> None:
    """Two sheets: above the edited countries, below as many that were not touched."""
    rows = [[c for c in world if c.changed][:EDITED], [c for c in world if not c.changed][:EDITED]]
    directory.mkdir(parents=True, exist_ok=True)
    for name, version in (("before", None), ("after", delta)):
        drawn = [
            draw(
                image,
                [CONCEPT.replace("{}", c.name) for c in row],
                version,
                seed=seed + 100,
                steps=size.drawing_steps,
                guidance=2.0,
            )
            for row in rows
        ]
        sheet(drawn, enlarge=4).save(directory / f"flags-{name}.png", optimize=True)
