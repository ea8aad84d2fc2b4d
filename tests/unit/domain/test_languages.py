"""Codes of languages, their tags, and what stands in for what."""

from __future__ import annotations

import pytest

from kbsync.domain.date_names import time_names
from kbsync.domain.languages import chain, tags, wanted_tags


@pytest.mark.parametrize(
    ("language", "found"),
    [
        ("en", ("en",)),
        ("pt-br", ("pt-br", "pt")),
        ("de-at", ("de-at", "de")),
        ("zh-tw", ("zh-tw", "zh-hant", "zh-hk", "zh")),
        ("nn", ("nn", "nb", "no")),
        ("be-tarask", ("be-tarask", "be")),
        ("sr-latn", ("sr-latn", "sr-el", "sr")),
        ("kk", ("kk", "kk-cyrl")),
        ("be-x-old", ("be-x-old", "be-tarask", "be")),
        ("zh-yue", ("zh-yue", "yue")),  # Cantonese is not written Chinese
        ("zh-min-nan", ("zh-min-nan", "nan")),
        ("roa-rup", ("roa-rup", "rup")),
        ("map-bms", ("map-bms",)),
        ("jv-x-bms", ("jv-x-bms", "jv")),
    ],
)
def test_forms_of_the_same_language_stand_in(language: str, found: tuple[str, ...]) -> None:
    assert chain(language) == found


def test_a_chain_ends_in_another_form_and_never_in_english() -> None:
    assert all("en" not in chain(code) for code in ("pt-br", "zh", "sr-el", "nb", "de-ch"))


@pytest.mark.parametrize(
    ("language", "found"),
    [
        ("en", ("en",)),
        ("sr-el", ("sr-el", "sr-latn")),
        ("simple", ("simple", "en-simple")),
        ("zh-hk", ("zh-hk", "zh-hant-hk")),
        ("nrm", ("nrm", "fr-x-nrm", "nrf")),
        ("als", ("als", "gsw")),
    ],
)
def test_wikidatas_codes_are_not_always_the_tags_of_its_rdf(language: str, found: tuple[str, ...]) -> None:
    assert tags(language) == found


def test_dates_of_serbian_in_latin_letters_are_in_latin_letters() -> None:
    for code in ("sr-el", "sr-latn"):
        assert time_names("1969-07-20T00:00:00Z", 11, code)[0] == "20. jula 1969."
    assert time_names("1969-07-20T00:00:00Z", 11, "sr-ec")[0] == "20. јула 1969."


def test_names_for_all_languages_come_last() -> None:
    assert wanted_tags("pt-br") == ("pt-br", "pt", "mul")
    assert wanted_tags("no") == ("no", "nb", "mul")
