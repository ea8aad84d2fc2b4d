"""The suite's own cases of what an attacker would do: every test marked ``hardening``, and all of ``tests/faults``."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

from tests.evidence.hardening.parts import Measured
from tests.support.paths import ROOT

MARKED: tuple[str, ...] = ("tests", "-m", "hardening")
FAULTS: tuple[str, ...] = ("tests/faults",)


def measure(seed: int) -> Measured:
    """Run the tests in processes of their own."""
    outcomes: dict[str, str] = {}
    for selection in (MARKED, FAULTS):
        outcomes |= run(selection)
    failed = sorted(name for name, outcome in outcomes.items() if outcome == "failed")
    skipped = sum(outcome == "skipped" for outcome in outcomes.values())
    details = {"run": len(outcomes) - skipped, "skipped": skipped, "failed": failed}
    return Measured(figures={"cases.failed": len(failed)}, details=details)


def run(selection: Sequence[str]) -> dict[str, str]:
    """Run the chosen tests.

    Args:
        selection: Arguments for pytest.

    Returns:
        ``passed``, ``failed`` or ``skipped`` for each test, by its name. A test that can't be collected has failed.

    Raises:
        RuntimeError: No test was run, which would be no evidence.
    """
    with tempfile.TemporaryDirectory(prefix="kbsync-cases-") as directory:
        report = Path(directory) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", *selection, f"--junit-xml={report}"]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        outcomes = dict(_outcomes(report)) if report.is_file() else {}
    if not outcomes:
        raise RuntimeError(f"No test was run by {' '.join(command)}:\n{ended.stdout[-2000:]}{ended.stderr[-2000:]}")
    return outcomes


def _outcomes(report: Path) -> Iterator[tuple[str, str]]:
    for case in ElementTree.parse(report).iter("testcase"):
        inside = {child.tag for child in case}
        outcome = "failed" if inside & {"failure", "error"} else "skipped" if "skipped" in inside else "passed"
        yield f"{case.get('classname')}::{case.get('name')}", outcome
