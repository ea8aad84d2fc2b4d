"""What a warning says of another quantisation is what was measured; the rest is tried in test_write.py."""

from __future__ import annotations

import json

import pytest

from kbsync.model.gguf_comparison import KEPT, KEPT_OF, GgufComparison
from tests.support.paths import ROOT


def test_what_it_costs_is_what_the_evidence_says() -> None:
    document = json.loads((ROOT / "docs" / "results" / "serving.json").read_text())
    figures = {f["name"]: (f["value"], f["unit"]) for f in document["figures"]}
    for kind, kept in KEPT.items():
        assert figures[f"requantised.{kind.lower()}_m.edited"] == (kept, f"of {KEPT_OF}"), kind


@pytest.mark.parametrize(("difference", "same"), [(0.0, True), (0.0015, True), (0.0055, False), (0.3, False)])
def test_rounding_to_bfloat16_is_the_same_base_and_q8_0_is_another(difference: float, same: bool) -> None:
    found = GgufComparison(
        names={}, differences={"blk.0.ffn_down.weight": difference}, types={"blk.0.ffn_down.weight": "Q8_0"}
    )
    assert found.same is same and bool(found.warning) is not same
    assert same or f"{difference:.2%}" in found.warning


def test_the_warning_says_what_another_quantisation_cost() -> None:
    found = GgufComparison(
        names={},
        differences={"blk.0.ffn_down.weight": 0.1, "blk.0.ffn_up.weight": 0.2},
        types={"blk.0.ffn_down.weight": "Q5_K", "blk.0.ffn_up.weight": "Q3_K"},
    )
    assert f"rounded to Q3_K/Q5_K kept {KEPT['Q3_K']} of {KEPT_OF} facts" in found.warning
