"""Writes a tiny Llama as a GGUF file, so that reading one can be tested in a second."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerFast

NAMES = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
WHOLE = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def write_gguf(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, file: Path, without: str = "") -> Path:
    """Float32, the format's own names, all parameters but ``without``; needs the package gguf."""
    import gguf

    config = model.config
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_name("tiny")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    _add_tokenizer(writer, tokenizer)
    for name, tensor in model.state_dict().items():
        if name != without:
            writer.add_tensor(*_tensor(name, tensor.numpy(), config.num_attention_heads))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def _add_tokenizer(writer: object, tokenizer: PreTrainedTokenizerFast) -> None:
    inside = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    tokens = sorted(inside["vocab"], key=inside["vocab"].__getitem__)
    control, normal = 3, 1
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types([control if t in {tokenizer.bos_token, tokenizer.eos_token} else normal for t in tokens])
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in inside["merges"]])
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_add_bos_token(True)
    if tokenizer.chat_template:
        writer.add_chat_template(tokenizer.chat_template)


def _tensor(name: str, array: np.ndarray, heads: int) -> tuple[str, np.ndarray]:
    """A parameter's name and rows as the format has them.

    The format pairs neighbouring dimensions of a rotary head, transformers pairs those of its two halves.
    """
    stem = name.removesuffix(".weight")
    if stem in WHOLE:
        return f"{WHOLE[stem]}.weight", array
    layer, rest = stem.removeprefix("model.layers.").split(".", 1)
    if rest in {"self_attn.q_proj", "self_attn.k_proj"}:
        rows, columns = array.shape
        halves = array.reshape(heads, 2, rows // heads // 2, columns)
        array = np.ascontiguousarray(halves.swapaxes(1, 2).reshape(rows, columns))
    return f"blk.{layer}.{NAMES[rest]}.weight", array
