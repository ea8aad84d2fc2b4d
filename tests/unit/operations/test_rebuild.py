"""A version is computed again from its manifest, bit for bit; what differs is named."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from kbsync.checkpoints.recording_store import with_derived
from tests.support.site import Site, fact


def files(directory: Path) -> dict[str, bytes]:
    return {str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


@pytest.mark.slow
def test_a_version_is_reproduced_and_nothing_is_written(built: Site) -> None:
    before = files(built.state / "artifacts") | files(built.state / "versions")
    told = built.good("rebuild", "1", "--json").json
    assert told["reproduced"] is True and told["got"] == told["expected"] == built.version_hash(1)
    assert (told["facts"], told["targets_reused"], told["differences"]) == (2, 2, [])
    anew = built.good("rebuild", "1", "--anew", "--json").json
    assert anew["reproduced"] is True and anew["targets_reused"] == 0
    assert files(built.state / "artifacts") | files(built.state / "versions") == before
    assert "reproduced: version 1 is " + told["got"] in built.good("rebuild", "1").out


def test_the_manifest_names_every_artifact_that_went_in(built: Site) -> None:
    manifest = built.manifest(1)
    with built.app() as app:
        assert sorted(with_derived(manifest.artifacts)) == app.artifacts.names()
        assert all(app.artifacts.digest(name) == digest for name, digest in manifest.artifacts.items())
    kinds = [name.partition("/")[0] for name in manifest.artifacts]
    assert (kinds.count("targets"), kinds.count("covariance")) == (2, 2)
    assert set(manifest.targets.values()) <= set(manifest.artifacts.values())


def test_lost_artifacts_are_computed_again(built: Site) -> None:
    shutil.rmtree(built.state / "artifacts")
    assert built.good("rebuild", "1", "--json").json["reproduced"] is True
    assert not (built.state / "artifacts").exists()


@pytest.mark.slow
def test_damaged_and_lost_factors_are_repaired(built: Site) -> None:
    whole = files(built.directory(1))
    path = built.directory(1) / "factors.safetensors"
    path.write_bytes(b"rot")
    assert built("ask", "The capital", "--version", "1").code == 74
    assert built.good("rebuild", "1", "--repair", "--json").json["repaired"] is True
    assert files(built.directory(1)) == whole
    path.unlink()
    assert "stored again" in built.good("rebuild", "1", "--repair").out
    assert files(built.directory(1)) == whole
    built.good("ask", "The capital", "--version", "1")


@pytest.mark.slow
def test_another_corpus_is_named(built: Site) -> None:
    (built.config.parent / "corpus.txt").write_text("Quite another text. " * 50)
    result = built("rebuild", "1")
    assert result.code == 5
    assert "not reproduced" in result.out and "covariance differs" in result.out and "[text] corpus" in result.out
    assert "the factors of model.layers.0.mlp.down_proj.weight differ" in result.out
    assert "target vector of" not in result.out
    refused = built("rebuild", "1", "--repair", "--json")
    assert refused.code == 5 and refused.json["repaired"] is False
    built.good("ask", "The capital", "--version", "1")


def test_a_foreign_target_vector_is_named(built: Site) -> None:
    """Somebody put another fact's target vector, checksum and all, in the place of this one's."""
    manifest = built.manifest(1)
    mine, other = sorted(name for name in manifest.artifacts if name.startswith("targets/"))
    with built.app() as app:
        path = Path(str(app.artifacts.entry(mine)))
        path.write_bytes(app.artifacts.entry(other).read())
    result = built("rebuild", "1", "--json")
    assert result.code == 5
    (request,) = [r for r in manifest.requests if manifest.targets[r.id] == manifest.artifacts[mine]]
    assert (
        f"the target vector of {request.key} ({request.subject}: {request.target}) differs"
        in result.json["differences"]
    )


def test_what_can_not_be_rebuilt(built: Site) -> None:
    missing = built("rebuild", "7")
    assert missing.code == 66 and "kbsync versions" in missing.err
    text = built.config.read_text().replace("[edit]", 'dtype = "bfloat16"\n[edit]')
    built.config.write_text(text)
    other = built("rebuild", "1")
    assert other.code == 65 and "another base" in other.err


@pytest.mark.slow
def test_the_build_hash_is_the_plans(site: Site) -> None:
    """A fact that could not be edited is not among the manifest's requests, and yet in the plan's build hash."""
    too_long = replace(fact(3, "Oslo"), subject="Land " * 200)
    site.build(fact(1, "Paris"), too_long)
    manifest = site.manifest(1)
    assert len(manifest.requests) == 1 and len(manifest.report.left_out) == 1
    assert site.good("rebuild", "1", "--json").json["reproduced"] is True
