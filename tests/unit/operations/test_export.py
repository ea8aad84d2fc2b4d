"""A version as a directory: what is written, what a dry run says, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kbsync.checkpoints.exporters.form import HF, LORA, ExportForm
from kbsync.domain.errors import ModelError, NotFound, StoreError
from kbsync.operations.export import export
from tests.support.site import Site


@pytest.mark.slow
def test_a_whole_model_is_written(built: Site, tmp_path: Path) -> None:
    with built.app() as app:
        view = export(app, 1, ExportForm(format=HF), tmp_path / "model")
    assert (view.version, view.hash, view.format, view.matrices) == (1, built.version_hash(1), "hf", ())
    assert view.directory == str(tmp_path / "model")
    about = json.loads((tmp_path / "model" / "kbsync.json").read_text())
    assert (about["version"], about["version_hash"]) == (1, view.hash)
    assert (tmp_path / "model" / "config.json").is_file()


def test_a_dry_run_tells_of_the_adapter_and_writes_nothing(built: Site, tmp_path: Path) -> None:
    with built.app() as app:
        cut = ExportForm(format=LORA, rank=1)
        view = export(app, 1, cut, tmp_path / "adapter", override="a trial", dry_run=True)
        assert export(app, 1, ExportForm(format=HF), tmp_path / "model", dry_run=True).matrices == ()
        assert list(tmp_path.glob("adapter*")) == list(tmp_path.glob("model*")) == []
        assert export(app, 1, cut, tmp_path / "adapter", override="a trial") == view
    assert len(view.matrices) == 2
    for matrix in view.matrices:
        assert (matrix.rank, matrix.full_rank) == (1, 2)
        assert 0 < matrix.relative_loss < 1
    assert (tmp_path / "adapter" / "adapter_config.json").is_file()


def test_what_can_not_be_exported(built: Site, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with built.app() as app:
        with pytest.raises(NotFound, match="Version 7 is not built"):
            export(app, 7, ExportForm(format=HF), tmp_path / "model")
        for dry_run in (True, False):
            with pytest.raises(StoreError, match="full"):
                export(app, 1, ExportForm(format=HF), tmp_path / "full", dry_run=dry_run)
    built.config.write_text(built.config.read_text().replace("[edit]", 'dtype = "bfloat16"\n[edit]'))
    with built.app() as app, pytest.raises(ModelError, match="another base"):
        export(app, 1, ExportForm(format=HF), tmp_path / "model")
    assert not (tmp_path / "model").exists()
