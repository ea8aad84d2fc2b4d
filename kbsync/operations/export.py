"""Exports a stored version for servers that know nothing of kbsync."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from kbsync.bootstrap import App
from kbsync.bootstrap.published import card_facts, cut_kept, kept_figures
from kbsync.domain.errors import GateRefused, ModelError
from kbsync.stages.evaluate.served import ServedCheck, ServedFigure
from kbsync.views.status import built_version

if TYPE_CHECKING:
    from kbsync.checkpoints.exporters.form import ExportForm
    from kbsync.model.peft_adapter import AdapterMatrix


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixView:
    """One matrix of an adapter."""

    parameter: str
    rank: int
    full_rank: int
    """The rank that loses nothing."""
    relative_loss: float
    """Measured: ‖Δ − BA‖ / ‖Δ‖."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportView:
    """What was written, or would be."""

    version: int
    hash: str
    format: str
    """`hf` (a whole model), `lora` (an adapter), `gguf` (the base's GGUF file with the edited tensors replaced) or
    `gguf-lora` (an adapter as GGUF)."""
    directory: str
    matrices: tuple[MatrixView, ...]
    """Those of an adapter."""
    rank: int | None
    """The rank of an adapter, which its server must allow."""
    server_rank: int | None
    """The --max-lora-rank that vLLM must be started with; null if vLLM takes no such rank, or this is no adapter."""
    warnings: tuple[str, ...]
    """What is wrong with serving it."""
    kept: tuple[ServedFigure, ...]
    """What an adapter that was cut still answers; empty for all others."""
    lost: tuple[str, ...]
    """The facts that it lost: item and property."""


def export(
    app: App, number: int, form: ExportForm, directory: Path, *, override: str = "", dry_run: bool = False
) -> ExportView:
    """Write a version to a directory.

    Args:
        form: What is written; where it names no GGUF file or no name of the base, those of the settings are taken.
        directory: Must not exist yet, or be empty.
        override: A person's reason to write an adapter that was cut and does not pass the gate any more.
        dry_run: Check all this, make an adapter in a temporary place only, and write nothing.

    Raises:
        GateRefused: The adapter was cut, and what it still answers does not pass the gate.
        NotFound: The version is not stored.
        ModelError: Another base is configured than the one that it was built on, or its GGUF file is missing.
        EditError: The base's GGUF file is another model's.
        StoreError: The version can't be read, or the directory can't be written.
    """
    from kbsync.checkpoints.exporters.directory import require_free
    from kbsync.checkpoints.exporters.form import ADAPTERS, Exported, server_rank
    from kbsync.checkpoints.exporters.write import write_export

    with app.ledger.read() as tx:
        version_hash = built_version(tx, number).version_hash or ""
    manifest, delta = app.store.read(version_hash)
    if manifest.base_fingerprint != app.loaded.fingerprint:
        raise ModelError(
            f"Version {number} was built on another base ({manifest.base_fingerprint[:12]}) than the configured one.",
            next_step="Set model.reference and model.dtype to the base that it was built on.",
        )
    settings = app.settings
    form = replace(form, gguf=form.gguf or settings.release.gguf, base_name=form.base_name or settings.model.name)
    about: dict[str, Any] = {
        "version": number,
        "version_hash": version_hash,
        "base_fingerprint": manifest.base_fingerprint,
    }
    require_free(directory)
    kept = cut_kept(app, number, delta, form.rank, override=override) if form.format in ADAPTERS else None
    if kept is not None:
        about |= {"kept": kept_figures(kept)}
        if not kept.decision.passed:
            _refuse(kept, override)
            about |= {"override": override}
    card = card_facts(app, number, manifest, form)
    written = Exported()
    if not dry_run:
        written = write_export(app.loaded, delta, directory, form, about, card)
    elif form.format in ADAPTERS:
        with TemporaryDirectory() as scratch:
            written = write_export(app.loaded, delta, Path(scratch) / "adapter", form, about, card)
    return ExportView(
        version=number,
        hash=version_hash,
        format=form.format,
        directory=str(directory.expanduser().absolute()),
        matrices=tuple(_matrix(m) for m in written.matrices),
        rank=written.rank,
        server_rank=server_rank(written.rank) if written.rank else None,
        warnings=written.warnings,
        kept=kept.figures if kept is not None else (),
        lost=tuple(f"{fact.subject} {fact.property}" for fact in kept.lost) if kept is not None else (),
    )


def _refuse(kept: ServedCheck, override: str) -> None:
    """Raise ``GateRefused`` unless a person said why the adapter is wanted all the same."""
    if override:
        return
    reasons = "; ".join(reason.text for reason in kept.decision.refusals)
    raise GateRefused(
        f"The cut adapter does not pass the gate: {reasons}.",
        kept="Nothing was exported.",
        next_step="Export it with a higher --rank, or say with --override REASON why it is wanted all the same.",
    )


def _matrix(matrix: AdapterMatrix) -> MatrixView:
    return MatrixView(
        parameter=matrix.parameter,
        rank=matrix.rank,
        full_rank=matrix.full_rank,
        relative_loss=matrix.relative_loss,
    )
