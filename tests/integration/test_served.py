"""`check-served` with real llama.cpp servers: what ruins a version in silence is found, and what does not is not."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import httpx2
import numpy as np
import pytest

from kbsync.bootstrap.served_forms import served_forms
from kbsync.checkpoints.exporters.form import ExportForm
from kbsync.checkpoints.exporters.write import write_export
from kbsync.config import load as load_settings
from kbsync.domain.errors import ModelError, NotifierFailed
from kbsync.model.delta import FactorDelta
from kbsync.notifiers.llama import LlamaEngine
from kbsync.notifiers.openai import OpenAiServer
from kbsync.stages.evaluate.served import ServedCheck, check_served, served_prompts
from tests.support.config_samples import MAIN, problems
from tests.support.llama_server import llama_server, post
from tests.support.served_world import POLICY, TOKENS, ServedWorld, make_served_world
from tests.support.swapping import Killed, swapping

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> ServedWorld:
    return make_served_world(tmp_path_factory.mktemp("served"))


def adapter(world: ServedWorld, delta: FactorDelta, directory: Path, rank: int | None = None) -> Path:
    write_export(world.loaded, delta, directory, ExportForm(format="gguf-lora", rank=rank), {"version": 2})
    return directory / "adapter.gguf"


def checked(world: ServedWorld, url: str) -> ServedCheck:
    server = OpenAiServer(url)

    def complete(prompts: Sequence[str]) -> list[str]:
        return server.complete(prompts, TOKENS)

    return check_served(complete, world.evaluation, served_prompts(world.evaluation, POLICY), POLICY, {})


def test_the_version_as_it_should_be_served_holds(world: ServedWorld, tmp_path: Path) -> None:
    assert {m.name: m.value for m in world.evaluation.metrics}["efficacy"] == 1
    with llama_server(world.gguf, [adapter(world, world.deltas[1], tmp_path / "a")]) as url:
        result = checked(world, url)
    assert result.decision.passed and not result.lost and not result.finding
    assert (result.version, result.asked, result.same) == (2, 16, 16)
    efficacy = result.figure("efficacy")
    assert efficacy is not None and (efficacy.served, efficacy.measured, efficacy.samples) == (1, 1, 8)
    assert {r.metric for r in result.decision.reasons} == {"efficacy", "specificity"}, "what answers tell of"
    write_export(world.loaded, world.deltas[1], tmp_path / "whole", ExportForm(format="gguf", gguf=world.gguf), {})
    with llama_server(tmp_path / "whole" / "model.gguf") as url:
        assert checked(world, url).decision.passed


def test_an_adapter_that_was_unloaded_in_silence(world: ServedWorld, tmp_path: Path) -> None:
    with llama_server(world.gguf, [adapter(world, world.deltas[1], tmp_path / "a")]) as url:
        assert checked(world, url).decision.passed
        assert post(url, "/lora-adapters", [{"id": 7, "scale": 1.0}])["success"], "an unknown id takes all edits away"
        result = checked(world, url)
    assert not result.decision.passed
    assert {f.group for f in result.lost} == {"edited"} and all(f.stale for f in result.lost)
    assert len(result.lost) == 8 and "as the unedited base does" in result.finding


def test_a_server_that_was_left_on_the_version_before(world: ServedWorld, tmp_path: Path) -> None:
    with llama_server(world.gguf, [adapter(world, world.deltas[0], tmp_path / "a")]) as url:
        result = checked(world, url)
    assert not result.decision.passed and "version 1 does" in result.finding
    assert {f.subject for f in result.lost} == {"Q5", "Q6", "Q7", "Q8"}
    assert all(f.stale for f in result.lost)


def test_an_adapter_that_was_cut(world: ServedWorld, tmp_path: Path) -> None:
    with llama_server(world.gguf, [adapter(world, world.deltas[1], tmp_path / "a", rank=1)]) as url:
        result = checked(world, url)
    assert not result.decision.passed and result.lost


def test_another_quantisation_than_the_edited_one(world: ServedWorld, tmp_path: Path) -> None:
    coarse = rounded(world.gguf, tmp_path / "coarse.gguf")
    with llama_server(coarse, [adapter(world, world.deltas[1], tmp_path / "a")]) as url:
        result = checked(world, url)
    assert not result.decision.passed and result.lost
    assert "another quantisation" in result.finding


def rounded(file: Path, target: Path, levels: int = 1) -> Path:
    """The same file with its numbers rounded to very few levels, as a coarse quantisation does."""
    import gguf

    data = bytearray(file.read_bytes())
    for tensor in gguf.GGUFReader(file).tensors:
        if tensor.data.ndim == 2:
            step = np.maximum(np.abs(tensor.data).max(axis=1, keepdims=True) / levels, 1e-9)
            values = (np.round(tensor.data / step) * step).astype(np.float32)
            data[tensor.data_offset : tensor.data_offset + values.nbytes] = values.tobytes()
    target.write_bytes(data)
    return target


def test_a_sample_is_judged_though_it_is_small(world: ServedWorld) -> None:
    chosen = served_prompts(world.evaluation, POLICY, sample=3)
    assert len(chosen) == 6
    result = check_served(lambda prompts: ["nothing"] * len(prompts), world.evaluation, chosen, POLICY, {})
    assert not result.decision.passed and len(result.lost) == 6


def test_versions_are_swapped_under_load_without_an_error(world: ServedWorld, tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp", reason="xllamacpp, the llama.cpp server, is not installed")
    with swapping(world, tmp_path) as site:
        assert httpx2.get(site.url + "/v1/models").status_code == 503, "nothing runs yet"
        site.engine().deliver(site.announcement(1, 1))
        assert site.answers(1) and not site.answers(2)
        with site.load():
            site.engine().deliver(site.announcement(2, 2))
            assert site.answers(2)
            site.engine().deliver(site.announcement(1, 3))
            assert site.answers(1), "a rollback"
        assert not site.errors and site.requests > 10
        assert site.processes == 1
        site.kill()
        assert httpx2.get(site.url + "/v1/models").status_code == 503
        site.engine().deliver(site.announcement(1, 3))
        assert site.answers(1) and site.processes == 1, "what fell is started again when it is told once more"


def test_a_version_that_does_not_answer_its_canaries_leaves_the_old_one(world: ServedWorld, tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp", reason="xllamacpp, the llama.cpp server, is not installed")
    with swapping(world, tmp_path) as site:
        site.engine().deliver(site.announcement(1, 1))
        wrong = replace(site.announcement(2, 2), directory=str(tmp_path / "published" / "1"))
        with pytest.raises(NotifierFailed, match="does not answer 2 canaries"):
            site.engine().deliver(wrong)
        nowhere = replace(site.announcement(2, 2), directory="")
        with pytest.raises(NotifierFailed, match="no GGUF file is published"):
            site.engine().deliver(nowhere)
        broken = LlamaEngine(["false", "{port}"], tmp_path, 10, 1, TOKENS, site.lost)
        with pytest.raises(NotifierFailed, match="ended while it started"):
            broken.deliver(site.announcement(2, 2))
        assert site.answers(1) and site.processes == 1


@pytest.mark.parametrize("step", [2, 4, 5])
def test_a_swap_that_was_killed_is_taken_up_again(world: ServedWorld, tmp_path: Path, step: int) -> None:
    pytest.importorskip("xllamacpp", reason="xllamacpp, the llama.cpp server, is not installed")
    with swapping(world, tmp_path) as site:
        site.engine().deliver(site.announcement(1, 1))
        with site.load():
            with pytest.raises(Killed):
                site.engine(dies_at=step).deliver(site.announcement(2, 2))
            assert site.answers(1) or site.answers(2)
            site.engine().deliver(site.announcement(2, 2))
        assert site.answers(2) and site.processes == 1 and not site.errors


def configured(directory: Path, text: str) -> Path:
    path = directory / "kbsync.toml"
    path.write_text(text)
    return path


def test_the_gate_asks_the_forms_that_are_served(world: ServedWorld, tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp", reason="xllamacpp, the llama.cpp server, is not installed")
    command = [sys.executable, "-m", "tests.support.llama_process", "-m", str(world.gguf), "{adapter}"]
    forms = ["bfloat16", "q8_0", "gguf-lora", "f32+lora", "q4_k_m+lora"]
    main = MAIN.replace('"tiny"', f'"{world.loaded.directory}"') + f'[release]\ngguf = "{world.gguf}"\n'
    asked = f"[evaluate]\nserved_as = {forms}\nserver = {json.dumps([*command, '--port', '{port}'])}\n"
    settings = load_settings(configured(tmp_path, main + asked))
    opened = served_forms(settings, lambda: world.loaded)
    prompts = [o.prompt for o in world.evaluation.outcomes]
    own = world.complete(world.deltas[1], prompts)
    for form in forms[:4]:
        with opened[form](world.deltas[1]) as complete:
            answers = complete(prompts)
        same = sum(a.split()[:1] == b.split()[:1] for a, b in zip(answers, own, strict=True))
        assert same >= 15, form
    with pytest.raises(ModelError, match="most matrices of the base's GGUF file are f32"):
        opened["q4_k_m+lora"](world.deltas[1]).__enter__()


def test_a_gguf_form_needs_a_server(tmp_path: Path) -> None:
    (problem,) = problems(configured(tmp_path, MAIN + '[evaluate]\nserved_as = ["gguf"]\n'))
    assert "set evaluate.server" in problem
