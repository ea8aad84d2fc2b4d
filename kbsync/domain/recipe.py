"""A recipe holds everything that shapes the weights, apart from the base and the facts."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from kbsync.domain.canonical import content_hash, later
from kbsync.domain.errors import DataError
from kbsync.domain.published_recipe import read_published

ALGORITHMS = ("memit", "memit-sequential", "alphaedit", "rome", "finetune", "breadth-first", "mend")
"""What a recipe may name."""
PHRASINGS = ("first", "all")
"""Which of a fact's phrasings a recipe may write."""
OPTIMISERS = ("adam", "steepest")
"""How a target vector may be searched: as published, or along the gradient itself (ADR 0017)."""
CONCEPT_STATES = ("last", "all")
"""Which states of a concept's prompt a recipe for pictures may write."""
PUBLISHED = "published"
"""Key of a field's metadata: the names of the same hyperparameter in the published files, by method."""


def published(memit: str = "", *, alphaedit: str = "", finetune: str = "") -> dict[str, dict[str, str]]:
    """Metadata of a field.

    Args:
        memit: Its name in the files of MEMIT and ROME.
        alphaedit: Its name in AlphaEdit's files, where it is another one.
        finetune: Its name in the files of fine-tuning.
    """
    names = {"memit": memit, "alphaedit": alphaedit, "finetune": finetune}
    return {PUBLISHED: {method: name for method, name in names.items() if name}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Hyperparameters of an edit (Meng et al., ICLR 2023, section 4.3 and appendix B).

    δ, z and h₀ stand at the edit's sites: the residual stream after the last edited layer, or, in models with sandwich
    norms and for ROME, the output of each edited down projection.
    """

    name: str = "unnamed"
    """What people call it; shapes nothing."""
    algorithm: str = "memit"
    """One of ``ALGORITHMS``."""
    layers: tuple[int, ...] = field(metadata=published("layers", finetune="layers"))
    """Indices of the edited layers, ascending, from 0. ROME edits one."""
    covariance_weight: float = field(default=15_000.0, metadata=published("mom2_update_weight", alphaedit="L2"))
    """λ, the weight of the key covariance C; above 0. AlphaEdit: L, the weight of the identity. Not used by ROME and
    fine-tuning."""
    clamp: float = field(default=0.75, metadata=published("clamp_norm_factor", finetune="norm_constraint"))
    """Bound of ‖δ‖, in units of ‖h₀‖. Fine-tuning: bound of each entry of the change, in units of the weights' root
    mean square if ``relative_step``, else absolute."""
    steps: int = field(default=25, metadata=published("v_num_grad_steps", finetune="num_steps"))
    """Most steps of the search for a target vector. Fine-tuning, breadth-first or not: passes over all facts. MEND:
    steps of the network's training."""
    learning_rate: float = field(default=0.5, metadata=published("v_lr", finetune="lr"))
    """Length of a step: of δ, or, for fine-tuning, of the weights. The unit is that of ``relative_step``. MEND: Adam's
    rate in the network's training, absolute."""
    relative_step: bool = True
    """The unit of ``learning_rate``: ‖h₀‖/√d if true (models differ a thousandfold in the norm of their residual
    stream), absolute as published if false. Fine-tuning: the weights' root mean square if true."""
    weight_decay: float = field(default=0.5, metadata=published("v_weight_decay", finetune="weight_decay"))
    """Weight of ‖δ‖/‖h₀‖² in the search's loss. Fine-tuning: Adam's weight decay."""
    kl_weight: float = field(default=0.0625, metadata=published("kl_factor"))
    """Weight of the KL prompt's divergence in the search's loss. Not used by fine-tuning."""
    loss_threshold: float = 0.05
    """A search ends when its loss is below this, in nats (the published code's constant)."""
    contexts: tuple[str, ...] = ()
    """Texts with one ``{}`` for the prompt, beside the bare prompt; empty: they are sampled from the model."""
    context_count: int = field(default=5, metadata=published("context_template_length_params"))
    """How many contexts are sampled, if none are given."""
    context_tokens: int = field(default=10, metadata=published("context_template_length_params"))
    """Length of a sampled context, in tokens."""
    covariance_tokens: int = field(default=100_000, metadata=published("mom2_n_samples"))
    """How much text C is measured on, in tokens. (The published field counts documents.)"""
    corpus: str = field(default="model", metadata=published("mom2_dataset"))
    """What the text of C is called; shapes no cache key. The text itself is given beside the recipe."""
    guard_count: int = 0
    """At most this many facts that the base has right are guarded: their keys are preserved (ADR 0005). 0: as
    published."""
    guard_weight: float = 1.0
    """Weight of a preserved key, in units of that of an edited fact's."""
    dtype: str = "float32"
    """Of the model's weights. A file that names none is for the dtype that the model is loaded in (`[model] dtype`)."""
    seed: int = 0
    """Of sampled contexts, of sampled text and of the order in which given text is read."""
    batch: int = later(100)
    """Facts in one step (``memit-sequential``, ``alphaedit``) or in one gradient (fine-tuning); prompts in one gradient
    (breadth-first); the most facts that are written together in one step of the network's training (MEND)."""
    null_space_share: float = later(0.02)
    """AlphaEdit's null space holds the directions with at most this share of C's trace."""
    trace: str = later("")
    """SHA-256 of the causal trace that the layers came from; shapes nothing."""
    token_threshold: float | None = later(None)
    """A search does not end while a target token costs this much or more, in nats. None: as published."""
    press_rounds: int = later(0)
    """How often facts that are not yet answered are written again with more weight (ADR 0016). 0: as published."""
    press_factor: float = later(4.0)
    """By how much their weight grows in each such round."""
    capacity: int = later(0)
    """Number of facts in one version up to which the gate's bounds were measured to hold (``kbsync bench capacity``);
    0: not measured. Shapes nothing."""
    optimiser: str = later("adam")
    """One of ``OPTIMISERS``: each step of a search is one of Adam (as published), or goes along the gradient by the
    length of Adam's first step ("steepest", ADR 0017)."""
    phrasings: str = later("first")
    """One of ``PHRASINGS``: a fact is written in its first phrasing only, as published, or in all that it has."""
    search_prompts: int = later(0)
    """How many of a fact's prompts the search for its target vector asks, where it is written in all phrasings; the
    others get the same δ, and what that does not get across is left to the refinement. 0: all."""
    refine_epochs: int = later(0)
    """Passes of the joint refinement over the prompts that are not answered (ADR 0020). 0: none, as published."""
    refine_rate: float = later(0.01)
    """Length of a step of the refinement, in units of the root mean square of each layer's whitened left factor."""
    refine_frames: bool = later(False)
    """Whether the refinement also practises every phrasing in other frames or behind other sentences, so that what it
    writes does not hang on the words around a question."""
    refine_batch: int = later(32)
    """Prompts in one step of the refinement."""
    refine_held: float = later(1.0)
    """Preserved prompts that a step looks at, for each of ``refine_batch``; stretches of text are a quarter as many.
    Together they take most of a step's time."""
    refine_threshold: float = later(0.5)
    """A prompt is refined while one token of its target costs so much or more, in nats."""
    refine_preserved: float = later(4.0)
    """β: weight of the divergence at preserved prompts, in the refinement and in breadth-first fine-tuning."""
    refine_text: float = later(4.0)
    """τ: weight of the divergence on ordinary text, in the same two."""
    refine_as: tuple[str, ...] = later(())
    """Forms in which a version is served, by their names in ``kbsync.domain.served_form`` ("q4_0", "bfloat16+lora"):
    the refinement also practises with the weights rounded so. Empty: with unrounded weights only."""
    rank: int = later(0)
    """The refined change of each layer has at most this rank. 0: that of the closed form. MEND: the network's hidden
    rank."""

    concept_states: str = later("last")
    """Concept editing of pictures: the state of a concept's last token is written, as published ("last"), or also those
    of the end token and of the padding behind it ("all")."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of everything that shapes the weights."""
        return content_hash(replace(self, name="", trace="", capacity=0))

    @classmethod
    def from_memit_json(cls, source: str | Path | Mapping[str, Any], *, name: str = "", algorithm: str = "") -> Recipe:
        """Read the hyperparameters that were published with MEMIT, ROME, AlphaEdit or fine-tuning.

        What the file says and a recipe can't hold is said in one ``UserWarning``; ``dataclasses.replace`` sets what is
        wanted instead.

        Args:
            source: A published JSON file (``hparams/MEMIT/gpt2-xl.json``), or its content.
            name: The recipe's name; empty: the file's.
            algorithm: One of "memit", "rome", "alphaedit" and "finetune"; empty: by the fields that the file has.

        Returns:
            A recipe with ``relative_step`` false, as published.

        Raises:
            DataError: The file can't be read, or asks for something that this code does not do.
        """
        if isinstance(source, Mapping):
            document, stem = dict(source), ""
        else:
            document, stem = _read(Path(source)), Path(source).stem
        names = {
            method: {
                spelling[method]: f.name for f in fields(cls) if method in (spelling := f.metadata.get(PUBLISHED, {}))
            }
            for method in ("memit", "alphaedit", "finetune")
        }
        reading = read_published(document, names, algorithm)
        if reading.notes:
            lines = "".join(f"\n  - {note}" for note in reading.notes)
            warnings.warn(f"Not carried over as it was published:{lines}", UserWarning, stacklevel=2)
        return cls(**{"name": name or stem or "published", **reading.fields})


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} can't be read as JSON: {error}.", next_step="Name a published file.") from error
    if not isinstance(document, dict):
        raise DataError(f"{path} holds no object with hyperparameters.", next_step="Name a published file.")
    return document
