from __future__ import annotations

from pathlib import Path

import pytest
import torch

from kbsync.domain.errors import EditError, WrongWeights
from kbsync.model.base import TorchBase
from kbsync.model.delta import FactorDelta
from kbsync.model.load import LoadedModel
from kbsync.ports import Delta
from tests.support.random_models import SENTENCES, random_model

NAME = "model.layers.2.mlp.down_proj.weight"


@pytest.fixture
def base() -> TorchBase:
    return TorchBase(LoadedModel(*random_model("llama"), "base", "random llama", Path("nowhere")))


def some_delta(seed: int = 0) -> FactorDelta:
    generator = torch.Generator().manual_seed(seed)
    return FactorDelta({NAME: (torch.randn(96, 2, generator=generator), torch.randn(2, 384, generator=generator))})


def test_a_delta_changes_the_answers_inside_its_block_only(base: TorchBase) -> None:
    weight = random_model("llama")[0].get_parameter(NAME)
    before = base.language_model().perplexity(SENTENCES)
    with base.edited(some_delta()) as edited:
        inside = edited.perplexity(SENTENCES)
    assert inside.value != pytest.approx(before.value, rel=0.01)
    assert base.language_model().perplexity(SENTENCES) == before
    assert random_model("llama")[0].get_parameter(NAME) is weight


def test_fingerprints_tell_base_and_deltas_apart(base: TorchBase) -> None:
    found = [base.fingerprint, base.language_model().fingerprint]
    for seed in (0, 0, 1):
        with base.edited(some_delta(seed)) as edited:
            found.append(edited.fingerprint)
    assert found[0] == found[1] == "base"
    assert found[2] == found[3] != found[4]
    assert all(name.startswith("base+") for name in found[2:])


def test_asking_while_other_weights_are_in_place_is_refused(base: TorchBase) -> None:
    unedited = base.language_model()
    with base.edited(some_delta()) as edited:
        with pytest.raises(WrongWeights, match="not of base"):
            unedited.complete(["The"])
        with pytest.raises(WrongWeights, match="in place already"), base.edited(some_delta()):
            pass
        edited.complete(["The"])
    with pytest.raises(WrongWeights, match="not of base\\+"):
        edited.complete(["The"])
    assert unedited.complete(["The"])


def test_the_base_is_back_after_an_error(base: TorchBase) -> None:
    before = base.language_model().complete(["The river"])
    with pytest.raises(RuntimeError, match="inside"), base.edited(some_delta()):
        raise RuntimeError("inside")
    assert base.language_model().complete(["The river"]) == before


def test_deltas_of_another_kind_or_model_are_refused(base: TorchBase) -> None:
    class Other(Delta):
        @property
        def parameters(self) -> tuple[str, ...]:
            return ()

    with pytest.raises(EditError, match="A Other can't be applied"), base.edited(Other()):
        pass
    wrong = FactorDelta({"model.layers.9.mlp.down_proj.weight": (torch.zeros(96, 1), torch.zeros(1, 384))})
    with pytest.raises(EditError, match="no parameter"), base.edited(wrong):
        pass
    assert base.language_model().complete(["The"])
