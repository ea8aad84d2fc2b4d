"""The same facts, base and recipe give the same hashes as at commit 75d00ff, which ``pinned_hashes.json`` holds.

Where a hash changes on purpose, a new file is written with ``python -m tests.support.pinned >
tests/integration/pinned_hashes.json``, and the change log says what no longer is found.

The edits' last bits are those of an AMD EPYC (Zen 5) since 2026-11-29. The same code gave the former hashes on another
processor; between the two, numbers agree to ``TOLERANCE``, and everything without rounding agrees to the last bit.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.pinned import computed
from tests.support.pinned_edits import FAMILIES, OTHERS, VARIANTS

PINNED: Mapping[str, Any] = json.loads(Path(__file__).with_name("pinned_hashes.json").read_bytes())
EVERYWHERE = ("keys", "contexts", "pressed", "plan", "build", "anchor")
"""What an edit holds that no rounding changes."""
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def now() -> dict[str, Any]:
    return computed()


def parted(pinned: Any, found: Any, place: str = "") -> Iterator[str]:
    """Where two values of JSON differ, with both values."""
    if isinstance(pinned, dict) and isinstance(found, dict):
        for name in sorted(pinned.keys() | found.keys()):
            yield from parted(pinned.get(name), found.get(name), f"{place}/{name}")
    elif pinned != found:
        yield f"{place}: {pinned} was pinned, {found} is computed now"


def equal_everywhere(edit: Mapping[str, Any]) -> dict[str, Any]:
    """What is the same on every platform."""
    return {name: value for name, value in edit.items() if name in EVERYWHERE}


def moved(pinned: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    """Where an edit differs by more than the rounding of another platform."""
    yield from parted(equal_everywhere(pinned), equal_everywhere(found))
    before, after = pinned.get("numbers", {}), found.get("numbers", {})
    if before.keys() != after.keys():
        yield f"{sorted(before)} were changed, and now {sorted(after)}"
        return
    for name, (norm, *entries) in before.items():
        least = norm * 1e-2  # an entry may be next to nothing by chance
        for old, new in zip((norm, *entries), after[name], strict=True):
            if abs(new - old) > TOLERANCE * max(abs(old), least):
                yield f"{name}: {old} was pinned, {new} is computed now"


def test_what_involves_no_rounding_is_the_same_on_every_machine(now: dict[str, Any]) -> None:
    assert list(parted(PINNED["exact"], now["exact"])) == []


@pytest.mark.parametrize("name", [*(f"{v}/{f}" for f in FAMILIES for v in VARIANTS), "stage/gemma3"])
def test_an_edit_gives_the_same_version(now: dict[str, Any], name: str) -> None:
    """To the last bit where the platform is that of the pinned hashes; elsewhere the numbers may differ by rounding."""
    compare = parted if now["platform"] == PINNED["platform"] else moved
    assert list(compare(PINNED["edits"][name], now["edits"][name])) == []


def test_no_pinned_edit_is_left_out() -> None:
    assert set(PINNED["edits"]) == {*(f"{v}/{f}" for f in FAMILIES for v in VARIANTS), "stage/gemma3"}


@pytest.mark.parametrize("name", OTHERS)
def test_another_recipe_gives_another_version_and_other_numbers(now: dict[str, Any], name: str) -> None:
    """So each comparison fails where the weights differ by little."""
    variant = OTHERS[name][0]
    pinned, found = PINNED["edits"][f"{variant}/llama"], now["others"][name]
    assert any(said.startswith("/version") for said in parted(pinned, found))
    assert any("down_proj" in said for said in moved(pinned, found))
    assert list(moved(pinned, pinned)) == []
