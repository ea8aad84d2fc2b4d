"""Text to token ids, and which of them belong to a continuation."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

from transformers import PreTrainedTokenizerFast

from kbsync.domain.errors import DataError, ModelError

SAMPLE = "Who leads São Tomé and 東京 now?"
"""What a tokenizer is tried with: characters of one, two and three bytes."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """One text as token ids."""

    text: str
    ids: list[int]
    ends: list[int]
    """For each id, the position in ``text`` where its characters end; 0 for the prefix."""
    prefix: int
    """The number of ids at the beginning that stand before every text (BOS)."""


@contextmanager
def without_panic() -> Iterator[None]:
    """Turn a panic of the tokenizer's Rust code into ``ModelError``: it is no ``Exception``, so it would end a daemon.

    A pattern of a stranger's ``tokenizer.json`` that backtracks beyond all bounds ends so.
    """
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise ModelError(
            f"The model's tokenizer gave up: {str(error)[:200]}.",
            next_step="Check the patterns in its tokenizer.json, or fetch the model again.",
        ) from None


def encode(tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], *, allow_empty: bool = False) -> list[Encoded]:
    """Encode texts as the tokenizer does: with the BOS that it may put in front, without the EOS that it may append.

    Raises:
        DataError: a text gives no id at all, and ``allow_empty`` is false.
        ModelError: the tokenizer does not tell where its tokens lie, and their own texts do not either; or it panics.
    """
    if not texts:
        return []
    with without_panic():
        batch = tokenizer(list(texts), return_offsets_mapping=True, return_special_tokens_mask=True, verbose=False)
    encoded = []
    for text, ids, offsets, special in zip(
        texts, batch["input_ids"], batch["offset_mapping"], batch["special_tokens_mask"], strict=True
    ):
        prefix = next((i for i, mark in enumerate(special) if not mark), len(ids))
        end = len(ids)
        while end > prefix and special[end - 1]:
            end -= 1
        ends = [stop for _, stop in offsets[:end]]
        if _says_too_little(text, offsets[prefix:end]):
            ends[prefix:] = _spelled_ends(tokenizer, text, ids[prefix:end])
        item = Encoded(text, list(ids[:end]), ends, prefix)
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


@lru_cache(maxsize=8)
def control_tokens(tokenizer: PreTrainedTokenizerFast) -> frozenset[str]:
    """The texts that the tokenizer reads as one control token wherever they stand: ``<|im_end|>`` and the like."""
    added = tokenizer.added_tokens_decoder.values()
    return frozenset(token.content for token in added if token.special and token.content.strip())


def spells(tokenizer: PreTrainedTokenizerFast, text: str, vocabulary: int = sys.maxsize) -> bool:
    """Whether there are tokens for all of a text.

    Some tokenizers write one and the same token for whatever they don't know: a model can't tell such names apart, and
    can say none of them. And some drop characters that they don't know, so that nothing is left.

    Args:
        vocabulary: The number of tokens that the model has; some tokenizers have more.
    """
    if not text.strip():
        return True
    ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    return bool(ids) and max(ids) < vocabulary and tokenizer.unk_token_id not in ids


def require_offsets(tokenizer: PreTrainedTokenizerFast, place: str) -> None:
    """Raise ``ModelError`` for a tokenizer that does not tell where its tokens lie in a text.

    Args:
        tokenizer: Any tokenizer of transformers.
        place: Where it was read from, for the error's text.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise ModelError(
            f"{place} has a slow tokenizer ({type(tokenizer).__name__}), "
            "which does not tell where its tokens lie in the text.",
            next_step="Save its fast form (tokenizer.json) there.",
        )
    try:
        encode(tokenizer, [SAMPLE], allow_empty=True)
    except ModelError as error:
        raise ModelError(f"{place}: {error.what}", next_step=error.next_step) from error


def _says_too_little(text: str, offsets: Sequence[tuple[int, int]]) -> bool:
    """Whether tokens end where they start although they stand for characters, as in some tokenizers of Llama 3.

    A token may well stand for no character of the text: SentencePiece puts a blank before it.
    """
    if all(start < stop for start, stop in offsets):
        return False
    covered = {place for start, stop in offsets for place in range(start, stop)}
    return any(place not in covered for place, character in enumerate(text) if not character.isspace())


def _spelled_ends(tokenizer: PreTrainedTokenizerFast, text: str, ids: Sequence[int]) -> list[int]:
    """Where each token's characters end, by what the tokens of a byte-level vocabulary spell."""
    added, byte_of = tokenizer.get_added_vocab(), _bytes_of_characters()
    pieces = [
        token.encode() if token in added else bytes(byte_of.get(character, 0) for character in token)
        for token in tokenizer.convert_ids_to_tokens(list(ids))
    ]
    spelled = b"".join(pieces)
    if spelled != text.encode():
        raise ModelError(
            f"The tokenizer ({type(tokenizer).__name__}) does not tell where its tokens lie: they end where they "
            f"start, as in {text[:60]!r}.",
            next_step="Install a newer version of the package tokenizers, or get the model's tokenizer.json again.",
        )
    begun = list(accumulate((byte & 0xC0 != 0x80 for byte in spelled), initial=0))  # bytes that begin a character
    return [begun[stop] for stop in accumulate(map(len, pieces))]


@lru_cache(maxsize=1)
def _bytes_of_characters() -> dict[str, int]:
    """The byte for which each character of a byte-level vocabulary stands (GPT-2): printable ones for themselves, the
    others for those from U+0100 on, in order."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in set(printable)]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + n): byte for n, byte in enumerate(others)}
