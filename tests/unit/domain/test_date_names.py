"""Dates and numbers in the words of languages, and read again."""

from __future__ import annotations

import pytest

from kbsync.domain.date_names import month_words, number_names, read_date, time_names, words_of
from kbsync.domain.date_words import date_words
from kbsync.domain.judging import Said, judge
from tests.support.paths import ROOT

MOON, IDES = "1969-07-20T00:00:00Z", "-0044-03-15T00:00:00Z"


@pytest.mark.parametrize(
    ("language", "day", "ides", "month", "before", "century"),
    [
        ("en", "20 July 1969", "15 March 44 BC", "July 1969", "44 BC", "20th century"),
        ("de", "20. Juli 1969", "15. März 44 v. Chr.", "Juli 1969", "44 v. Chr.", "20. Jahrhundert"),
        ("fr", "20 juillet 1969", "15 mars 44 av. J.-C.", "juillet 1969", "44 av. J.-C.", "XXe siècle"),
        ("es", "20 de julio de 1969", "15 de marzo de 44 a. C.", "julio de 1969", "44 a. C.", "siglo XX"),
        ("pt-br", "20 de julho de 1969", "15 de março de 44 a.C.", "julho de 1969", "44 a.C.", "século XX"),
        ("ca", "20 de juliol de 1969", "15 de març de 44 aC", "juliol de 1969", "44 aC", "segle XX"),
        ("pl", "20 lipca 1969", "15 marca 44 p.n.e.", "lipiec 1969", "44 p.n.e.", "XX wiek"),
        ("ru", "20 июля 1969 года", "15 марта 44 года до н. э.", "июль 1969 года", "44 год до н. э.", "XX век"),
        ("hr", "20. srpnja 1969.", "15. ožujka 44. pr. Kr.", "srpanj 1969.", "44 pr. Kr.", "20. stoljeće"),
        ("hu", "1969. július 20.", "i. e. 44. március 15.", "1969. július", "i. e. 44", "20. század"),
        ("tr", "20 Temmuz 1969", "15 Mart MÖ 44", "Temmuz 1969", "MÖ 44", "20. yüzyıl"),
        ("ja", "1969年7月20日", "紀元前44年3月15日", "1969年7月", "紀元前44年", "20世紀"),
        ("zh-tw", "1969年7月20日", "公元前44年3月15日", "1969年7月", "公元前44年", "20世紀"),
        ("ko", "1969년 7월 20일", "기원전 44년 3월 15일", "1969년 7월", "기원전 44년", "20세기"),
        ("de-at", "20. Juli 1969", "15. März 44 v. Chr.", "Juli 1969", "44 v. Chr.", "20. Jahrhundert"),
    ],
)
def test_each_language_has_its_own_words(
    language: str, day: str, ides: str, month: str, before: str, century: str
) -> None:
    assert time_names(MOON, 11, language)[0] == day
    assert time_names(IDES, 11, language)[0] == ides
    assert time_names(MOON, 10, language)[0] == month
    assert time_names(IDES, 9, language)[0] == before
    assert time_names(MOON, 7, language)[0] == century


@pytest.mark.parametrize(
    ("text", "precision", "name"),
    [
        ("-0001-01-01T00:00:00Z", 9, "1 BC"),
        ("-0400-01-01T00:00:00Z", 7, "4th century BC"),
        ("-0401-01-01T00:00:00Z", 7, "5th century BC"),
        ("-0049-01-01T00:00:00Z", 8, "40s BC"),
        ("-3000-01-01T00:00:00Z", 6, "3rd millennium BC"),
        ("-12000-01-01T00:00:00Z", 5, "10000 BC"),
        ("-25000-01-01T00:00:00Z", 5, "30000 BC"),
        ("-4000-01-01T00:00:00Z", 5, "4000 BC"),  # too small for its precision
        ("-780000-01-01T00:00:00Z", 4, "800000 BC"),
        ("-2500000-01-01T00:00:00Z", 3, "3 million years BC"),
        ("0079-01-01T00:00:00Z", 9, "AD 79"),
        ("0079-08-24T00:00:00Z", 11, "24 August AD 79"),
        ("0479-01-01T00:00:00Z", 9, "479"),
        ("0005-01-01T00:00:00Z", 8, "AD 5"),
        ("-0009-01-01T00:00:00Z", 8, "9 BC"),
        ("-13798000000-01-01T00:00:00Z", 3, "13798 million years BC"),
        ("-66000000-01-01T00:00:00Z", 2, "70 million years BC"),
        ("-4540000000-01-01T00:00:00Z", 0, "5 billion years BC"),
    ],
)
def test_every_precision_has_its_words(text: str, precision: int, name: str) -> None:
    assert time_names(text, precision, "en")[0] == name


