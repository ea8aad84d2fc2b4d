"""Processes that want the lease at once: the short form of ``python -m tests.evidence.contention``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.evidence.contention import figures_of, measure
from tests.support.ledger_fixtures import BACKENDS
from tests.support.postgres_server import shared


@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_is_released_twice_and_no_token_given_twice(backend: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}" if backend == "sqlite" else shared().database()
    counts = measure(url, processes=3, seconds=2.0, seed=1, directory=tmp_path)
    assert [f.name for f in figures_of(backend, counts) if f.holds is False] == []
    assert counts["releases"] > 0
