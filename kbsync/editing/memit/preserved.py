"""Guards: facts that the base has right, whose keys join the normal matrix with nothing to change (ADR 0005).

C speaks for ordinary text, and says little about the few prompts that ask for facts: edited facts leak onto their
neighbours, which share the relation's words. A guard is one column more in K, with a residual of zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy

from torch import Tensor
from transformers import PreTrainedTokenizerFast

from kbsync.domain.plan import Guard
from kbsync.domain.recipe import Recipe
from kbsync.editing.memit.keys import Climb
from kbsync.editing.subject import Prompt, Task, Unlocatable, locate
from kbsync.model.decoder import Decoder, DecoderLayer


def guard_prompts(
    tokenizer: PreTrainedTokenizerFast, guards: Sequence[Guard], tasks: Sequence[Task], longest: int
) -> list[Prompt]:
    """Bare prompts of the guards, in the order of their ids.

    Left out are guards that no prompt can be made of, and those whose key is that of an edited fact: where a template
    begins with the subject, all that is said of one subject hangs on one key.
    """
    edited = {prompt.head for task in tasks for prompt in task.prompts[:1]}
    found: dict[tuple[int, ...], Prompt] = {}
    for guard in sorted(guards, key=lambda g: g.id):
        try:
            prompt = locate(tokenizer, guard.template, guard.subject, None)
        except Unlocatable:
            continue
        if prompt.head not in edited and len(prompt.ids) <= longest:
            found.setdefault(prompt.head, prompt)
    return list(found.values())


class Still:
    """The guards' keys at each edited layer, weighted, as the layers below leave them."""

    def __init__(
        self, decoder: Decoder, layers: Sequence[DecoderLayer], prompts: Sequence[Prompt], recipe: Recipe
    ) -> None:
        self._climb = Climb(decoder, layers, [(p,) for p in prompts]) if prompts else None
        self._scale = math.sqrt(recipe.guard_weight)

    def again(self) -> Still:
        """The same guards before the first edited layer."""
        fresh = copy(self)
        fresh._climb = self._climb.again() if self._climb else None
        return fresh

    def keys(self, step: int) -> Tensor | None:
        """(m, G) before the ``step``-th edited layer changes; None without guards."""
        return self._climb.look(step)[0].T * self._scale if self._climb else None

    def advance(self, step: int) -> None:
        """Pass the ``step``-th edited layer, which has been changed."""
        if self._climb:
            self._climb.advance(step)
