"""Exports a stored version for servers that know nothing of kbsync."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from kbsync.bootstrap import App
from kbsync.domain.errors import ModelError
from kbsync.views.status import built_version

if TYPE_CHECKING:
    from kbsync.model.peft_adapter import AdapterMatrix

HF, LORA = "hf", "lora"


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
    """`hf` (a whole model) or `lora` (an adapter)."""
    directory: str
    matrices: tuple[MatrixView, ...]
    """Those of an adapter."""


def export(
    app: App, number: int, format: str, directory: Path, rank: int | None = None, *, dry_run: bool = False
) -> ExportView:
    """Write a version to a directory.

    Args:
        format: ``HF`` or ``LORA``.
        directory: Must not exist yet, or be empty.
        rank: The highest rank of an adapter's matrix; None: as needed to lose nothing.
        dry_run: Check all this, make an adapter in a temporary place only, and write nothing.

    Raises:
        NotFound: The version is not stored.
        ModelError: Another base is configured than the one that it was built on.
        StoreError: The version can't be read, or the directory can't be written.
    """
    from kbsync.checkpoints.exporters.directory import require_free
    from kbsync.checkpoints.exporters.hf import export_hf
    from kbsync.checkpoints.exporters.lora import export_lora

    with app.ledger.read() as tx:
        version_hash = built_version(tx, number).version_hash or ""
    manifest, delta = app.store.read(version_hash)
    if manifest.base_fingerprint != app.loaded.fingerprint:
        raise ModelError(
            f"Version {number} was built on another base ({manifest.base_fingerprint[:12]}) than the configured one.",
            next_step="Set model.reference and model.dtype to the base that it was built on.",
        )
    about = {"version": number, "version_hash": version_hash, "base_fingerprint": manifest.base_fingerprint}
    matrices: tuple[AdapterMatrix, ...] = ()
    require_free(directory)
    if format == LORA:
        with TemporaryDirectory() as scratch:
            target = Path(scratch) / "adapter" if dry_run else directory
            matrices = export_lora(app.loaded, delta, target, rank, about)
    elif not dry_run:
        export_hf(app.loaded, delta, directory, about)
    return ExportView(
        version=number,
        hash=version_hash,
        format=format,
        directory=str(directory.expanduser().absolute()),
        matrices=tuple(_matrix(m) for m in matrices),
    )


def _matrix(matrix: AdapterMatrix) -> MatrixView:
    return MatrixView(
        parameter=matrix.parameter,
        rank=matrix.rank,
        full_rank=matrix.full_rank,
        relative_loss=matrix.relative_loss,
    )
