"""Preserved keys K₀: keys of facts that the base has right, which join the solve with nothing to change (ADR 0005).

C speaks for ordinary text and says little about the few prompts that ask for facts, so edits leak onto their
neighbours, which share the relation's words. A preserved key is one more column of K, with a residual of zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy

from torch import Tensor
from transformers import PreTrainedTokenizerFast

from kbsync.domain.recipe import Recipe
from kbsync.domain.rewrite import Preserved
from kbsync.editing.common.prompts import Prompt, TokenisedRewrite, Unlocatable, locate
from kbsync.editing.memit.layerwise_forward import LayerwiseForward
from kbsync.model.decoder import Decoder, DecoderLayer


def preserved_prompts(
    tokenizer: PreTrainedTokenizerFast,
    preserved: Sequence[Preserved],
    rewrites: Sequence[TokenisedRewrite],
    max_tokens: int,
    *,
    phrasings: bool = False,
) -> list[Prompt]:
    """Prompts of what is preserved, in the order of the ids, each key once; in all phrasings if they are wanted.

    Left out is what no prompt can be made of, and what has the key of one of ``rewrites``: where a template begins with
    the subject, everything that is said of one subject has the same key.
    """
    edited = {p.key_ids for rewrite in rewrites for p in (rewrite.prompts if phrasings else (rewrite.bare,))}
    by_key: dict[tuple[int, ...], Prompt] = {}
    for one in sorted(preserved, key=lambda p: p.id):
        for template in (one.template, *(one.phrasings if phrasings else ())):
            try:
                prompt = locate(tokenizer, template, one.subject, None)
            except Unlocatable:
                continue
            if prompt.key_ids not in edited and len(prompt.ids) <= max_tokens:
                by_key.setdefault(prompt.key_ids, prompt)
    return list(by_key.values())


class PreservedKeys:
    """√w·K₀ at one edited layer after the other, as the layers below leave it."""

    def __init__(
        self, decoder: Decoder, layers: Sequence[DecoderLayer], prompts: Sequence[Prompt], recipe: Recipe
    ) -> None:
        self._forward = LayerwiseForward(decoder, layers, [(p,) for p in prompts]) if prompts else None
        self._scale = math.sqrt(recipe.guard_weight)

    def restarted(self) -> PreservedKeys:
        """The same prompts before the first edited layer."""
        fresh = copy(self)
        fresh._forward = self._forward.restarted() if self._forward else None
        return fresh

    def keys(self) -> Tensor | None:
        """(m, G) before the next edited layer changes; None where nothing is preserved."""
        return self._forward.inspect()[0].T * self._scale if self._forward else None

    def step(self) -> None:
        """Pass the next edited layer, which has been changed."""
        if self._forward:
            self._forward.step()
