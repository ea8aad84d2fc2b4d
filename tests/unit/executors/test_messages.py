"""What travels is checked when it arrives."""

from __future__ import annotations

import json

import pytest

from kbsync.domain.errors import ConfigError, EditError, KbsyncError, ModelError, WorkersRefused
from kbsync.executors.messages import error_message, parts_of, result_message, task_hash


@pytest.mark.parametrize("parts", [[], [b""], [b"a\nb", b"", bytes(range(256))]])
def test_the_parts_come_back(parts: list[bytes]) -> None:
    assert parts_of(result_message("k", parts), "k") == parts


def test_a_task_is_known_by_all_that_it_depends_on() -> None:
    hashes = {task_hash(*t) for t in [("a", b"b", b"c"), ("a", b"bc", b""), ("ab", b"", b"c"), ("a", b"b", b"d")]}
    assert len(hashes) == 4


@pytest.mark.parametrize("error", [ModelError("No.", kept="All.", next_step="Go."), EditError("So.")])
def test_an_error_is_raised_as_what_it_was(error: KbsyncError) -> None:
    with pytest.raises(type(error)) as raised:
        parts_of(error_message(error), "k")
    assert (raised.value.what, raised.value.kept, raised.value.next_step) == (error.what, error.kept, error.next_step)


@pytest.mark.parametrize("name", ["os", "KbsyncError2", "annotations", "Exception"])
def test_an_error_of_an_unknown_name_is_a_refusal(name: str) -> None:
    message = json.dumps({"error": name, "what": "W.", "kept": "K.", "next_step": "N."}).encode() + b"\n"
    with pytest.raises(WorkersRefused, match="W"):
        parts_of(message, "k")


def test_an_error_with_arguments_of_its_own_keeps_its_words() -> None:
    with pytest.raises(WorkersRefused, match="one mistake"):
        parts_of(error_message(ConfigError(["so"])), "k")


@pytest.mark.parametrize(
    "damage",
    [
        lambda m: m[:-1],
        lambda m: m + b"x",
        lambda m: m[:-1] + b"x",
        lambda m: b"",
        lambda m: b"{}\n",
        lambda m: b"[1]\n",
    ],
)
def test_damage_is_noticed(damage: object) -> None:
    with pytest.raises(WorkersRefused):
        parts_of(damage(result_message("k", [b"abc"])), "k")  # type: ignore[operator]


def test_the_result_of_another_task_is_refused() -> None:
    with pytest.raises(WorkersRefused, match="another task"):
        parts_of(result_message("k", [b"a"]), "l")
