"""The tree keeps its rules: tests mirror modules, files stay short, and lines are counted rightly.

It mirrors no module of the wheel but ``tests/evidence/house.py``, and stands here to be among the fast tests.
"""

from __future__ import annotations

import ast
from collections.abc import Set

import pytest

from tests.evidence.house import KINDS, MIRRORED, UNIT, circles, count_lines, fast_marks, long_files, mirror, modules
from tests.support.paths import ROOT

TRAINING = frozenset({"train_tiny_model", "make_believer", "make_served_world"})
"""What trains a transformer, in seconds."""
TEXT = '''"""Two lines
of docstring."""

X = 1  # behind code
"""Of a field."""
# A comment.
'''


def mirrored_by(test: str) -> list[str]:
    """Where the module, or the package, may stand that a test below ``tests/unit`` is named after."""
    folder, _, name = test.rpartition("/")
    place = f"{'docs/generate' if folder == 'docs' else f'kbsync/{folder}'}/{name.removeprefix('test_')}"
    return [place, f"{place.removesuffix('.py')}/__init__.py"]


def functions_that_use(names: Set[str]) -> list[ast.FunctionDef]:
    """The functions below ``tests/unit`` that name one of ``names``, or have it as an argument."""
    texts = [path.read_text(encoding="utf-8") for path in UNIT.rglob("*.py")]
    trees = [ast.parse(text) for text in texts if any(name in text for name in names)]
    functions = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return [f for f in functions if names & {getattr(n, "id", getattr(n, "arg", None)) for n in ast.walk(f)}]


TESTS = sorted(path.relative_to(UNIT).as_posix() for path in UNIT.rglob("test_*.py"))


def test_nearly_every_module_has_a_test_file_of_its_name() -> None:
    missing = [module.relative_to(ROOT).as_posix() for module in modules() if not mirror(module).is_file()]
    assert len(missing) <= (1 - MIRRORED) * len(modules()), missing


def test_no_test_file_is_named_after_a_module_that_is_not_there() -> None:
    orphans = [t for t in TESTS if not any((ROOT / place).is_file() for place in mirrored_by(t))]
    assert orphans == ["test_house.py"], "tests of several modules stand in tests/integration"


def test_no_file_is_long() -> None:
    assert not long_files()


def test_what_trains_a_transformer_is_slow() -> None:
    fixtures = {f.name for f in functions_that_use(TRAINING) if not f.name.startswith("test_")}
    tests = [f for f in functions_that_use(TRAINING | fixtures) if f.name.startswith("test_")]
    unmarked = [f.name for f in tests if "pytest.mark.slow" not in map(ast.unparse, f.decorator_list)]
    assert tests and not unmarked


def test_the_fast_tests_leave_out_what_has_a_mark_that_is_explained() -> None:
    marks = fast_marks().removeprefix("not ").split(" and not ")
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert "slow" in marks and all(f"\n| `{mark}` | " in contributing for mark in marks)


def test_no_imports_make_a_circle() -> None:
    assert circles() == 0


@pytest.mark.parametrize(("kind", "lines"), zip(KINDS, (3, 1, 1, 1), strict=True))
def test_lines_are_counted_by_kind(kind: str, lines: int) -> None:
    assert count_lines(TEXT)[kind] == lines
