"""The check of the phrasings, through ``kbsync doctor``."""

from __future__ import annotations

from typing import Any

from tests.support.doctor import check

MORE = """
[phrasings.edit]
statement = ["The capital of {} is", "{} is governed from", "The seat of government of {} is"]
question = ["What is the capital of {}?", "Which city is the capital of {}?"]
[phrasings.held_out]
statement = ["{}, whose capital is", "{} has as its capital", "The capital city of {} is called"]
question = ["From where is {} governed?", "What do they call the capital of {}?"]
"""


def test_relations_with_few_phrasings_are_named_with_what_they_lack(cli: Any) -> None:
    file = cli.config.parent / "relations" / "capital.toml"
    text = file.read_text(encoding="utf-8").partition("[phrasings.edit]")[0]
    file.write_text(text + MORE, encoding="utf-8")
    found = check(cli("doctor", "--json"), "phrasings")
    assert found["level"] == "warning" and "[phrasings.held_out]" in found["next_step"]
    assert found["detail"] == (
        "head-of-government: 1 edit phrasings where there should be 5, 0 edit questions where there should be 2, "
        "1 held_out phrasings where there should be 5, 0 held_out questions where there should be 2"
    )


def test_enough_phrasings_are_counted(cli: Any) -> None:
    for file in sorted((cli.config.parent / "relations").glob("*.toml")):
        text = file.read_text(encoding="utf-8").partition("[phrasings.edit]")[0]
        file.write_text(text + MORE, encoding="utf-8")
    found = check(cli("doctor", "--json"), "phrasings")
    assert (found["level"], found["detail"]) == ("ok", "20 phrasings of 2 relations")
