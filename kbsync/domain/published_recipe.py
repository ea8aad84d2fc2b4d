"""The hyperparameter files that were published with MEMIT, ROME, AlphaEdit and fine-tuning, as fields of a recipe.

Nothing that such a file says is dropped in silence: it becomes a field, a note, or an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kbsync.domain.errors import DataError

DOWN_PROJECTIONS = ("c_proj", "fc_out", "dense_4h_to_h", "down_proj", "fc2", "wo")
"""Last part of the names of down projections in the published files and in transformers."""
MODULES = ("layer_module_tmp", "mlp_module_tmp", "attn_module_tmp", "ln_f_module", "lm_head_module")
"""Fields that name modules, which this code finds by the model's structure instead."""
CONTEXT_LENGTHS = "context_template_length_params"
TRANSLATED = ("mom2_dataset", "mom2_n_samples", CONTEXT_LENGTHS)
"""Fields whose values are not copied as they are."""
NEXT = "Correct the file, or write the recipe's fields yourself."


@dataclass(slots=True)
class Reading:
    """What a file says."""

    fields: dict[str, Any]
    """Fields of a recipe, by their names."""
    notes: list[str] = field(default_factory=list)
    """What a recipe can't hold as the file has it, one sentence each."""


def read_published(document: Mapping[str, Any], names: Mapping[str, Mapping[str, str]], algorithm: str = "") -> Reading:
    """Translate a published file.

    Args:
        document: The file's content.
        names: By method ("memit", "alphaedit", "finetune"), each published name with the recipe's field.
        algorithm: What the file is for; empty: by the fields that it has.

    Raises:
        DataError: The file lacks layers, holds a value of the wrong type, or asks for something that this code does not
            do.
    """
    algorithm = algorithm or _algorithm(document)
    if algorithm not in ("memit", "rome", "alphaedit", "finetune"):
        raise _refused(f"No hyperparameters of {algorithm!r} were published")
    reading = Reading({"algorithm": algorithm, "relative_step": False})
    left = dict(document)
    _must(left, algorithm)
    _translate(left, reading, algorithm)
    for published, name in _spelled(names, algorithm).items():
        if published in left:
            reading.fields[name] = _value(published, name, left.pop(published))
        elif name != "layers":
            reading.notes.append(f"{published} is not in the file: {name} keeps its default")
    if "layers" not in reading.fields:
        raise _refused("The file names no layers")
    for unknown in left:
        reading.notes.append(f"{unknown} is not known here, and was left out")
    return reading


def _algorithm(document: Mapping[str, Any]) -> str:
    if "nullspace_threshold" in document or "L2" in document:
        return "alphaedit"
    if "mom2_update_weight" in document:
        return "memit"
    if "v_num_grad_steps" in document:
        return "rome"
    if "num_steps" in document:
        return "finetune"
    raise _refused("These are no hyperparameters of MEMIT, ROME, AlphaEdit or fine-tuning")


def _spelled(names: Mapping[str, Mapping[str, str]], algorithm: str) -> dict[str, str]:
    """The recipe's fields that are copied as they are, by their published names."""
    if algorithm == "finetune":
        return dict(names["finetune"])
    spelled = {published: name for published, name in names["memit"].items() if published not in TRANSLATED}
    if algorithm == "rome":
        del spelled["mom2_update_weight"]
    if algorithm == "alphaedit":
        own = names["alphaedit"]
        spelled = {published: name for published, name in spelled.items() if name not in own.values()} | dict(own)
    return spelled


def _must(left: dict[str, Any], algorithm: str) -> None:
    """Take out the fields that may have one value only; raises ``DataError`` for another."""
    only = {"fact_token": "subject_last", "layer_selection": "all", "mom2_adjustment": True}
    if algorithm == "finetune":
        only = {"kl_factor": 0, "wd_power_law": None}
    for name, value in only.items():
        got = left.pop(name, value)
        if got != value and not (value is None and got is False):
            raise _refused(f"{name} is {got!r}, and this code knows {value!r} only")
    template = str(left.pop("rewrite_module_tmp", DOWN_PROJECTIONS[0]))
    if template.rpartition(".")[2] not in DOWN_PROJECTIONS:
        raise _refused(f"rewrite_module_tmp is {template!r}, and this code edits the MLPs' down projections only")


def _translate(left: dict[str, Any], reading: Reading, algorithm: str) -> None:
    """Take out the fields that mean something else than the recipe's, or nothing to it."""
    notes = reading.notes
    modules = [name for name in MODULES if left.pop(name, None) is not None]
    if modules:
        notes.append(f"{', '.join(modules)}: modules are found by the model's structure")
    if "v_loss_layer" in left:
        notes.append(
            f"v_loss_layer {left.pop('v_loss_layer')}: the loss is read at the model's output, which is the same where "
            "this is the last layer"
        )
    if "mom2_dataset" in left:
        reading.fields["corpus"] = str(left.pop("mom2_dataset"))
        notes.append(f"mom2_dataset: give the text of {reading.fields['corpus']} beside the recipe")
    if "mom2_n_samples" in left:
        notes.append(
            f"mom2_n_samples {left.pop('mom2_n_samples')} counts documents, and covariance_tokens counts tokens: it "
            "keeps its default"
        )
    if "mom2_dtype" in left:
        notes.append(f"mom2_dtype {left.pop('mom2_dtype')}: second moments are summed in float64")
    if "nullspace_threshold" in left:
        notes.append(
            f"nullspace_threshold {left.pop('nullspace_threshold')} bounds eigenvalues, and null_space_share bounds a "
            "share of C's trace: it keeps its default"
        )
    if algorithm == "alphaedit" and "mom2_update_weight" in left:
        notes.append(f"mom2_update_weight {left.pop('mom2_update_weight')}: AlphaEdit weighs the identity, by L2")
    if CONTEXT_LENGTHS in left:
        _contexts(left.pop(CONTEXT_LENGTHS), reading)
    if algorithm == "finetune" and left.get("norm_constraint") is False:
        raise _refused("norm_constraint is false, and this code fine-tunes within a bound only")
    if algorithm == "finetune" and left.get("weight_decay") is False:
        left["weight_decay"] = 0


def _contexts(pairs: Any, reading: Reading) -> None:
    """ROME's contexts: pairs of a length in tokens and a number of texts."""
    try:
        lengths, counts = zip(*((int(length), int(count)) for length, count in pairs), strict=True)
    except (TypeError, ValueError):
        raise _refused(f"{CONTEXT_LENGTHS} is {pairs!r}, not pairs of a length and a number") from None
    reading.fields["context_tokens"], reading.fields["context_count"] = max(lengths), sum(counts)
    if len(set(lengths)) > 1:
        reading.notes.append(
            f"{CONTEXT_LENGTHS} {list(map(list, pairs))}: all {sum(counts)} contexts get {max(lengths)} tokens"
        )


def _value(published: str, name: str, value: Any) -> tuple[int, ...] | int | float:
    """The value of the recipe's field ``name``, in that field's type."""
    whole = name in ("layers", "steps")
    numbers = value if name == "layers" else [value]
    kinds = (int,) if whole else (int, float)
    if not isinstance(numbers, list) or any(isinstance(v, bool) or not isinstance(v, kinds) for v in numbers):
        raise _refused(f"{published} is {value!r}, not {'a list of numbers' if name == 'layers' else 'a number'}")
    if name == "layers":
        return tuple(sorted(numbers))
    return int(value) if whole else float(value)


def _refused(what: str) -> DataError:
    return DataError(f"{what}.", kept="No recipe was made.", next_step=NEXT)
