"""Text to token ids, and which of them belong to a continuation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerFast

from kbsync.domain.errors import DataError


@dataclass(frozen=True, slots=True)
class Encoded:
    """One text: ``ids``, of which the first ``prefix`` stand before every text (BOS), and for each id the place in
    ``text`` where its characters end (0 for the prefix)."""

    text: str
    ids: list[int]
    ends: list[int]
    prefix: int


def encode(tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], *, allow_empty: bool = False) -> list[Encoded]:
    """Encode as the tokenizer does for itself, with BOS where it puts one, but without an EOS that it may append.

    Raises ``DataError`` for a text that gives no id at all, unless ``allow_empty``.
    """
    if not texts:
        return []
    batch = tokenizer(list(texts), return_offsets_mapping=True, return_special_tokens_mask=True, verbose=False)
    encoded = []
    for text, ids, offsets, special in zip(
        texts, batch["input_ids"], batch["offset_mapping"], batch["special_tokens_mask"], strict=True
    ):
        prefix = next((i for i, mark in enumerate(special) if not mark), len(ids))
        end = len(ids)
        while end > prefix and special[end - 1]:
            end -= 1
        item = Encoded(text, list(ids[:end]), [stop for _, stop in offsets[:end]], prefix)
        if not item.ids and not allow_empty:
            raise DataError(f"The text {text!r} gives no token.", next_step="Give the model something to continue.")
        encoded.append(item)
    return encoded


def split(item: Encoded, prompt: str, continuation: str) -> int:
    """How many of the last ids belong to ``continuation``: those whose characters reach past ``prompt``.

    A token that spans the seam counts as the continuation's. Raises ``DataError`` where there is none, or where
    no id stands before the first.
    """
    count = sum(end > len(prompt) for end in item.ends)
    if count == 0:
        raise DataError(f"The continuation {continuation!r} of {prompt!r} gives no token.")
    if count == len(item.ids):
        raise DataError(f"Nothing stands before {continuation!r} that the model could continue.")
    return count
