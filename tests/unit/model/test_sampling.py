from __future__ import annotations

import pytest
import torch

from kbsync.model.load import LoadedModel
from kbsync.model.sampling import Sampler
from tests.support.bench_model import loaded
from tests.support.recorded_work import RecordedWork


@pytest.fixture(params=["gpt2", "gemma3"])
def model(request: pytest.FixtureRequest) -> LoadedModel:
    return loaded(request.param)


@pytest.mark.slow
def test_sampled_texts_do_not_depend_on_their_batch(model: LoadedModel) -> None:
    prompts = ["Lyon is a city in", "Rome", "The mother tongue of Danielle Darrieux is", "Where does Oslo lie?"]
    together = Sampler(model.model, model.tokenizer, length=40).texts(prompts)
    alone = [Sampler(model.model, model.tokenizer, length=40, batch=1).texts([prompt])[0] for prompt in prompts]
    assert together == alone
    assert all(text.startswith(prompt) for text, prompt in zip(together, prompts, strict=True))
    assert together != Sampler(model.model, model.tokenizer, length=40, seed=1).texts(prompts)


def test_sampling_draws_from_the_top_k_with_their_probabilities() -> None:
    """First tokens over many seeds against the softmax over the five best logits."""
    model, prompt, draws = loaded("gpt2"), "Lyon is", 1500
    ids = model.tokenizer(prompt)["input_ids"]
    with torch.no_grad():
        best = model.model(torch.tensor([ids])).logits[0, -1].topk(5)
    noise = torch.stack([Sampler(model.model, model.tokenizer, seed=seed)._noise(prompt)[0] for seed in range(draws)])
    counts = torch.bincount((best.values + noise).argmax(dim=1), minlength=5) / draws
    assert torch.allclose(counts, best.values.softmax(0), atol=0.04)
    (text,) = Sampler(model.model, model.tokenizer, length=len(ids) + 1).texts([prompt])
    assert text in {model.tokenizer.decode([*ids, int(token)], skip_special_tokens=True) for token in best.indices}


def test_sampled_length_holds_the_prompt_and_an_overlong_prompt_is_cut() -> None:
    model = loaded("gpt2")
    rows = Sampler(model.model, model.tokenizer, length=20)._extend(
        [[0, 5, 6], [0] * 25, [0, 9]], [torch.zeros(20, 5)] * 3
    )
    assert [len(row) for row in rows] == [20, 20, 20]
    assert (rows[0][:3], rows[1], rows[2][:2]) == ([0, 5, 6], [0] * 20, [0, 9])


def test_a_text_is_what_one_token_after_the_other_draws_without_padding_or_cache(model: LoadedModel) -> None:
    prompt, length = "Lyon is a city in", 24
    sampler = Sampler(model.model, model.tokenizer, length=length, seed=4)
    noise, ids = sampler._noise(prompt), list(model.tokenizer(prompt)["input_ids"])
    with torch.inference_mode():
        for step in range(length - len(ids)):
            best = model.model(torch.tensor([ids]), use_cache=False).logits[0, -1].topk(5)
            ids.append(int(best.indices[(best.values + noise[step]).argmax()]))
    assert sampler.texts([prompt, "Rome"])[0] == model.tokenizer.decode(ids, skip_special_tokens=True)


def test_work_advances_by_prompts(model: LoadedModel) -> None:
    work = RecordedWork()
    Sampler(model.model, model.tokenizer, length=8, batch=2).texts(["Lyon", "Rome", "Oslo"], work=work)
    assert (work.items, work.advances) == (3, 2)
