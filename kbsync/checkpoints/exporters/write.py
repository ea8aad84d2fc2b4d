"""The one function that writes a version in any form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Any

from kbsync.checkpoints.exporters.directory import Finish
from kbsync.checkpoints.exporters.form import GGUF, HF, LORA, Exported, ExportForm, rank_warnings

if TYPE_CHECKING:
    from kbsync.checkpoints.exporters.card import CardFacts
    from kbsync.model.delta import FactorDelta
    from kbsync.model.gguf_comparison import GgufComparison
    from kbsync.model.gguf_layout import GgufLayout
    from kbsync.model.load import LoadedModel


def write_export(
    loaded: LoadedModel,
    delta: FactorDelta,
    directory: Path,
    form: ExportForm,
    about: Mapping[str, Any],
    card: CardFacts | None = None,
) -> Exported:
    """Write a version; the directory appears whole or not at all.

    Args:
        loaded: The base.
        delta: The version's change; empty: the base itself, which has no adapter.
        directory: Its name may be taken by an empty directory only.
        form: What is written.
        about: Recorded in ``kbsync.json``.
        card: What the model card tells; None: there is none, as for the base.

    Raises:
        StoreError: The directory can't be written, or is not empty.
        EditError: The change does not fit the base, or the base's GGUF file is another model's.
        ModelError: There is no GGUF file of the base where one is needed, or it can't be read.
    """
    if form.format == HF:
        from kbsync.checkpoints.exporters.hf import export_hf

        export_hf(loaded, delta, directory, about, form.dtype, _finish(card, loaded))
        return Exported()
    if form.format == LORA:
        from kbsync.checkpoints.exporters.lora import export_lora

        adapter = export_lora(loaded, delta, directory, form, about, _finish(card, loaded))
        return Exported(matrices=adapter.matrices, rank=adapter.rank, warnings=rank_warnings(adapter.rank))
    return _write_gguf(loaded, delta, directory, form, about, _finish(card, loaded))


def _finish(card: CardFacts | None, loaded: LoadedModel) -> Finish:
    """Writes the model card into a directory whose other files are written."""

    def finish(directory: Path, about: Mapping[str, Any]) -> None:
        if card is not None:
            from kbsync.checkpoints.exporters.card import write_card

            write_card(directory, card, about, loaded.directory)

    return finish


def _write_gguf(
    loaded: LoadedModel,
    delta: FactorDelta,
    directory: Path,
    form: ExportForm,
    about: Mapping[str, Any],
    finish: Finish,
) -> Exported:
    from kbsync.checkpoints.exporters.gguf_adapter import export_gguf_adapter
    from kbsync.checkpoints.exporters.gguf_model import export_gguf
    from kbsync.model.gguf_source import base_gguf, needed
    from kbsync.model.peft_adapter import cut_to

    cut, matrices = cut_to(delta, form.rank)
    with base_gguf(loaded.reference, form.gguf, Path(gettempdir())) as base:
        if form.format == GGUF:
            base = needed(base)
            compared, warnings = _compared(base, loaded, delta)
            told = dict(about) | {"warnings": list(warnings)}
            export_gguf(base, compared.names, delta, directory, form.type, told, finish)
            return Exported(warnings=warnings)
        architecture, blocks = _shape(base, loaded)
        warnings = _compared(base, loaded, delta)[1] if base is not None else ()
        more = {"matrices": [asdict(m) for m in matrices], "warnings": list(warnings)}
        rank = export_gguf_adapter(cut, architecture, blocks, directory, form.type, dict(about) | more, finish)
        return Exported(matrices=matrices, rank=rank, warnings=warnings)


def _compared(base: GgufLayout, loaded: LoadedModel, delta: FactorDelta) -> tuple[GgufComparison, tuple[str, ...]]:
    from kbsync.model.gguf_comparison import compare

    compared = compare(base, loaded.model, delta.parameters)
    return compared, (compared.warning,) if compared.warning else ()


def _shape(base: GgufLayout | None, loaded: LoadedModel) -> tuple[str, int]:
    """llama.cpp's name of the architecture, and the number of layers."""
    from kbsync.model.gguf_names import architecture_of

    if base is not None:
        return base.architecture, base.blocks
    config = loaded.model.config.get_text_config()
    return architecture_of(config.model_type), int(config.num_hidden_layers)
