"""The reference page of the Python interface is what its generator makes of the docstrings."""

from __future__ import annotations

from pathlib import Path

import pytest

import kbsync.editing as ke
from docs.generate import python_reference
from docs.generate.python_reference import docstring, reference

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "python.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(), "run: make docs"


def test_every_public_name_is_on_the_page_and_described() -> None:
    page = reference()
    for name in ke.__all__:
        section = page.partition(f"\n### {name}\n")[2].partition("\n### ")[0]
        assert any(line and line[0] not in "`|#" for line in section.splitlines()), name


def test_a_name_without_a_place_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = {title: names for title, names in python_reference.GROUPS.items() if title != "Errors"}
    monkeypatch.setattr(python_reference, "GROUPS", groups)
    with pytest.raises(ValueError, match="EditError"):
        reference()


def test_the_recipes_fields_have_their_published_names() -> None:
    page = reference()
    assert "| `covariance_weight` | `mom2_update_weight` | `L2` |  |" in page
    assert "| `learning_rate` | `v_lr` |  | `lr` |" in page


def example(count: int) -> int:
    """Count ``things``.

    Like so:

        example(3)

    Args:
        count: How many; the line
            goes on.

    Returns:
        The number: one more.

    Raises:
        ValueError: There are none.
    """
    return count + 1


def test_a_docstring_in_google_form_becomes_markdown() -> None:
    assert docstring(example) == (
        "Count `things`.\n\nLike so:\n\n```python\nexample(3)\n```\n\n**Args**\n\n"
        "- `count`: How many; the line goes on.\n\n**Returns**\n\nThe number: one more.\n\n**Raises**\n\n"
        "- `ValueError`: There are none.\n"
    )
