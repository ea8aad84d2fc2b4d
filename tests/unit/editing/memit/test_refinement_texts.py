"""What the refinement keeps: the base's own answers, and the ends of stretches of text."""

from __future__ import annotations

import pytest
import torch

from kbsync.domain.errors import Stopped
from kbsync.editing.common.prompts import Prompt, locate
from kbsync.editing.memit import distributions, refinement_texts
from kbsync.editing.memit.distributions import expected
from kbsync.editing.memit.refinement_texts import ANSWER_TOKENS, LOOKED_AT, STRETCH_TOKENS, stretches, with_answers
from kbsync.model.decoder import discover
from kbsync.model.suffix import longest_row
from tests.support.families import Silent, random_model, texts, tokenizer


def prompts() -> list[Prompt]:
    return [locate(tokenizer(), "The capital of {} is", subject, None) for subject in ("France", "Peru", "Norway")]


def test_a_preserved_prompt_gets_the_models_own_greedy_answer() -> None:
    model = random_model("llama")
    rows = with_answers(discover(model), tokenizer(), prompts(), seed=0)
    assert sorted(row.ids[: row.target] for row in rows) == sorted(p.ids for p in prompts())
    for row in rows:
        answer = row.ids[row.target :]
        assert len(answer) == ANSWER_TOKENS or "\n" in tokenizer().decode([answer[-1]])
        for end in range(row.target, len(row.ids)):
            with torch.no_grad():
                logits = model(torch.tensor([row.ids[:end]])).logits[0, -1]
            assert int(logits.argmax()) == row.ids[end]


def test_an_answer_ends_with_its_line_or_with_the_end_of_the_text_and_within_the_models_reach() -> None:
    model, decode = random_model("gpt2"), tokenizer()
    decoder = discover(model)
    whole = with_answers(decoder, decode, prompts(), seed=0)
    long = next(row for row in whole if len(row.ids) == row.target + ANSWER_TOKENS)
    third = long.ids[long.target + 2]
    model.generation_config.eos_token_id = [third]
    for row in with_answers(decoder, decode, prompts(), seed=0):
        answer = row.ids[row.target :]
        assert third not in answer[:-1] and (len(answer) == ANSWER_TOKENS or answer[-1] == third)
    far = Prompt(tuple(range(3, 3 + longest_row(decoder) - ANSWER_TOKENS + 1)), 0, 1)
    assert with_answers(decoder, decode, [far], seed=0) == []


def test_prompts_beyond_the_most_are_drawn_by_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refinement_texts, "MOST_PROMPTS", 2)
    decoder = discover(random_model("llama"))
    drawn = [with_answers(decoder, tokenizer(), prompts(), seed) for seed in (0, 0, 1, 2, 3)]
    assert all(len(rows) == 2 for rows in drawn)
    assert drawn[0] == drawn[1] and any(rows != drawn[0] for rows in drawn[2:])


def test_a_stop_is_heard_while_the_base_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """With 1.5 billion parameters the answers and their distributions take minutes."""
    monkeypatch.setattr(refinement_texts, "BATCH", 1)
    monkeypatch.setattr(distributions, "ROWS", 1)
    decoder, stop = discover(random_model("llama")), Stopped("asked to stop")
    with pytest.raises(Stopped):
        with_answers(decoder, tokenizer(), prompts(), 0, Silent(stop_at=2, error=stop))
    answered = with_answers(decoder, tokenizer(), prompts(), 0, Silent(stop_at=4, error=stop))
    assert len(answered) == 3
    with pytest.raises(Stopped):
        expected(decoder, answered, Silent(cut_at=2, error=stop))
    assert len(expected(decoder, answered, Silent(cut_at=4, error=stop))) == 3


def test_stretches_of_text_are_looked_at_near_their_ends() -> None:
    decoder = discover(random_model("llama"))
    rows = stretches(decoder, tokenizer(), texts(20), seed=0)
    assert rows == stretches(decoder, tokenizer(), texts(20), seed=0)
    assert rows and all(len(row.ids) <= STRETCH_TOKENS and row.target == len(row.ids) - LOOKED_AT for row in rows)


@pytest.mark.slow
def test_without_text_the_model_samples_it() -> None:
    decoder = discover(random_model("llama"))
    assert stretches(decoder, tokenizer(), (), seed=0)
