"""A tiny transformer that knows the sentences that a test gives it: it is trained on them in seconds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from kbsync.model.quiet import quiet
from tests.support.portable_training import by_length, make_portable

BOS, EOS = "<s>", "</s>"
CONTEXT = 128
MAX_STEPS = 400
EXCESS = 0.02
"""Nats a token above the least possible loss at which training ends. Of many sentences a few may still be wrong then; a
test that needs all of them right asks for less."""
SILENT = 2
"""Number of first layers in which attention writes nothing. What a subject means can leave its position only above
them, as causal tracing finds in large models. A model this small would otherwise read the subject straight from its
embedding, and its MLPs would hold no facts to edit."""


def train_tiny_model(
    directory: Path,
    sentences: list[str],
    *,
    seed: int = 0,
    excess: float = EXCESS,
    portable: bool = False,
) -> Path:
    """Train a four-layer Llama until it knows ``sentences`` by heart and save it (float32 safetensors, fast tokenizer).

    Continuing the beginning of a sentence greedily gives its end, then EOS.

    Args:
        directory: Where the model goes.
        sentences: What it learns.
        seed: Draws the first weights.
        excess: Nats a token above the least possible loss at which training ends.
        portable: Train in float64, so that the same sentences and seed give nearly the same weights on every machine.
            It takes twice the time. Without it they give the same weights only on the same machine.

    Returns:
        ``directory``.

    Raises:
        RuntimeError: The sentences were not learnt.
    """
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer = byte_level_tokenizer(sentences)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(tiny_config(len(tokenizer)))
        if portable:
            make_portable(model, seed)
        _train(model, tokenizer, sentences, excess, portable=portable)
    if portable:
        trained, model = model, LlamaForCausalLM(model.config)
        model.load_state_dict(trained.state_dict())
    with quiet():
        model.save_pretrained(directory)
        tokenizer.save_pretrained(directory)
    return directory


def byte_level_tokenizer(
    sentences: list[str], vocabulary: int = 1200, *, with_bos: bool = True
) -> PreTrainedTokenizerFast:
    """A byte-level BPE that can spell any text, and puts BOS before it (GPT-2 does not)."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[BOS, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(sentences, trainer)
    if with_bos:
        tokenizer.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, 0)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=BOS, eos_token=EOS)


def tiny_config(vocabulary: int) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=96,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=CONTEXT,
        bos_token_id=0,
        eos_token_id=1,
        tie_word_embeddings=False,
    )


def _train(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, sentences: list[str], excess: float, *, portable: bool
) -> None:
    """Full-batch AdamW until the loss is within ``excess`` nats a token of what no model can beat."""
    rows = [[*tokenizer(s)["input_ids"], tokenizer.eos_token_id] for s in sentences]
    goal = least_loss(rows) + excess
    loss_of = by_length(model, rows) if portable else _padded(model, rows)
    for layer in model.model.layers[:SILENT]:
        torch.nn.init.zeros_(layer.self_attn.o_proj.weight).requires_grad_(False)
    weights = [w for w in model.parameters() if w.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=3e-3, weight_decay=0.01)
    model.train()
    for step in range(MAX_STEPS):
        for group in optimiser.param_groups:
            group["lr"] = 3e-3 * min(1.0, (step + 1) / 10)
        loss = loss_of()
        if loss.item() < goal:
            model.eval()
            return
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    raise RuntimeError(f"After {MAX_STEPS} steps the loss is {loss.item():.3f}, and {goal:.3f} was wanted.")


def _padded(model: LlamaForCausalLM, rows: list[list[int]]) -> Callable[[], Tensor]:
    """Mean loss of the next token, with all sentences in one batch as long as the longest."""
    length = max(map(len, rows))
    ids = torch.tensor([row + [0] * (length - len(row)) for row in rows])
    labels = torch.tensor([row + [-100] * (length - len(row)) for row in rows])

    def loss() -> Tensor:
        value: Tensor = model(input_ids=ids, labels=labels).loss
        return value

    return loss


def least_loss(rows: list[list[int]]) -> float:
    """Mean entropy of the next token given all tokens before it: sentences that begin alike part somewhere."""
    prefixes = Counter(tuple(row[:end]) for row in rows for end in range(1, len(row)))
    longer = Counter(tuple(row[:end]) for row in rows for end in range(2, len(row) + 1))
    total = sum(count * math.log(prefixes[prefix[:-1]] / count) for prefix, count in longer.items())
    return total / sum(longer.values())
