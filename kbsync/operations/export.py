"""Export a stored version for servers that know nothing of kbsync."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from kbsync.bootstrap import App
from kbsync.domain.errors import ModelError, NotFound

if TYPE_CHECKING:
    from kbsync.model.peft_adapter import AdapterMatrix

HF, LORA = "hf", "lora"


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixView:
    """One matrix of an adapter: its rank, the rank that loses nothing, and the measured ‖Δ − BA‖ / ‖Δ‖."""

    parameter: str
    rank: int
    full_rank: int
    relative_loss: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportView:
    """What was (or would be) written: ``format`` is ``hf`` (a whole model) or ``lora`` (an adapter, with its ``matrices``)."""

    version: int
    hash: str
    format: str
    directory: str
    matrices: tuple[MatrixView, ...]


def export(
    app: App, number: int, format: str, directory: Path, rank: int | None = None, *, dry_run: bool = False
) -> ExportView:
    """Write version ``number`` to ``directory``, which must not exist yet, or be empty. A ``dry_run`` checks all that, and
    makes an adapter in a temporary place only.

    Raises ``NotFound`` for a version that is not stored, ``ModelError`` when another base is configured than it was built
    on, ``StoreError`` when it can't be read or the directory can't be written.
    """
    from kbsync.checkpoints.exporters.directory import require_free
    from kbsync.checkpoints.exporters.hf import export_hf
    from kbsync.checkpoints.exporters.lora import export_lora

    with app.ledger.read() as tx:
        version = tx.version(number)
    if version is None or version.version_hash is None:
        raise NotFound(f"Version {number} is not built.", next_step="`kbsync versions` lists what there is.")
    manifest, delta = app.store.read(version.version_hash)
    if manifest.base_fingerprint != app.loaded.fingerprint:
        raise ModelError(
            f"Version {number} was built on another base ({manifest.base_fingerprint[:12]}) than the configured one.",
            next_step="Set model.reference and model.dtype to the base that it was built on.",
        )
    about = {"version": number, "version_hash": version.version_hash, "base_fingerprint": manifest.base_fingerprint}
    matrices: tuple[AdapterMatrix, ...] = ()
    require_free(directory)
    if format == LORA:
        with TemporaryDirectory() as aside:
            place = Path(aside) / "adapter" if dry_run else directory
            matrices = export_lora(app.loaded, delta, place, rank, about)
    elif not dry_run:
        export_hf(app.loaded, delta, directory, about)
    return ExportView(
        version=number,
        hash=version.version_hash,
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
