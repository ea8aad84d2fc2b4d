from __future__ import annotations

import copy
import math

import pytest
import torch

from kbsync.domain.errors import DataError, ModelError, Stopped
from kbsync.model import forward
from kbsync.model.language_model import TorchLanguageModel
from kbsync.ports import Work
from tests.support.plain_scores import plain_logprobs
from tests.support.random_models import ARCHITECTURES, SENTENCES, language_model, random_model
from tests.support.recorded_work import RecordedWork

PROMPTS = [
    "The",
    "The river rises",
    "A bridge of stone carries the road over the valley, and the road",
    "Iron",
    "Zürich and São Paulo are cities; Москва is",
    "x" * 40,
    "The river rises",
]
PAIRS = [(prompt, said) for prompt in PROMPTS for said in ("sea", "Zürich", "the valley of the river", "😀")]


@pytest.fixture(params=ARCHITECTURES)
def architecture(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.slow
def test_answers_are_those_of_plain_generation(architecture: str) -> None:
    model, tokenizer = random_model(architecture)
    expected = []
    for prompt in PROMPTS:
        inputs = tokenizer(prompt, return_tensors="pt", return_token_type_ids=False)
        with torch.inference_mode():
            out = model.generate(**inputs, max_new_tokens=12, do_sample=False, pad_token_id=1)
        said = tokenizer.decode(out[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        expected.append(said.split("\n")[0])
    assert language_model(architecture).complete(PROMPTS, max_new_tokens=12) == expected
    assert len(set(expected)) > 3


@pytest.mark.slow
def test_an_answer_does_not_depend_on_its_batch(architecture: str) -> None:
    model = language_model(architecture)
    together = model.complete(PROMPTS, max_new_tokens=12)
    assert together == [model.complete([prompt], max_new_tokens=12)[0] for prompt in PROMPTS]
    assert together == model.complete(PROMPTS[::-1], max_new_tokens=12)[::-1]


@pytest.mark.slow
def test_rows_that_end_early_leave_the_others_alone(architecture: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = random_model(architecture)
    ids = tokenizer(PROMPTS[2], return_tensors="pt", return_token_type_ids=False)
    with torch.inference_mode():
        out = model.generate(**ids, max_new_tokens=4, do_sample=False, pad_token_id=1)[0]
    unending = language_model(architecture).complete(PROMPTS, max_new_tokens=12)
    monkeypatch.setattr(model.generation_config, "eos_token_id", [1, int(out[-1])])
    ending = language_model(architecture)
    together = ending.complete(PROMPTS, max_new_tokens=12)
    assert together == [ending.complete([prompt], max_new_tokens=12)[0] for prompt in PROMPTS]
    cut = [len(short) < len(long) for short, long in zip(together, unending, strict=True)]
    assert cut[2]
    assert not all(cut)
    assert all(long.startswith(short) for short, long in zip(together, unending, strict=True))


def test_scores_are_those_of_a_plain_forward_pass(architecture: str) -> None:
    _, tokenizer = random_model(architecture)
    for (prompt, said), score in zip(PAIRS, language_model(architecture).scores(PAIRS), strict=True):
        ids = tokenizer(f"{prompt} {said}")["input_ids"]
        before = tokenizer(prompt)["input_ids"]
        assert ids[: len(before)] == before, "this check needs a seam between tokens"
        expected = float(plain_logprobs(architecture, ids)[len(before) - 1 :].sum())
        assert score.logprob == pytest.approx(expected, abs=1e-4)


def test_a_score_does_not_depend_on_its_batch(architecture: str) -> None:
    model = language_model(architecture)
    alone = [model.scores([pair])[0].logprob for pair in PAIRS]
    assert [score.logprob for score in model.scores(PAIRS)] == pytest.approx(alone, abs=1e-4)


def test_the_head_runs_only_where_a_prediction_is_read(architecture: str) -> None:
    model, tokenizer = random_model(architecture)
    seen: list[int] = []
    hook = model.get_output_embeddings().register_forward_hook(
        lambda _, inputs, __: seen.append(math.prod(inputs[0].shape[:-1]))
    )
    try:
        subject = language_model(architecture)
        subject.complete(PROMPTS, max_new_tokens=3)
        assert sum(seen) <= 3 * len(PROMPTS)
        seen.clear()
        subject.scores(PAIRS)
        said = sum(len(tokenizer(f" {s}", add_special_tokens=False)["input_ids"]) for _, s in PAIRS)
        assert 0 < sum(seen) < said, "the first token of an answer is predicted where that of another is"
    finally:
        hook.remove()


def test_logits_held_at_once_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = random_model("llama")
    monkeypatch.setattr(forward, "LOGITS", 16 * len(tokenizer))
    seen: list[int] = []
    hook = model.lm_head.register_forward_hook(lambda _, inputs, __: seen.append(math.prod(inputs[0].shape[:-1])))
    try:
        subject = language_model("llama")
        subject.complete(PROMPTS * 10, max_new_tokens=2)
        subject.scores([(f"The {word}", "sea") for word in " ".join(SENTENCES).split()])
        subject.perplexity([" ".join(SENTENCES)] * 3)
    finally:
        hook.remove()
    assert max(seen) <= 16


@pytest.mark.parametrize("ask", ["complete", "scores", "perplexity"])
def test_progress_counts_every_item_and_can_stop(ask: str) -> None:
    model = language_model("llama")

    def run(work: Work) -> object:
        if ask == "complete":
            return model.complete(PROMPTS, max_new_tokens=2, work=work)
        if ask == "scores":
            return model.scores(PAIRS, work=work)
        return model.perplexity(SENTENCES, work=work)

    work = RecordedWork()
    run(work)
    assert [total for _, total in work.steps] == [work.items]
    assert work.finished == 1
    with pytest.raises(Stopped):
        run(RecordedWork(stop_at=1, error=Stopped("A stop was asked for.")))


def test_nothing_asked_is_nothing_answered() -> None:
    model = language_model("llama")
    assert model.complete([]) == []
    assert model.scores([]) == []
    assert model.complete(["The"], max_new_tokens=0) == [""]


def test_a_prompt_beyond_the_context_is_named() -> None:
    model = language_model("gpt2")
    long = "Ж" * 200
    with pytest.raises(ModelError, match=r"'ЖЖ.*more than the model's context of 128"):
        model.complete(["The", long])
    with pytest.raises(ModelError, match="context of 128"):
        model.scores([(long, "sea")])
    perplexity = model.perplexity([long])
    assert perplexity.tokens > 200
    assert math.isfinite(perplexity.value)


def test_what_cannot_be_continued_is_refused() -> None:
    without_bos = language_model("gpt2")
    with pytest.raises(DataError, match="gives no token"):
        without_bos.complete([""])
    with pytest.raises(DataError, match="Nothing stands before"):
        without_bos.scores([("", "sea")])
    with pytest.raises(DataError, match="gives no token"):
        without_bos.scores([("The", "")])
    with pytest.raises(DataError, match="no token that could be predicted"):
        without_bos.perplexity(["", ""])


def test_a_ruined_model_is_not_believed() -> None:
    model, tokenizer = random_model("llama")
    ruined = copy.deepcopy(model)
    subject = TorchLanguageModel(ruined, tokenizer, "ruined")
    ruined.model.norm.weight.mul_(1e6)
    perplexity = subject.perplexity(SENTENCES)
    assert 1e100 < perplexity.value < math.inf
    ruined.model.norm.weight.mul_(math.nan)
    asks = (lambda: subject.complete(["The"]), lambda: subject.scores(PAIRS), lambda: subject.perplexity(SENTENCES))
    for ask in asks:
        with pytest.raises(ModelError, match="not finite"):
            ask()


def test_the_check_comes_before_every_use() -> None:
    def refuse() -> None:
        raise ModelError("Other weights are in place.")

    model = TorchLanguageModel(*random_model("llama"), "any", refuse)
    for ask in (lambda: model.complete(["The"]), lambda: model.scores(PAIRS), lambda: model.perplexity(SENTENCES)):
        with pytest.raises(ModelError, match="Other weights"):
            ask()


def test_the_control_tokens_are_the_tokenizers() -> None:
    assert language_model("llama").control_tokens == {"<s>", "</s>"}


def test_texts_that_do_not_fit_the_context_are_told_before_they_are_asked() -> None:
    model = language_model(ARCHITECTURES[0])
    longest = next(n for n in range(1, 400) if model.too_long(["😀" * n])[0]) - 1
    assert model.too_long(["Iron", "😀" * longest, "😀" * (longest + 1)]) == [False, False, True]
    assert model.too_long(["😀" * longest], room=8) == [True]
    with pytest.raises(ModelError, match="context"):
        model.complete(["😀" * longest], max_new_tokens=8)


def test_tokens_beyond_the_model_are_told_before_they_stop_the_others() -> None:
    model, own = random_model("llama")
    tokenizer = copy.deepcopy(own)
    tokenizer.add_tokens(["Zorbo"])  # as a tokenizer that was extended, and whose model was not
    language = TorchLanguageModel(model, tokenizer, "any")
    assert [language.spells(name) for name in ("Norway", "Zorbo", "")] == [True, False, True]
    assert language.too_long(["Norway", "a Zorbo is"]) == [False, True]
    with pytest.raises(ModelError, match=rf"holds token {len(tokenizer) - 1} of a model with"):
        language.complete(["a Zorbo is"])
    with pytest.raises(ModelError, match="holds token"):
        language.scores([("It is a", "Zorbo")])
