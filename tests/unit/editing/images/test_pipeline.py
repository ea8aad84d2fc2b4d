"""Pipelines as a base: loading, fingerprint, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import nn

from kbsync.domain.errors import ModelError
from kbsync.editing.images.pipeline import TextToImage, load_pipeline, pipeline_fingerprint
from kbsync.model.digests import digests_in
from tests.support.random_pipelines import KINDS, stable_diffusion


@pytest.mark.slow
def test_a_saved_pipeline_is_loaded_and_known_by_its_content(tmp_path: Path) -> None:
    digests = digests_in(tmp_path / "cache")
    stable_diffusion(0).save_pretrained(tmp_path / "one")
    stable_diffusion(0).save_pretrained(tmp_path / "same")
    stable_diffusion(1).save_pretrained(tmp_path / "other")
    loaded = load_pipeline(tmp_path / "one", digests)
    assert loaded.fingerprint == pipeline_fingerprint(tmp_path / "same", digests)
    assert loaded.fingerprint != pipeline_fingerprint(tmp_path / "other", digests)
    assert loaded.side == 16
    assert loaded.latent == (4, 8, 8)


@pytest.mark.parametrize("kind", KINDS)
def test_keys_and_values_of_every_cross_attention_are_found(kind: str) -> None:
    image = TextToImage(KINDS[kind](), kind)
    expected = {
        n for n, _ in image.denoiser.named_parameters() if n.endswith(("attn2.to_k.weight", "attn2.to_v.weight"))
    }
    assert {name for layer in image.layers for name in layer} == expected
    assert len(image.layers) == 4


def test_a_directory_without_a_pipeline_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"model_index\.json is missing"):
        load_pipeline(tmp_path, digests_in(tmp_path / "cache"))


def test_a_wrapped_matrix_is_refused_by_name() -> None:
    pipeline = stable_diffusion()
    attention = pipeline.unet.down_blocks[0].attentions[0].transformer_blocks[0].attn2
    attention.to_k = nn.Sequential(attention.to_k)
    with pytest.raises(ModelError, match=r"attn2\.to_k is no plain matrix"):
        TextToImage(pipeline, "")


def test_prompts_that_can_not_be_read_whole_are_told() -> None:
    image = TextToImage(stable_diffusion(), "")
    assert image.flaw("the flag of kelia") == ""
    assert "tokens" in image.flaw("a long name of so many letters")
    assert "no token" in image.flaw("")


def test_weights_that_are_no_safetensors_are_never_read(tmp_path: Path) -> None:
    stable_diffusion(0).save_pretrained(tmp_path / "one")
    (weights,) = (tmp_path / "one" / "vae").glob("*.safetensors")
    weights.unlink()
    (tmp_path / "one" / "vae" / "diffusion_pytorch_model.bin").write_bytes(b"a pickle")
    with pytest.raises(ModelError, match="can't be loaded as a pipeline"):
        load_pipeline(tmp_path / "one", digests_in(tmp_path / "cache"))
