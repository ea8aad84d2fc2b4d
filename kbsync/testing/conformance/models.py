"""What every ``BaseModel``, its ``LanguageModel`` and every ``Editor`` must do."""

from __future__ import annotations

from abc import ABC, abstractmethod

import pytest

from kbsync.domain.errors import WrongWeights
from kbsync.domain.fact import FactKey
from kbsync.domain.phrasing import fill
from kbsync.domain.plan import EditRequest
from kbsync.domain.recipe import Recipe
from kbsync.domain.rewrite import control_token_in
from kbsync.domain.statement import ItemId, PropertyId
from kbsync.ports import BaseModel, Delta, Editor, Work

TEMPLATE = "The capital of {} is"
FACTS = {
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
"""What the model under test must know: it continues ``TEMPLATE``, filled with the country, with a blank and the
city."""


class ModelKit(ABC):
    """A model that knows ``FACTS``, and an editor with a recipe that works on it."""

    base: BaseModel
    editor: Editor
    recipe: Recipe
    has_targets: bool = True
    """Whether the editor computes a target vector for each request, and names it in ``Edit.targets``."""

    @abstractmethod
    def same(self, one: Delta, other: Delta) -> bool:
        """Whether two deltas are equal, bit for bit."""


class ModelConformance:
    """Override the fixture ``kit``.

    The tests leave the base as it was: where loading is slow, return the same kit from a fixture of the module.
    """

    @pytest.fixture
    def kit(self) -> ModelKit:
        """The model and the editor under test."""
        raise NotImplementedError("override the fixture `kit`")

    def test_a_known_prompt_is_continued_with_its_answer(self, kit: ModelKit) -> None:
        said = kit.base.language_model().complete(_prompts(*FACTS), max_new_tokens=6)
        assert [s.strip().rstrip(".") for s in said] == list(FACTS.values())

    def test_no_ordinary_label_holds_a_control_token(self, kit: ModelKit) -> None:
        tokens = kit.base.language_model().control_tokens
        assert all(token.strip() for token in tokens)
        assert not [label for label in (*FACTS, *FACTS.values()) if control_token_in(label, tokens)]

    def test_nothing_asked_is_nothing_answered(self, kit: ModelKit) -> None:
        model = kit.base.language_model()
        assert model.complete([]) == []
        assert model.scores([]) == [] and model.sample([]) == []
        assert model.next_tokens([]) == [] and model.divergence([], []) == []

    def test_the_answer_that_is_given_is_likelier_than_another(self, kit: ModelKit) -> None:
        (prompt,) = _prompts("Japan")
        right, wrong = kit.base.language_model().scores([(prompt, "Tokyo"), (prompt, "Lima")])
        assert wrong.logprob < right.logprob <= 0

    def test_perplexity_is_positive_and_counts_its_tokens(self, kit: ModelKit) -> None:
        perplexity = kit.base.language_model().perplexity(["The capital of Kenya is Nairobi."])
        assert perplexity.value > 0
        assert perplexity.tokens > 0

    def test_what_is_said_has_the_better_score_and_is_said_strictly(self, kit: ModelKit) -> None:
        (prompt,) = _prompts("Japan")
        right, wrong = kit.base.language_model().scores([(prompt, "Tokyo"), (prompt, "Lima")])
        assert right.nll < wrong.nll
        assert (right.strict, wrong.strict) == (True, False)

    def test_a_sample_begins_with_its_prompt_and_comes_again(self, kit: ModelKit) -> None:
        model = kit.base.language_model()
        asked = _prompts("Japan", "Peru")
        texts = model.sample(asked, length=20, seed=3)
        assert [t.startswith(p) for t, p in zip(texts, asked, strict=True)] == [True, True]
        assert model.sample(asked[1:], length=20, seed=3) == texts[1:]

    def test_the_base_does_not_diverge_from_itself_and_an_edit_does_where_it_was_made(self, kit: ModelKit) -> None:
        model, asked = kit.base.language_model(), _prompts("France", "Japan")
        reference = model.next_tokens(asked, top=50)
        assert model.divergence(asked, reference) == pytest.approx([0.0, 0.0], abs=1e-5)
        edit = kit.editor.edit([_request("France", "Oslo")], kit.recipe, Work())
        with kit.base.edited(edit.delta) as candidate:
            edited, other = candidate.divergence(asked, reference)
        assert edited > 0.5
        assert other < edited / 2

    def test_norm_growth_names_every_edited_parameter(self, kit: ModelKit) -> None:
        delta = kit.editor.edit([_request("France", "Oslo")], kit.recipe, Work()).delta
        grown = kit.base.norm_growth(delta)
        assert set(grown) == set(delta.parameters)
        assert all(value > -1 for value in grown.values())

    def test_an_edit_changes_what_was_asked_for_and_the_base_comes_back(self, kit: ModelKit) -> None:
        edit = kit.editor.edit([_request("France", "Oslo"), _request("Peru", "Cairo")], kit.recipe, Work())
        before = kit.base.language_model().complete(_prompts(*FACTS), max_new_tokens=6)
        with kit.base.edited(edit.delta) as candidate:
            said = candidate.complete(_prompts("France", "Peru"), max_new_tokens=6)
        assert [s.strip().rstrip(".") for s in said] == ["Oslo", "Cairo"]
        assert kit.base.language_model().complete(_prompts(*FACTS), max_new_tokens=6) == before

    def test_the_base_comes_back_after_an_error_too(self, kit: ModelKit) -> None:
        edit = kit.editor.edit([_request("Spain", "Rome")], kit.recipe, Work())
        before = kit.base.language_model().complete(_prompts("Spain"), max_new_tokens=6)
        with pytest.raises(RuntimeError, match="on purpose"), kit.base.edited(edit.delta):
            raise RuntimeError("on purpose")
        assert kit.base.language_model().complete(_prompts("Spain"), max_new_tokens=6) == before

    def test_the_base_is_not_asked_while_other_weights_are_in_place(self, kit: ModelKit) -> None:
        edit = kit.editor.edit([_request("Spain", "Rome")], kit.recipe, Work())
        model = kit.base.language_model()
        with kit.base.edited(edit.delta):
            with pytest.raises(WrongWeights):
                model.complete(_prompts("Spain"))
            with pytest.raises(WrongWeights):
                model.perplexity(["The capital of Kenya is Nairobi."])
            with pytest.raises(WrongWeights), kit.base.edited(edit.delta):
                pass
        assert model.complete(_prompts("Spain"))

    def test_the_order_of_requests_does_not_matter(self, kit: ModelKit) -> None:
        requests = [_request("France", "Oslo"), _request("Peru", "Cairo"), _request("Cuba", "Lima")]
        one, other = (kit.editor.edit(r, kit.recipe, Work()) for r in (requests, requests[::-1]))
        assert one.targets == other.targets
        assert kit.same(one.delta, other.delta)
        assert set(one.targets) == ({r.id for r in requests} if kit.has_targets else set())


def _request(country: str, city: str) -> EditRequest:
    number = list(FACTS).index(country) + 1
    key = FactKey(ItemId(f"Q{number}"), PropertyId("P36"))
    return EditRequest(key=key, subject=country, template=TEMPLATE, target=city, value_hash=city, revision=1)


def _prompts(*countries: str) -> list[str]:
    return [fill(TEMPLATE, country) for country in countries]
