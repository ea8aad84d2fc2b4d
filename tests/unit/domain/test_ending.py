"""How a model goes on after a right answer."""

from __future__ import annotations

import pytest

from kbsync.domain.ending import Ending, ending


@pytest.mark.parametrize(
    ("continuation", "kind"),
    [
        (" Oslo", Ending.END),
        (" Oslo.", Ending.END),
        (" Oslo, the largest city. It lies", Ending.END),
        (' "Oslo".', Ending.END),
        (" the city of Oslo!", Ending.END),
        (" Oslo. Oslo is a city", Ending.END),
        (" Oslo, Oslo.", Ending.REPETITION),
        (" Oslo. Oslo. Oslo. Oslo.", Ending.REPETITION),
        (" Oslo, formerly Kristiania.", Ending.CONTRADICTION),
        (" Oslo, which is a city that lies in the south of the country.", Ending.GOES_ON),
        (" Oslo and the other", Ending.GOES_ON),
        (" Bergen.", None),
        ("", None),
    ],
)
def test_what_follows_an_answer_is_an_end_a_repetition_a_contradiction_or_more_words(
    continuation: str, kind: Ending | None
) -> None:
    assert ending(continuation, "Oslo", ("Kristiania", "")) is kind


def test_an_answer_does_not_contradict_itself_and_accents_do_not_hide_it() -> None:
    assert ending(" Élisabeth Borne.", "Elisabeth Borne", ("Élisabeth Borne",)) is Ending.END
    assert ending(" Osloer.", "Oslo") is None, "another word"
    assert ending(" Oslo.", "") is None


def test_scripts_without_blanks_and_signs_are_words_too() -> None:
    assert ending("パリです。", "パリ") is Ending.END
    assert ending("パリ、パリ", "パリ") is Ending.REPETITION
    assert ending("C++ or Java.", "C++") is Ending.END
    assert ending("C# or Java.", "C++") is None
