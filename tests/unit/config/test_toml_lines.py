"""Lines of values in TOML files."""

from __future__ import annotations

import tomllib

import pytest

from kbsync.config.toml_lines import Location, TomlLines

SOURCE = '''# [not] = "a header"
name = "a # b"
list = ["x", 'y', # "z",
  """two
lines""",
  "after",
]
[table.inner]  # = [
a.b = 1
"quo ted".c = [["nested", 2], {d = [3,
  4]},
  5]
[[several]]
e = 6
[several.under]
f = 7
[[several]]
[several.under]
f = [8,
  9]
'''


@pytest.mark.parametrize(
    ("location", "line"),
    [
        (("name",), 2),
        (("list",), 3),
        (("list", 0), 3),
        (("list", 1), 3),
        (("list", 2), 4),
        (("list", 3), 6),
        (("list", 9), 3),
        (("table",), 8),
        (("table", "inner"), 8),
        (("table", "inner", "a", "b"), 9),
        (("table", "inner", "quo ted", "c"), 10),
        (("table", "inner", "quo ted", "c", 2), 12),
        (("several", 0, "e"), 14),
        (("several", 0, "under", "f"), 16),
        (("several", 1), 17),
        (("several", 1, "under", "f", 1), 20),
        (("nowhere",), None),
        ((), None),
    ],
)
def test_a_value_has_its_line_or_that_of_what_is_around_it(location: Location, line: int | None) -> None:
    assert tomllib.loads(SOURCE)
    assert TomlLines(SOURCE).of(location) == line
