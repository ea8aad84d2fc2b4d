"""The frame of the hardening evidence: runs of parts are merged, and what nobody measured is not called met."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kbsync.operations.evidence import at_least, at_most, write_evidence
from tests.evidence.hardening.cases import run as run_cases
from tests.evidence.hardening.measure import measure_hardening
from tests.evidence.hardening.parts import PARTS, Measured, Owed, Part
from tests.support.evidence_cli import run


class Fixed(Part):
    """A part that is there and measures what it is told."""

    __slots__ = ()
    written = property(lambda self: True)

    def measure(self, seed: int) -> Measured:
        return Measured(figures={"a.tried": 7, "a.passed": seed}, bounds={"a.tried": 7}, details={"seen": seed})


A = Fixed("a", "a", (Owed("a.tried", "tries", at_least, None), Owed("a.passed", "tries", at_most, 0)))
B = Part("b", "not_written", (Owed("b.seconds", "s", at_most, 1),))


def test_a_part_that_is_not_there_is_missing_and_its_demand_is_not_met(tmp_path: Path) -> None:
    document = measure_hardening((), 0, tmp_path / "h.json", [A, B])
    assert [(f["name"], f["value"], f["holds"]) for f in document["figures"]] == [
        ("a.tried", 7, True),
        ("a.passed", 0, True),
        ("b.seconds", None, False),
    ]
    assert document["parts"]["a"]["details"] == {"seen": 0}
    assert "b" not in document["parts"]


def test_figures_of_parts_that_do_not_run_now_stay_as_an_earlier_run_left_them(tmp_path: Path) -> None:
    output = tmp_path / "h.json"
    write_evidence(output, measure_hardening((), 3, output, [A, B]))
    again = measure_hardening(["b"], 0, output, [A, B])
    assert [(f["name"], f["value"], f["holds"]) for f in again["figures"]][:2] == [
        ("a.tried", 7, True),
        ("a.passed", 3, False),
    ]
    assert again["parts"] == json.loads(output.read_text(encoding="utf-8"))["parts"]


def test_the_figures_have_the_names_and_bounds_that_were_agreed() -> None:
    owed = {o.name: (o.demand.__name__, o.bound) for part in PARTS for o in part.owes}
    assert owed == {
        "vandal.histories": ("at_least", 10_000),
        "vandal.believed": ("at_most", 0),
        "honest.missed": ("at_most", 0),
        "fuzz.cases": ("at_least", 100_000),
        "fuzz.untyped": ("at_most", 0),
        "sql.statements": ("at_least", 1_000),
        "sql.unseen": ("at_most", 0),
        "secrets.planted": ("at_least", None),
        "secrets.told": ("at_most", 0),
        "silent.health_seconds": ("at_most", 1),
        "facts_page.seconds@1000000": ("at_most", 0.3),
        "status.seconds@1000000": ("at_most", 0.3),
        "plan.gibibytes@1000000": ("at_most", 1.5),
        "plan.seconds@1000000": ("at_most", 600),
        "audit_verify.gibibytes@1000000": ("at_most", 1.5),
        "audit_verify.seconds@1000000": ("at_most", 600),
        "verify.gibibytes@1000000": ("at_most", 1.5),
        "verify.seconds@1000000": ("at_most", 600),
        "cases.failed": ("at_most", 0),
    }


def test_an_unknown_part_is_wrong_usage() -> None:
    assert "there is no part 'sleep'" in run("hardening", "--only", "sleep", code=2).stderr


def test_a_missing_part_ends_with_code_1_and_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.evidence.hardening.measure.measure_hardening.__defaults__", ([A, B],))
    output = tmp_path / "h.json"
    run("hardening", "--seed", "0", "--output", str(output), code=1)
    assert json.loads(output.read_text(encoding="utf-8"))["figures"][-1]["value"] is None


def test_cases_that_fail_are_counted_and_no_case_at_all_is_no_evidence(tmp_path: Path) -> None:
    (tmp_path / "test_two.py").write_text("def test_right(): pass\ndef test_wrong(): assert False\n", encoding="utf-8")
    outcomes = run_cases([str(tmp_path / "test_two.py")])
    assert sorted(outcomes.values()) == ["failed", "passed"]
    with pytest.raises(RuntimeError, match="No test was run"):
        run_cases([str(tmp_path / "test_two.py"), "-k", "nothing"])
