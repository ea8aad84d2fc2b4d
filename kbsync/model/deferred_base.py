"""The pinned base before its weights are loaded: plans and reports need its fingerprint alone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cached_property
from typing import TYPE_CHECKING

from kbsync.domain.errors import ModelError
from kbsync.ports import BaseModel, Delta, LanguageModel

if TYPE_CHECKING:
    from kbsync.model.load import LoadedModel


class DeferredBase(BaseModel):
    """A base model that is known by its fingerprint, and loaded when it is first asked or edited.

    From then on it is a ``TorchBase``. Every method raises ``ModelError`` where the model can't be loaded, or where its
    files changed after the fingerprint was taken.
    """

    def __init__(self, fingerprint: str, load: Callable[[], LoadedModel]) -> None:
        """``load`` is called once, when it is needed."""
        self.fingerprint = fingerprint
        self._load = load

    @cached_property
    def _base(self) -> BaseModel:
        from kbsync.model.base import TorchBase

        loaded = self._load()
        if loaded.fingerprint != self.fingerprint:
            raise ModelError(
                "The base model's files changed after its fingerprint was taken.", next_step="Start again."
            )
        return TorchBase(loaded)

    def language_model(self) -> LanguageModel:
        return self._base.language_model()

    def edited(self, delta: Delta) -> AbstractContextManager[LanguageModel]:
        return self._base.edited(delta)

    def norm_growth(self, delta: Delta) -> dict[str, float]:
        return self._base.norm_growth(delta)
