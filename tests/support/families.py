"""Small random models of every family that an edit must work on, and what editing them needs."""

from __future__ import annotations

import random
from functools import cache
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    DeepseekV3Config,
    Gemma2Config,
    Gemma3TextConfig,
    GPT2Config,
    GPTJConfig,
    GPTNeoXConfig,
    GraniteConfig,
    Lfm2Config,
    LlamaConfig,
    MistralConfig,
    MixtralConfig,
    Olmo2Config,
    PhiConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2MoeConfig,
    Qwen3_5TextConfig,
    Qwen3Config,
)

from kbsync.domain.phrasing import FramedPhrasing
from kbsync.domain.recipe import Recipe
from kbsync.domain.rewrite import Rewrite
from kbsync.model.attention import group_queries
from kbsync.testing import MemoryArtifactStore
from tests.support.recorded_work import RecordedWork
from tests.support.tiny_model import byte_level_tokenizer

D, M, LAYERS, HEADS = 32, 48, 4, 4
SENTENCES = [
    "The capital of France is Paris, and the capital of Italy is Rome.",
    "The head of government of Norway is Anna Berg.",
    "Therefore the chief executive officer of Acme Inc. is in Oslo, because you and I know it.",
    "東京 is a city; Москва is one, too.",
]
CONTEXTS = ("The river is long. {}", "Because of it we know. {}")


