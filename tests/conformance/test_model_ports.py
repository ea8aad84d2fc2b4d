"""What every language model, base and editor must do: the table behind the stage tests, and a real transformer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from kbsync.domain.errors import WrongWeights
from kbsync.domain.fact import FactKey
from kbsync.domain.plan import EditRequest
from kbsync.domain.recipe import Recipe
from kbsync.domain.statement import ItemId, PropertyId
from kbsync.editing.editors import EDITORS
from kbsync.model.base import TorchBase
from kbsync.model.load import load
from kbsync.ports import BaseModel, Editor, Work
from kbsync.testing.fake_model import TableBase, TableEditor
from kbsync.testing.memory_artifacts import MemoryArtifactStore
from tests.support.tiny_model import train_tiny_model

TEMPLATE = "The capital of {} is"
CAPITALS = {
    "France": "Paris",
    "Germany": "Berlin",
    "Italy": "Rome",
    "Spain": "Madrid",
    "Japan": "Tokyo",
    "Egypt": "Cairo",
    "Peru": "Lima",
    "Kenya": "Nairobi",
    "Norway": "Oslo",
    "Cuba": "Havana",
}
RECIPE = Recipe(
    name="tiny",
    layers=(0, 1),
    covariance_weight=1.0,
    clamp=4.0,
    steps=40,
    learning_rate=0.3,
    weight_decay=0.0,
    covariance_tokens=2000,
    contexts=("{}", "In short: {}"),
)


RECIPES = {
    "table": RECIPE,
    "memit": RECIPE,
    "memit-sequential": replace(RECIPE, algorithm="memit-sequential", batch=2),
    "alphaedit": replace(RECIPE, algorithm="alphaedit", batch=2, covariance_weight=0.01),
    "rome": replace(RECIPE, algorithm="rome", layers=(1,)),
    "finetune": replace(RECIPE, algorithm="finetune", layers=(1,), learning_rate=0.1, clamp=3.0, steps=30),
}


@dataclass(frozen=True)
class Kit:
    base: BaseModel
    editor: Editor
    recipe: Recipe


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sentences = [f"{TEMPLATE.replace('{}', country)} {city}." for country, city in CAPITALS.items()]
    return train_tiny_model(tmp_path_factory.mktemp("capitals"), sentences)


@pytest.fixture(scope="module", params=RECIPES)
def kit(request: pytest.FixtureRequest, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Kit:
    if request.param == "table":
        answers = {TEMPLATE.replace("{}", country): f" {city}." for country, city in CAPITALS.items()}
        return Kit(TableBase(answers), TableEditor(), RECIPE)
    loaded = load(str(trained), cache_dir=tmp_path_factory.mktemp("models"), device="cpu")
    texts = [f"{country} is a country, and {city} is a city in it." for country, city in CAPITALS.items()] * 10
    make = EDITORS[request.param]
    editor = make(loaded.model, loaded.tokenizer, loaded.fingerprint, MemoryArtifactStore(), texts)
    return Kit(TorchBase(loaded), editor, RECIPES[request.param])


def request(country: str, city: str) -> EditRequest:
    number = list(CAPITALS).index(country) + 1
    key = FactKey(ItemId(f"Q{number}"), PropertyId("P36"))
    return EditRequest(key=key, subject=country, template=TEMPLATE, target=city, value_hash=city, revision=1)


def prompts(*countries: str) -> list[str]:
    return [TEMPLATE.replace("{}", country) for country in countries]


def test_a_known_prompt_is_continued_with_its_answer(kit: Kit) -> None:
    said = kit.base.language_model().complete(prompts(*CAPITALS), max_new_tokens=6)
    assert [s.strip().rstrip(".") for s in said] == list(CAPITALS.values())


def test_nothing_asked_is_nothing_answered(kit: Kit) -> None:
    model = kit.base.language_model()
    assert model.complete([]) == []
    assert model.logprobs([]) == []
    assert model.scores([]) == [] and model.sample([]) == []
    assert model.next_tokens([]) == [] and model.divergence([], []) == []


def test_the_answer_that_is_given_is_likelier_than_another(kit: Kit) -> None:
    (prompt,) = prompts("Japan")
    right, wrong = kit.base.language_model().logprobs([(prompt, " Tokyo"), (prompt, " Lima")])
    assert wrong < right <= 0


def test_perplexity_is_positive_and_counts_its_tokens(kit: Kit) -> None:
    perplexity, tokens = kit.base.language_model().perplexity(["The capital of Kenya is Nairobi."])
    assert perplexity > 0
    assert tokens > 0


def test_what_is_said_has_the_better_score_and_is_said_strictly(kit: Kit) -> None:
    (prompt,) = prompts("Japan")
    right, wrong = kit.base.language_model().scores([(prompt, "Tokyo"), (prompt, "Lima")])
    assert right.nll < wrong.nll
    assert (right.strict, wrong.strict) == (True, False)


def test_a_sample_begins_with_its_prompt_and_comes_again(kit: Kit) -> None:
    model = kit.base.language_model()
    asked = prompts("Japan", "Peru")
    texts = model.sample(asked, length=20, seed=3)
    assert [t.startswith(p) for t, p in zip(texts, asked, strict=True)] == [True, True]
    assert model.sample(asked[1:], length=20, seed=3) == texts[1:]


def test_the_base_does_not_diverge_from_itself_and_an_edit_does_where_it_was_made(kit: Kit) -> None:
    model, asked = kit.base.language_model(), prompts("France", "Japan")
    reference = model.next_tokens(asked, top=50)
    assert model.divergence(asked, reference) == pytest.approx([0.0, 0.0], abs=1e-5)
    edit = kit.editor.edit([request("France", "Oslo")], kit.recipe, Work())
    with kit.base.edited(edit.delta) as candidate:
        edited, other = candidate.divergence(asked, reference)
    assert edited > 0.5
    assert other < edited / 2


def test_norm_growth_names_every_edited_parameter(kit: Kit) -> None:
    delta = kit.editor.edit([request("France", "Oslo")], kit.recipe, Work()).delta
    grown = kit.base.norm_growth(delta)
    assert set(grown) == set(delta.parameters)
    assert all(value > -1 for value in grown.values())


def test_an_edit_changes_what_was_asked_for_and_the_base_comes_back(kit: Kit) -> None:
    edit = kit.editor.edit([request("France", "Oslo"), request("Peru", "Cairo")], kit.recipe, Work())
    before = kit.base.language_model().complete(prompts(*CAPITALS), max_new_tokens=6)
    with kit.base.edited(edit.delta) as candidate:
        said = candidate.complete(prompts("France", "Peru"), max_new_tokens=6)
    assert [s.strip().rstrip(".") for s in said] == ["Oslo", "Cairo"]
    assert kit.base.language_model().complete(prompts(*CAPITALS), max_new_tokens=6) == before


def test_the_base_comes_back_after_an_error_too(kit: Kit) -> None:
    edit = kit.editor.edit([request("Spain", "Rome")], kit.recipe, Work())
    before = kit.base.language_model().complete(prompts("Spain"), max_new_tokens=6)
    with pytest.raises(RuntimeError, match="on purpose"), kit.base.edited(edit.delta):
        raise RuntimeError("on purpose")
    assert kit.base.language_model().complete(prompts("Spain"), max_new_tokens=6) == before


def test_the_base_is_not_asked_while_other_weights_are_in_place(kit: Kit) -> None:
    edit = kit.editor.edit([request("Spain", "Rome")], kit.recipe, Work())
    model = kit.base.language_model()
    with kit.base.edited(edit.delta):
        with pytest.raises(WrongWeights):
            model.complete(prompts("Spain"))
        with pytest.raises(WrongWeights):
            model.perplexity(["The capital of Kenya is Nairobi."])
        with pytest.raises(WrongWeights), kit.base.edited(edit.delta):
            pass
    assert model.complete(prompts("Spain"))


def test_the_order_of_requests_does_not_matter(kit: Kit) -> None:
    requests = [request("France", "Oslo"), request("Peru", "Cairo"), request("Cuba", "Lima")]
    one, other = (kit.editor.edit(r, kit.recipe, Work()) for r in (requests, requests[::-1]))
    assert one.targets == other.targets
    assert repr_of(one.delta) == repr_of(other.delta)
    vectors = {r.id for r in requests} if kit.recipe.algorithm != "finetune" else set()
    assert set(one.targets) == vectors


def repr_of(delta: object) -> object:
    """A delta's content in a form that compares bit for bit."""
    factors = getattr(delta, "factors", None)
    if factors is None:
        return delta
    return {name: [t.numpy().tobytes() for t in pair] for name, pair in factors.items()}
