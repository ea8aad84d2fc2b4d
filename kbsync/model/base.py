"""The base model on torch: it answers unedited, and with a delta in place inside a ``with`` block."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kbsync.domain.errors import EditError, WrongWeights
from kbsync.model.delta import FactorDelta, applied, norm_growth
from kbsync.model.language_model import TorchLanguageModel
from kbsync.model.load import LoadedModel
from kbsync.ports import BaseModel, Delta, LanguageModel


class TorchBase(BaseModel):
    """One model in memory, which holds either the base's weights or those of one edited version.

    So a ``LanguageModel`` that is asked while weights other than its own are in place raises ``WrongWeights``.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        self.fingerprint = loaded.fingerprint
        self._loaded = loaded
        self._in_place = loaded.fingerprint

    def language_model(self) -> LanguageModel:
        """The unedited base."""
        return self._language_model(self.fingerprint)

    @contextmanager
    def edited(self, delta: Delta) -> Iterator[LanguageModel]:
        """Put ``delta`` in place inside the block.

        Raises:
            EditError: the delta does not fit the base.
            WrongWeights: another delta is in place already.
        """
        delta = _on_torch(delta)
        if self._in_place != self.fingerprint:
            raise WrongWeights("Another delta is in place already.", next_step="Leave its block first.")
        edited = f"{self.fingerprint}+{delta_hash(delta)}"
        with applied(self._loaded.model, delta):
            self._in_place = edited
            try:
                yield self._language_model(edited)
            finally:
                self._in_place = self.fingerprint

    def norm_growth(self, delta: Delta) -> dict[str, float]:
        """‖W + Δ‖ / ‖W‖ − 1 by parameter; raises ``EditError`` where the delta does not fit the base."""
        return norm_growth(self._loaded.model, _on_torch(delta))

    def _language_model(self, fingerprint: str) -> TorchLanguageModel:
        return TorchLanguageModel(self._loaded.model, self._loaded.tokenizer, fingerprint, self._check_for(fingerprint))

    def _check_for(self, fingerprint: str) -> Callable[[], None]:
        """What a language model of these weights calls before every use."""

        def check() -> None:
            if self._in_place != fingerprint:
                raise WrongWeights(
                    f"The weights in place are those of {self._in_place[:80]}, not of {fingerprint[:80]}.",
                    next_step="Ask the base outside the edited model's block, and the edited model inside it.",
                )

        return check


def _on_torch(delta: Delta) -> FactorDelta:
    if not isinstance(delta, FactorDelta):
        raise EditError(f"A {type(delta).__name__} can't be applied to a model on torch.")
    return delta


def delta_hash(delta: FactorDelta) -> str:
    """First 16 hex digits of the SHA-256 over names, shapes and factors."""
    digest = hashlib.sha256()
    for name in delta.parameters:
        for factor in delta.factors[name]:
            digest.update(f"{name} {tuple(factor.shape)}\n".encode())
            digest.update(factor.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
