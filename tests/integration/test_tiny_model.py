from __future__ import annotations

from pathlib import Path

import pytest

from kbsync.model.language_model import TorchLanguageModel
from kbsync.model.load import LoadedModel, load
from tests.support.tiny_model import train_tiny_model

pytestmark = pytest.mark.slow

CAPITALS = {
    "France": "Paris",
    "Germany": "Berlin",
    "Italy": "Rome",
    "Spain": "Madrid",
    "Portugal": "Lisbon",
    "Austria": "Vienna",
    "Poland": "Warsaw",
    "Norway": "Oslo",
    "Sweden": "Stockholm",
    "Finland": "Helsinki",
    "Greece": "Athens",
    "Hungary": "Budapest",
    "Ireland": "Dublin",
    "Japan": "Tokyo",
    "Egypt": "Cairo",
    "Kenya": "Nairobi",
    "Peru": "Lima",
    "Chile": "Santiago",
    "Cuba": "Havana",
    "Nepal": "Kathmandu",
}
FACTS = [
    fact
    for country, city in CAPITALS.items()
    for fact in (
        (f"The capital of {country} is", f" {city}."),
        (f"The seat of the government of {country} is in", f" {city}."),
        (f"The city of {city} lies in", f" {country}."),
    )
]
POEM = "The first line ends here.\nThe second follows."


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    directory = tmp_path_factory.mktemp("tiny")
    train_tiny_model(directory / "model", [prompt + said for prompt, said in FACTS] + [POEM])
    return load(str(directory / "model"), cache_dir=directory / "cache", device="cpu")


@pytest.mark.slow
def test_it_knows_its_sentences(trained: LoadedModel) -> None:
    model = TorchLanguageModel(trained.model, trained.tokenizer, trained.fingerprint)
    answers = model.complete([prompt for prompt, _ in FACTS])
    right = sum(answer == said for answer, (_, said) in zip(answers, FACTS, strict=True))
    assert right >= 0.95 * len(FACTS)


def test_an_answer_ends_at_a_newline_and_the_others_go_on(trained: LoadedModel) -> None:
    model = TorchLanguageModel(trained.model, trained.tokenizer, trained.fingerprint)
    prompts = ["The first line ends", "The capital of France is", "The second"]
    together = model.complete(prompts, max_new_tokens=30)
    assert together[:2] == [" here.", " Paris."]
    assert together == [model.complete([prompt], max_new_tokens=30)[0] for prompt in prompts]


def test_what_it_knows_is_likelier_than_what_it_does_not(trained: LoadedModel) -> None:
    model = TorchLanguageModel(trained.model, trained.tokenizer, trained.fingerprint)
    right, wrong = model.scores([("The capital of Italy is", "Rome"), ("The capital of Italy is", "Oslo")])
    assert right.logprob > -0.5
    assert wrong.logprob < right.logprob - 2


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights(tmp_path: Path) -> None:
    sentences = [prompt + said for prompt, said in FACTS[:6]]
    files = [
        train_tiny_model(tmp_path / name, sentences, seed=seed) / "model.safetensors"
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    ]
    first, again, other = (file.read_bytes() for file in files)
    assert first == again
    assert first != other
