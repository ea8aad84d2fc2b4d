"""Edit a model in memory: compute a change, apply it, take it back, save it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from kbsync.domain.errors import EditError, ModelError, StoreError
from kbsync.domain.recipe import ALGORITHMS, Recipe
from kbsync.domain.rewrite import Preserved, Rewrite
from kbsync.domain.version import EditReport
from kbsync.editing.editors import EDITORS
from kbsync.editing.interface.artifacts import artifact_store
from kbsync.editing.interface.fingerprint import model_fingerprint
from kbsync.model.delta import FactorDelta, applied
from kbsync.model.peft_adapter import AdapterMatrix, peft_adapter
from kbsync.model.quiet import quiet
from kbsync.model.tokens import require_offsets
from kbsync.ports import ArtifactStore, Progress, Work
from kbsync.system.durable import make_directory, new_directory


def edit_model(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    rewrites: Iterable[Rewrite],
    recipe: Recipe,
    *,
    preserved: Iterable[Preserved] = (),
    texts: Sequence[str] = (),
    artifacts: ArtifactStore | str | Path | None = None,
    progress: Progress | None = None,
) -> ModelEdit:
    """Compute a change of the model's weights that writes ``rewrites``. The model itself comes out as it was.

    Args:
        model: A causal language model whose layers have an MLP or a mixture of experts, in any of the dtypes that it
            can compute in. Quantised models are refused.
        tokenizer: The model's fast tokenizer.
        rewrites: What is written. Their order does not matter; one that can't be located in its tokens is left out, and
            ``ModelEdit.left_out`` says why.
        recipe: Method, layers and hyperparameters. ``recipe.algorithm`` chooses between "memit", "memit-sequential",
            "alphaedit", "rome", "finetune", "breadth-first" and "mend" (which
            needs a trained network among ``artifacts``).
        preserved: Prompts whose keys must not move (MEMIT, AlphaEdit and sequences; ROME and fine-tuning have no place
            for them).
        texts: Ordinary text for the key covariance; empty: text that the model samples. Fine-tuning needs none.
        artifacts: Keeps target vectors, covariances and contexts for later edits: a store, a directory, or None for no
            later edit. Keys hold a hash of the model's weights, so one cache may serve many models.
        progress: A display of the steps.

    Returns:
        The change, not yet applied.

    Warns:
        UserWarning: A rewrite was left out, or a covariance is not positive definite and got a ridge.

    Raises:
        EditError: No sound change exists: nothing can be located, a number is not finite, or the recipe is for another
            dtype.
        ModelError: The model can't be edited, lacks one of the layers, or the tokenizer is a slow one.
    """
    require_fast(tokenizer)
    if recipe.algorithm not in EDITORS:
        raise EditError(f"{recipe.algorithm!r} is none of {', '.join(ALGORITHMS)}.", next_step="Correct the recipe.")
    asked = tuple(dict.fromkeys(rewrites))
    # A cache that ends with this call can't confuse two models.
    base = "" if artifacts is None else model_fingerprint(model, tokenizer)
    editor = EDITORS[recipe.algorithm](model, tokenizer, base, artifact_store(artifacts), texts)
    computed = editor.compute(asked, recipe, Work(progress), tuple(preserved))
    assert isinstance(computed.delta, FactorDelta)
    edit = ModelEdit(model, tokenizer, asked, recipe, computed.delta, computed.report)
    _warn(edit)
    return edit


@dataclass(slots=True)
class ModelEdit:
    """A change of a model's weights, and how it went.

    In a ``with`` block the model computes with the change; afterwards the very same tensors are back, bit for bit:

        with edit as model:
            model.generate(...)
    """

    model: PreTrainedModel = field(repr=False)
    """The model that was edited."""
    tokenizer: PreTrainedTokenizerFast = field(repr=False)
    """Its tokenizer."""
    rewrites: tuple[Rewrite, ...]
    """What was asked for, without repetitions."""
    recipe: Recipe
    """How it was written."""
    delta: FactorDelta = field(repr=False)
    """The change: ``delta.factors`` maps each edited parameter's name to float32 factors left (out, r) and right (r,
    in), W' = W + left @ right."""
    report: EditReport = field(repr=False)
    """By edited layer the residuals, ‖Δ‖/‖W‖ and the condition number; losses; contexts."""
    _undo: Callable[[], None] | None = field(default=None, init=False, repr=False)

    @property
    def losses(self) -> dict[Rewrite, float]:
        """The last loss of each rewrite's search (fine-tuning: of its target), in nats."""
        return {r: self.report.losses[r.id] for r in self.rewrites if r.id in self.report.losses}

    @property
    def left_out(self) -> dict[Rewrite, str]:
        """Rewrites that could not be written, with the reason."""
        return {r: self.report.left_out[r.id] for r in self.rewrites if r.id in self.report.left_out}

    @property
    def in_place(self) -> bool:
        """Whether the model computes with the change now."""
        return self._undo is not None

    def apply(self) -> PreTrainedModel:
        """Let the model compute with the change, until ``undo``.

        The sum W + left @ right is taken in float64 and rounded once. The model's own tensors are kept, not written to.

        Raises:
            EditError: The change is in place already, or does not fit the model.
        """
        if self._undo is not None:
            raise EditError("The edit is in place already.", next_step="Call undo() first.")
        stack = ExitStack()
        stack.enter_context(applied(self.model, self.delta))
        in_place = self._parameters()

        def undo() -> None:
            if any(self.model.get_parameter(name) is not parameter for name, parameter in in_place.items()):
                raise EditError(
                    "Other weights are in place than this edit put there.",
                    next_step="Undo the edits that were applied after it first.",
                )
            stack.close()

        self._undo = undo
        return self.model

    def undo(self) -> None:
        """Put the model's own tensors back; nothing happens where the change is not in place.

        Raises:
            EditError: Another edit was applied on top of this one.
        """
        if self._undo is not None:
            self._undo()
            self._undo = None

    def __enter__(self) -> PreTrainedModel:
        """``apply``."""
        return self.apply()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """``undo``."""
        self.undo()

    def save_peft(
        self, directory: str | Path, *, rank: int | None = None, base: str | None = None
    ) -> tuple[AdapterMatrix, ...]:
        """Write the change as a PEFT adapter (LoRA), which ``PeftModel.from_pretrained`` loads beside the base.

        Args:
            directory: Appears whole or not at all; its name may be taken by an empty directory only.
            rank: The highest rank of a matrix; None: full, so that the adapter is exact.
            base: What the adapter's configuration calls the base; None: what the model was loaded from.

        Returns:
            Rank and loss of each matrix.

        Raises:
            StoreError: The directory is not empty.
        """
        name = self.model.name_or_path if base is None else base
        adapter = peft_adapter(self.model, self.delta, str(name), rank)
        with _new(directory) as unfinished:
            adapter.write(unfinished)
        return adapter.matrices

    def save_pretrained(self, directory: str | Path) -> None:
        """Write the edited model with its tokenizer, as ``AutoModelForCausalLM.from_pretrained`` loads it.

        Args:
            directory: Appears whole or not at all; its name may be taken by an empty directory only.

        Raises:
            StoreError: The directory is not empty.
        """
        with _new(directory) as unfinished, nullcontext() if self.in_place else self, quiet():
            self.model.save_pretrained(unfinished)
            self.tokenizer.save_pretrained(unfinished)

    def _parameters(self) -> Mapping[str, nn.Parameter]:
        return {name: self.model.get_parameter(name) for name in self.delta.parameters}