def test_the_first_of_a_month_has_words_of_its_own_in_french_and_italian() -> None:
    first = "1969-07-01T00:00:00Z"
    assert time_names(first, 11, "fr")[:2] == ("1er juillet 1969", "1 juillet 1969")
    assert time_names(first, 11, "it")[0] == "1º luglio 1969"
    assert not any(name.startswith("1er") for name in time_names(MOON, 11, "fr"))


def test_numbers() -> None:
    assert number_names("8848.86", "en") == ("8848.86", "8,848.86")
    assert number_names("8848.86", "de-ch") == ("8848,86", "8.848,86")
    assert number_names("-40", "fr") == ("-40",)
    assert number_names("8848.86", "xx") == ("8848.86",)
    assert words_of("xx") is None


@pytest.mark.parametrize("language", date_words())
@pytest.mark.parametrize("year", [1969, 5, -44])
def test_what_is_written_is_read_again_alone_and_in_a_sentence(language: str, year: int) -> None:
    for month in range(1, 13):
        for day, precision in ((21, 11), (1, 11), (0, 10), (0, 9)):
            text = f"{'-' if year < 0 else ''}{abs(year):04d}-{month:02d}-{day or 1:02d}T00:00:00Z"
            expected = (year, 0 if precision == 9 else month, day)
            for name in time_names(text, precision, language):
                if name[:4] == f"{abs(year):04d}" and name[4:5] == "-":
                    continue  # in figures alone, which measures.py reads
                for found in (read_date(name, language, whole=True), read_date(f"x {name} x", language)):
                    assert found is not None and found[:3] == expected, name


@pytest.mark.parametrize(
    ("text", "precision", "language", "answer", "is_right"),
    [
        ("-0044-01-01T00:00:00Z", 9, "de", "im Jahr 44 vor Christus.", True),
        ("-0044-01-01T00:00:00Z", 9, "de", "44 v.u.Z.", True),
        ("-0044-03-15T00:00:00Z", 11, "fr", "le 15 mars 44 avant J.-C.", True),
        ("-0044-01-01T00:00:00Z", 9, "fr", "en 44 av. J.-C., à Rome", True),
        ("-0044-01-01T00:00:00Z", 9, "ru", "в 44 году до нашей эры.", True),
        ("-0044-01-01T00:00:00Z", 9, "ru", "44 год до н.э.", True),
        ("0044-01-01T00:00:00Z", 9, "ru", "44 году до нашей эры.", False),
        ("0079-01-01T00:00:00Z", 9, "en", "79 BC.", False),
        ("0079-01-01T00:00:00Z", 9, "en", "in 79 CE.", True),
        ("0079-01-01T00:00:00Z", 9, "en", "in the year 79.", True),
        ("0079-01-01T00:00:00Z", 9, "de", "79 v. Chr.", False),
        ("0079-01-01T00:00:00Z", 9, "ja", "紀元前79年。", False),
        ("0079-01-01T00:00:00Z", 9, "ja", "79年です。", True),
        ("-0500-01-01T00:00:00Z", 7, "en", "the fifth century BCE.", True),
        ("-0500-01-01T00:00:00Z", 7, "en", "the 5th century B.C.", True),
        ("-0500-01-01T00:00:00Z", 7, "en", "the 5th century AD.", False),
        ("-0500-01-01T00:00:00Z", 7, "es", "siglo 5 antes de Cristo.", True),
        ("0500-01-01T00:00:00Z", 7, "en", "the 5th century BC.", False),
    ],
)
def test_an_era_is_read_in_each_of_its_ways(
    text: str, precision: int, language: str, answer: str, *, is_right: bool
) -> None:
    said = judge(answer, time_names(text, precision, language)).said
    assert (said is Said.RIGHT) is is_right


def test_one_word_is_october_in_one_language_and_november_in_another() -> None:
    assert read_date("5. listopada 1990.", "hr", whole=True)[1:3] == (10, 5)  # type: ignore[index]
    assert read_date("5 listopada 1990", "pl", whole=True)[1:3] == (11, 5)  # type: ignore[index]
    assert read_date("5. listopada 1990.", "pl", whole=True) is None


def test_months_are_known_as_words_that_follow_a_number() -> None:
    assert {"juli", "července", "temmuz"} <= month_words()


def test_the_page_shows_what_each_language_writes() -> None:
    page = (ROOT / "docs" / "explanation" / "wikidata.md").read_text(encoding="utf-8")
    for language in date_words():
        shown = [(MOON, 11), (MOON, 10), (IDES, 11), (MOON, 8), (MOON, 7)]
        cells = " | ".join(time_names(text, precision, language)[0] for text, precision in shown)
        assert f"| `{language}` | {cells} |" in page
