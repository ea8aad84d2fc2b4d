"""Facts that a model is thought to know."""

from __future__ import annotations

import json
from pathlib import Path

from kbsync.research.known import read_known


def test_known_facts_in_both_formats(tmp_path: Path) -> None:
    flat = {"subject": "Oslo", "prompt": "In Oslo one speaks", "ground_truth": "Norwegian", "target_new": "Thai"}
    (tmp_path / "cf.json").write_text(json.dumps([flat]))
    (fact,) = read_known(tmp_path / "cf.json")
    assert (fact.template, fact.subject, fact.answer) == ("In {} one speaks", "Oslo", "Norwegian")
