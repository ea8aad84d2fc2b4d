"""A model whose weights are quantised, converted once to a directory in full precision.

An edit adds small numbers to weights, which weights of 4 or 8 bits can't hold. So a copy is edited, as of a GGUF file,
and exported. Neither this module nor what it imports at its head loads torch.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kbsync.domain.canonical import content_hash
from kbsync.domain.errors import ModelError
from kbsync.model.converted import converted
from kbsync.model.digests import Digests
from kbsync.model.model_files import SINGLE_WEIGHTS, WEIGHTS_INDEX, other_files, read_json, weight_files
from kbsync.ports import UNWATCHED, Work

if TYPE_CHECKING:
    from torch import Tensor

    from kbsync.model.packings import Packing

SETTINGS = "quantization_config"
FILE_BYTES = 2 * 2**30
"""About the size of a file of the copy: as much is held in memory."""
_LEFT_OUT = ("config.json", WEIGHTS_INDEX, "quantize_config.json", "quant_config.json")


@dataclass(frozen=True, slots=True)
class _Matrix:
    """A parameter that is stored quantised."""

    packing: Packing
    stored: Mapping[str, str]
    """By the end of its name, the stored tensor's name."""


@dataclass(slots=True)
class _Plan:
    """What is written."""

    files: Mapping[str, Path]
    """By name, where each stored tensor lies."""
    matrices: dict[str, _Matrix] = field(default_factory=dict)
    """By the parameter's name."""
    used: set[str] = field(default_factory=set)
    """Stored tensors that are not copied."""


def full_precision(directory: Path, cache_dir: Path, digests: Digests, work: Work = UNWATCHED) -> Path:
    """The model in full precision: ``directory`` itself, or a copy that is made where there is none yet.

    Args:
        directory: Holds the model as safetensors.
        cache_dir: Keeps copies.
        digests: Remembers the digests of large files, which name the copy.
        work: Shows the conversion.

    Returns:
        ``cache_dir/<name>-<16 digits>-full``. The directory itself where its weights are not quantised, and where they
        are in a form that is not known, which is refused when it is loaded.

    Raises:
        ModelError: A matrix can't be read, or the copy can't be written.
    """
    settings = read_json(directory / "config.json").get(SETTINGS) if (directory / "config.json").is_file() else None
    if not isinstance(settings, dict) or not settings:
        return directory
    plan = _planned(directory, settings)
    if not plan.matrices:
        return directory
    identity = [digests.of(path) for path in [directory / "config.json", *weight_files(directory)]]
    target = cache_dir / f"{directory.name}-{content_hash(identity)[:16]}-full"
    return converted(
        target,
        lambda unfinished: _write(plan, directory, unfinished, settings, work),
        work,
        steps=len(plan.matrices),
        told=": weights in full precision; serve what is exported from them",
    )


def _planned(directory: Path, settings: Mapping[str, Any]) -> _Plan:
    """Which parameters are stored quantised, and in which way."""
    from safetensors import SafetensorError, safe_open

    from kbsync.model.packings import packings_for

    files: dict[str, Path] = {}
    for path in weight_files(directory):
        try:
            with safe_open(path, framework="pt") as stored:
                files |= dict.fromkeys(stored.keys(), path)
        except SafetensorError as error:
            raise ModelError(f"{path} can't be loaded: {error}.", next_step="Fetch the model again.") from error
    plan = _Plan(files)
    for packing in packings_for(settings):
        for name in sorted(files):
            prefix = name.removesuffix(packing.key)
            needed = [packing.key, *packing.needs]
            if name in plan.used or prefix == name or any(prefix + end not in files for end in needed):
                continue
            ends = [*needed, *(end for end in packing.may if prefix + end in files)]
            plan.matrices[prefix + packing.into] = _Matrix(packing, {end: prefix + end for end in ends})
            plan.used |= {prefix + end for end in (*ends, *packing.drops)}
    return plan


def _write(plan: _Plan, directory: Path, target: Path, settings: Mapping[str, Any], work: Work) -> None:
    """Write weights, configuration and all other files."""
    from safetensors.torch import save_file

    config = read_json(directory / "config.json")
    places: dict[str, str] = {}
    held: dict[str, Tensor] = {}
    total = 0

    def flush() -> None:
        name = f"model-{len(set(places.values())) + 1:05}.safetensors"
        save_file(held, target / name, metadata={"format": "pt"})
        places.update(dict.fromkeys(held, name))
        held.clear()

    for name, tensor in _tensors(plan, _dtype_of(config), settings, work):
        if held and sum(t.nbytes for t in held.values()) + tensor.nbytes > FILE_BYTES:
            flush()
        held[name] = tensor
        total += tensor.nbytes
    flush()
    if len(set(places.values())) == 1:
        (target / places[min(places)]).rename(target / SINGLE_WEIGHTS)
    else:
        index = {"metadata": {"total_size": total}, "weight_map": places}
        (target / WEIGHTS_INDEX).write_text(json.dumps(index, indent=1), encoding="utf-8")
    for other in other_files(directory):
        if other.as_posix() not in _LEFT_OUT:
            (target / other).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(directory / other, target / other)
    kept = {key: value for key, value in config.items() if key != SETTINGS}
    (target / "config.json").write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _tensors(plan: _Plan, dtype: Any, settings: Mapping[str, Any], work: Work) -> Iterator[tuple[str, Tensor]]:
    """All parameters: those that are stored as they are, and the others in full precision."""
    from safetensors import safe_open

    from kbsync.model.packings import unpacked

    def read(name: str) -> Tensor:
        with safe_open(plan.files[name], framework="pt") as stored:
            tensor: Tensor = stored.get_tensor(name)
            return tensor

    for name in plan.files:
        if name not in plan.used:
            yield name, read(name)
    for name, matrix in plan.matrices.items():
        parts = {end: read(stored) for end, stored in matrix.stored.items()}
        yield name, unpacked(name, matrix.packing, parts, settings).to(dtype)
        work.advance()


def _dtype_of(config: Mapping[str, Any]) -> Any:
    """What the model computes in, bfloat16 where it does not say."""
    import torch

    known = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    return known.get(str(config.get("dtype") or config.get("torch_dtype")), torch.bfloat16)
