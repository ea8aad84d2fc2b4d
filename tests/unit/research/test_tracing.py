"""What a trace writes and keeps."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.traced import ASK


@pytest.mark.slow
def test_what_was_traced_is_not_traced_again(traced: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = traced.good(*ASK, "--no-plot", "--json").json
    monkeypatch.setattr("kbsync.research.tracing.trace_fact", None)
    again = traced.good(*ASK, "--no-plot", "--json").json
    assert again["effects"] == first["effects"]
