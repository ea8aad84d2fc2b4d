"""What ``kbsync stats build`` asks of the covariance."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerFast

from kbsync.domain.recipe import Recipe
from kbsync.editing.covariance.covariance import Covariances, covariances, forget, known_layers
from kbsync.model.decoder import discover
from kbsync.model.hooks import frozen
from kbsync.model.load import LoadedModel
from kbsync.ports import ArtifactStore, Executor, Work


class RecipeCovariances:
    """The key covariances that one recipe needs, on one model and one corpus."""

    def __init__(
        self,
        loaded: LoadedModel,
        recipe: Recipe,
        texts: Sequence[str],
        artifacts: ArtifactStore,
        executor: Executor | None = None,
    ) -> None:
        """``texts``: empty for text that the model samples; ``executor``: as of ``covariances``. Raises ``ModelError``
        for layers that the model lacks."""
        self._decoder = discover(loaded.model)
        self._tokenizer: PreTrainedTokenizerFast = loaded.tokenizer
        self._base = loaded.fingerprint
        self._recipe, self._texts, self._artifacts = recipe, texts, artifacts
        self._executor = executor
        self._layers = self._decoder.edited_layers(recipe.layers)

    @property
    def width(self) -> int:
        """m, the keys' dimension: columns of the down projection."""
        return int(self._layers[0].down.weight.shape[1])

    def known(self) -> list[int]:
        """Layers whose covariance is stored."""
        return known_layers(self._texts, self._recipe, self._base, self._artifacts)

    def forget(self) -> None:
        """Drop what is stored, so that it is measured again."""
        forget(self._texts, self._recipe, self._base, self._artifacts)

    def measure(self, work: Work) -> Covariances:
        """What is stored, and the rest measured. Raises ``EditError`` for text of fewer than two tokens, for a key that
        is not finite, and for an unsound covariance in the store."""
        with frozen(self._decoder.model):
            return covariances(
                self._decoder,
                self._tokenizer,
                self._texts,
                self._recipe,
                self._base,
                self._artifacts,
                work,
                self._executor,
            )
