"""The tree keeps its rules: tests mirror modules, files stay short, and lines are counted rightly.

It mirrors no module of the wheel but ``tests/evidence/house.py``, and stands here to be among the fast tests.
"""

from __future__ import annotations

import pytest

from tests.evidence.house import KINDS, MIRRORED, UNIT, circles, count_lines, long_files, mirror, modules
from tests.support.paths import ROOT

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


TESTS = sorted(path.relative_to(UNIT).as_posix() for path in UNIT.rglob("test_*.py"))


def test_nearly_every_module_has_a_test_file_of_its_name() -> None:
    missing = [module.relative_to(ROOT).as_posix() for module in modules() if not mirror(module).is_file()]
    assert len(missing) <= (1 - MIRRORED) * len(modules()), missing


def test_no_test_file_is_named_after_a_module_that_is_not_there() -> None:
    orphans = [t for t in TESTS if not any((ROOT / place).is_file() for place in mirrored_by(t))]
    assert orphans == ["test_house.py"], "tests of several modules stand in tests/integration"


def test_no_file_is_long() -> None:
    assert not long_files()


def test_no_imports_make_a_circle() -> None:
    assert circles() == 0


@pytest.mark.parametrize(("kind", "lines"), zip(KINDS, (3, 1, 1, 1), strict=True))
def test_lines_are_counted_by_kind(kind: str, lines: int) -> None:
    assert count_lines(TEXT)[kind] == lines