def _configs(vocabulary: int) -> dict[str, PreTrainedConfig]:
    ends: dict[str, Any] = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    gpt: dict[str, Any] = {
        "vocab_size": vocabulary,
        "n_embd": D,
        "n_layer": LAYERS,
        "n_head": HEADS,
        "n_inner": M,
        "n_positions": 96,
    }
    llama: dict[str, Any] = {
        "vocab_size": vocabulary,
        "hidden_size": D,
        "intermediate_size": M,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "max_position_embeddings": 96,
    }
    grouped = {**llama, "num_key_value_heads": 2}
    experts = {"num_experts_per_tok": 2, "moe_intermediate_size": M, "shared_expert_intermediate_size": M}
    latent = {"q_lora_rank": 8, "kv_lora_rank": 8, "qk_rope_head_dim": 4, "qk_nope_head_dim": 4, "v_head_dim": 8}
    routed = {"n_routed_experts": 4, "n_shared_experts": 1, "first_k_dense_replace": 2, "n_group": 1, "topk_group": 1}
    linear = {f"linear_{kind}": 2 for kind in ("num_value_heads", "num_key_heads")}
    linear |= {f"linear_{kind}_head_dim": 8 for kind in ("key", "value")}
    gemma = {**grouped, "head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 90}
    return {
        "gpt2": GPT2Config(**gpt, **ends),
        "gptj": GPTJConfig(**gpt, rotary_dim=4, **ends),
        "gpt-neox": GPTNeoXConfig(**llama, **ends),
        "llama": LlamaConfig(**grouped, **ends, tie_word_embeddings=False),
        "llama-tied": LlamaConfig(**llama, **ends, tie_word_embeddings=True),
        "mistral": MistralConfig(**grouped, **ends, sliding_window=90),
        "qwen2": Qwen2Config(**grouped, **ends),
        "qwen3": Qwen3Config(**grouped, **ends, head_dim=8),
        "gemma2": Gemma2Config(**gemma, **ends, final_logit_softcapping=4.0),
        "gemma3": Gemma3TextConfig(
            **gemma,
            **ends,
            layer_types=["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"],
        ),
        "olmo2": Olmo2Config(**grouped, **ends),
        "phi": PhiConfig(**llama, **ends),
        "granite": GraniteConfig(**grouped, **ends, residual_multiplier=0.4, logits_scaling=0.5),
        "qwen2-moe": Qwen2MoeConfig(**grouped, **ends, **experts, num_experts=4),
        "deepseek-v3": DeepseekV3Config(**llama, **ends, **experts, **latent, **routed, head_dim=4),
        "mixtral": MixtralConfig(**grouped, **ends, num_local_experts=4),
        "qwen3.5": Qwen3_5TextConfig(
            **grouped, **ends, **linear, head_dim=8, layer_types=["linear_attention", "full_attention"] * 2
        ),
        "lfm2": Lfm2Config(**grouped, **ends, layer_types=["conv", "full_attention"] * 2),
    }


GRANITE, EXPERTS, HYBRIDS = "granite", ("qwen2-moe", "deepseek-v3", "mixtral"), ("qwen3.5", "lfm2")
OTHERS = (GRANITE, *EXPERTS, *HYBRIDS)
"""Scaled residuals and logits; a gated shared expert, one that is added as it is, none at all; recurrent and
convolutional layers."""
FAMILIES = tuple(family for family in _configs(300) if family not in OTHERS)
SANDWICH = ("gemma2", "gemma3", "olmo2")
OWN_SITES = (*SANDWICH, GRANITE, "qwen2-moe", "mixtral")
"""Families whose edited maps don't add to the residual stream directly: each edited layer has a site of its own."""
CONV1D = ("gpt2",)


@cache
def tokenizer(with_bos: bool = True) -> PreTrainedTokenizerFast:
    return byte_level_tokenizer(SENTENCES, 420, with_bos=with_bos)


def random_model(family: str, dtype: torch.dtype = torch.float32, *, tied: bool | None = None) -> Any:
    """A new transformers model, in the state after loading. Gains of norms differ from one, as after training.

    Args:
        tied: Whether the head is the embedding; None: as the family has it.
    """
    config = _configs(len(tokenizer()))[family]
    if tied is not None:
        config.tie_word_embeddings = tied
    config.initializer_range = 0.15
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        auto: Any = AutoModelForCausalLM
        model = auto.from_config(config)
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.data += 0.1 * torch.randn_like(parameter)
    group_queries(model)
    if family in EXPERTS and dtype == torch.float64:
        model.set_experts_implementation("eager")  # the quick one knows no float64
    return model.to(dtype).eval()


def weights(model: PreTrainedModel) -> dict[str, tuple[int, torch.Tensor]]:
    """Identity and copy of every parameter, to prove that a model is the same bit for bit."""
    return {name: (id(p), p.detach().clone()) for name, p in model.named_parameters(remove_duplicate=False)}


def same_weights(model: PreTrainedModel, before: dict[str, tuple[int, torch.Tensor]]) -> bool:
    """Whether the model holds the very tensors of ``before``, unchanged."""
    now = weights(model)
    return now.keys() == before.keys() and all(
        now[name][0] == number and torch.equal(now[name][1], tensor) for name, (number, tensor) in before.items()
    )


REWRITES = (
    Rewrite("The capital of {} is", "France", "Oslo"),
    Rewrite("The head of government of {} is", "Norway", "Anna Berg"),
    Rewrite("{} is led by", "Acme Inc.", "Paris Rome"),
)
IN_MANY_PHRASINGS = (
    Rewrite(
        "The capital of {} is",
        "France",
        "Oslo",
        phrasings=(
            FramedPhrasing("Q: What is the capital of {}?\nA:", "\n"),
            FramedPhrasing("{} has its capital in", "."),
            FramedPhrasing("{} is governed from"),
        ),
    ),
    Rewrite("{} is led by", "Acme Inc.", "Paris Rome", phrasings=(FramedPhrasing("Who leads {}?"),)),
    Rewrite(
        "The head of government of {} is",
        "Norway",
        "Anna Berg",
        ".",
        (FramedPhrasing("{} is led by"), FramedPhrasing("I know who leads {}:"), FramedPhrasing("Who leads {}? It is")),
    ),
)
"""Facts with further phrasings, some of which have the same key."""


def recipe(**changes: Any) -> Recipe:
    """A recipe for the small models; ``changes`` are fields of it."""
    plain: dict[str, Any] = {
        "name": "test",
        "layers": (1, 2),
        "contexts": CONTEXTS,
        "covariance_tokens": 1000,
        "covariance_weight": 1.0,
        "steps": 4,
        "learning_rate": 0.1,
    }
    return Recipe(**(plain | changes))


def texts(count: int = 40) -> list[str]:
    """Random strings of letters: enough different keys for a second moment of full rank."""
    draw = random.Random(5)
    return ["".join(draw.choices("abcdefghij klmnop,.", k=60)) for _ in range(count)]


class MemoryArtifacts(MemoryArtifactStore):
    """An artifact store whose contents a test may read and exchange."""

    @property
    def contents(self) -> dict[tuple[str, str], bytes]:
        """What is stored, by kind and key."""
        return {place: data for place, (_, data) in self.blobs.items()}

    def exchange(self, place: tuple[str, str], data: bytes) -> None:
        """Store other content under a kind and a key, with a checksum that fits."""
        self.drop(*place)
        self.put(*place, data)

    def kinds(self, kind: str) -> list[tuple[str, str]]:
        """Kind and key of every artifact of one kind."""
        return [place for place in self.blobs if place[0] == kind]


Silent = RecordedWork
