"""The figures of the tree itself: lines, long files, tests that mirror modules, circles of imports, fast tests.

Lines of code are counted by the parser: what is no docstring, blank line or comment is code.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

import grimp

from kbsync.operations.evidence import Figure, at_least, at_most, evidence
from tests.support.paths import ROOT

PACKAGE = ROOT / "kbsync"
UNIT = ROOT / "tests" / "unit"
RESEARCH = (PACKAGE / "research", PACKAGE / "cli" / "research")
LONG = 300
"""No file has more lines."""
MIRRORED = 0.9
"""Least share of modules that have a test file of their name."""
KINDS = ("docstrings", "blank", "comments", "code")


def sources(*, research: bool = True) -> list[Path]:
    """Every Python file of the wheel; ``research`` says whether those of the extra are among them."""
    paths = sorted(PACKAGE.rglob("*.py"))
    return [path for path in paths if research or not any(path.is_relative_to(folder) for folder in RESEARCH)]


def modules() -> list[Path]:
    """The modules that should have a test file of their name: all but ``__init__`` and ``__main__``."""
    return [path for path in sources() if not path.name.startswith("__")]


def mirror(module: Path) -> Path:
    """Where the test of a module stands: ``tests/unit`` mirrors the package."""
    inside = module.relative_to(PACKAGE)
    return UNIT / inside.parent / f"test_{inside.name}"


def long_files() -> dict[str, int]:
    """The number of lines of each file of the wheel that has more than ``LONG``."""
    lines = {path.relative_to(ROOT).as_posix(): len(path.read_text().splitlines()) for path in sources()}
    return {name: count for name, count in lines.items() if count > LONG}


def count_lines(text: str) -> Counter[str]:
    """The lines of a Python file by kind. String literals that stand alone are docstrings, also those under a field."""
    lines = text.splitlines()
    kinds = ["code" if line.strip() else "blank" for line in lines]
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and token.line.lstrip().startswith("#"):
            kinds[token.start[0] - 1] = "comments"
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Expr(value=ast.Constant(value=str()), lineno=first, end_lineno=int(last)):
                kinds[first - 1 : last] = ["docstrings"] * (last - first + 1)
    return Counter(kinds)


def circles() -> int:
    """Imports that would have to go for no two siblings of any package to import each other, by import-linter's
    graph."""
    graph = grimp.build_graph("kbsync", cache_dir=None)
    return sum(len(graph.nominate_cycle_breakers(name)) for name in graph.modules if graph.find_children(name))


def fast_marks() -> str:
    """By which marks ``make test-fast`` chooses its tests: ``FAST`` of the Makefile."""
    found = re.search(r"^FAST = (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert found
    return found[1]


def count_tests() -> tuple[int, int]:
    """The tests that ``make test-fast`` runs, and those that ``make test`` runs; collecting takes half a minute."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-m", fast_marks()]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    every = re.search(r"(\d+) tests collected", said)
    assert every
    return sum(line.startswith("tests/unit/") for line in said.splitlines()), int(every[1])


def by_package(paths: Iterable[Path]) -> Counter[str]:
    """The number of files by the folder of ``kbsync`` that they stand in."""
    return Counter(path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in paths)


def figures() -> list[Figure]:
    """All figures of the tree; the names of packages stand for those below ``MIRRORED`` only."""
    every, mirrored = by_package(modules()), by_package(path for path in modules() if mirror(path).is_file())
    base = sum((count_lines(path.read_text()) for path in sources(research=False)), Counter[str]())
    fast, tests = count_tests()
    below = {name: mirrored[name] / every[name] for name in sorted(every) if mirrored[name] < MIRRORED * every[name]}
    return [
        Figure("lines in the wheel", sum(len(path.read_text().splitlines()) for path in sources()), "lines"),
        at_most("lines in the wheel without research", base.total(), "lines", 29_000),
        *(Figure(f"{kind} without research", base[kind], "lines") for kind in KINDS),
        at_most(f"files over {LONG} lines", len(long_files()), "files", 0),
        Figure("modules", every.total(), "modules"),
        at_least("modules with a test file of their name", mirrored.total() / every.total(), "share", MIRRORED),
        *(Figure(f"modules with a test file of their name in {name}", share, "share") for name, share in below.items()),
        at_most("imports that make a circle", circles(), "imports", 0),
        Figure("tests", tests, "tests"),
        Figure("tests that make test-fast runs", fast, "tests"),
    ]


def measure_house() -> dict[str, Any]:
    """Count everything; takes a minute."""
    started, begun = datetime.now(UTC), monotonic()
    found = figures()
    return evidence("python -m tests.evidence house", found, seed=0, started=started, seconds=monotonic() - begun)
