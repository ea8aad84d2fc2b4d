"""Text to token ids, and which of them belong to a continuation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerFast

from kbsync.domain.errors import DataError


@dataclass(frozen=True, slots=True)
class Encoded:
    """One text as token ids."""

    text: str
    ids: list[int]
    ends: list[int]
    """For each id, the position in ``text`` where its characters end; 0 for the prefix."""
    prefix: int
    """The number of ids at the beginning that stand before every text (BOS)."""


def encode(tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], *, allow_empty: bool = False) -> list[Encoded]:
    """Encode texts as the tokenizer does: with the BOS that it may put in front, without the EOS that it may append.

    Raises:
        DataError: a text gives no id at all, and ``allow_empty`` is false.
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
    """Count the ids that belong to the continuation: the last ones, whose characters reach past the prompt.

    A token that spans the seam between the two belongs to the continuation.

    Args:
        item: The encoded text, which is the prompt and the continuation.
        prompt: Its beginning.
        continuation: The rest, for the error's text.

    Raises:
        DataError: the continuation has no id, or no id stands before its first one.
    """
    count = sum(end > len(prompt) for end in item.ends)
    if count == 0:
        raise DataError(f"The continuation {continuation!r} of {prompt!r} gives no token.")
    if count == len(item.ids):
        raise DataError(f"Nothing stands before {continuation!r} that the model could continue.")
    return count
