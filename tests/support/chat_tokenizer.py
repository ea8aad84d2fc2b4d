"""A tiny tokenizer with a chat template, and one that does not tell where its tokens lie."""

from __future__ import annotations

from typing import Any

from transformers import PreTrainedTokenizerFast

from tests.support.random_models import SENTENCES
from tests.support.tiny_model import byte_level_tokenizer

TURN, END = "<|turn|>", "<|end|>"
TEMPLATE = """\
{{ bos_token }}{% for message in messages %}
<|turn|>{{ message['role'] }}
{{ message['content'] }}<|end|>
{% endfor %}
{% if add_generation_prompt %}
<|turn|>assistant
{% endif %}"""
FRAME = "<|turn|>user\n{}<|end|>\n<|turn|>assistant\n"
"""What ``TEMPLATE`` makes of a question, without BOS."""


def chat_tokenizer(template: str | None = TEMPLATE, *, with_bos: bool = True) -> PreTrainedTokenizerFast:
    """Two control tokens beside BOS and EOS; ``with_bos``: it puts BOS before every text."""
    tokenizer = byte_level_tokenizer([*SENTENCES, "user assistant system"], 420, with_bos=with_bos)
    tokenizer.add_special_tokens({"additional_special_tokens": [TURN, END]})
    tokenizer.chat_template = template
    return tokenizer


class Collapsed:
    """A tokenizer whose offsets start where they end, as some of Llama 3 do; all else is the real one's."""

    is_fast = True

    def __init__(self, real: PreTrainedTokenizerFast, *, at_the_end: bool = False) -> None:
        self._real = real
        self._at_the_end = at_the_end

    def __call__(self, texts: Any, **options: Any) -> Any:
        batch = self._real(texts, **options)
        if "offset_mapping" in batch:
            rows = batch["offset_mapping"]
            pick = int(self._at_the_end)
            batch["offset_mapping"] = [[(pair[pick], pair[pick]) for pair in row] for row in rows]
        return batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)