def _warn(edit: ModelEdit) -> None:
    for rewrite, reason in edit.left_out.items():
        warnings.warn(f"{rewrite} is left out: {reason}.", UserWarning, stacklevel=3)
    for layer in edit.report.layers:
        if layer.ridge:
            warnings.warn(
                f"The covariance of layer {layer.layer} is not positive definite (too little text); {layer.ridge:.3g} "
                "was added to its diagonal.",
                UserWarning,
                stacklevel=3,
            )


def require_fast(tokenizer: PreTrainedTokenizerFast) -> None:
    """Raise ``ModelError`` for a tokenizer that does not tell where its tokens lie in the text, as slow ones don't."""
    if not getattr(tokenizer, "is_fast", False):
        raise ModelError(
            f"{type(tokenizer).__name__} is a slow tokenizer, which does not tell where its tokens lie in the text.",
            next_step="Load it with AutoTokenizer.from_pretrained(..., use_fast=True).",
        )
    require_offsets(tokenizer, type(tokenizer).__name__)


@contextmanager
def _new(directory: str | Path) -> Iterator[Path]:
    """A temporary directory that becomes ``directory`` when the block ends well."""
    target = Path(directory).expanduser().absolute()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise StoreError(f"{target} is there already.", next_step="Name a new or an empty directory.")
    make_directory(target.parent)
    with new_directory(target) as unfinished:
        yield unfinished
