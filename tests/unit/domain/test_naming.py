"""Dates and quantities in words, and items by their labels."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kbsync.domain.fact import FactKey, FactState
from kbsync.domain.naming import Names, mentioned_items
from kbsync.domain.statement import ItemId, Labels, PropertyId, Value, ValueKind

METRE = {ItemId("Q11573"): Labels(item=ItemId("Q11573"), label="metre", aliases=("m",))}


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (Value(ValueKind.QUANTITY, "+8848.86", "Q11573"), ("8848.86 metre", "8,848.86 m", "8848.86")),
        (Value(ValueKind.QUANTITY, "+68000000"), ("68000000", "68,000,000")),
        (Value(ValueKind.QUANTITY, "-40"), ("-40",)),
        (Value(ValueKind.TIME, "1969-07-20T00:00:00Z", "11"), ("20 July 1969", "July 20, 1969", "1969-07-20")),
        (Value(ValueKind.TIME, "1969-07-01T00:00:00Z", "10"), ("July 1969",)),
        (Value(ValueKind.TIME, "1969-01-01T00:00:00Z", "9"), ("1969",)),
        (Value(ValueKind.TIME, "1960-01-01T00:00:00Z", "8"), ("1960s",)),
        (Value(ValueKind.TIME, "1901-01-01T00:00:00Z", "7"), ("20th century",)),
        (Value(ValueKind.TIME, "2000-01-01T00:00:00Z", "7"), ("20th century",)),
        (Value(ValueKind.TIME, "-0044-03-15T00:00:00Z", "11"), ("15 March 44 BC",)),
        (Value(ValueKind.TIME, "1969-00-00T00:00:00Z", "11"), ("1969",)),
        (Value(ValueKind.MONOLINGUAL, "Liberté", "fr"), ("Liberté",)),
        (Value(ValueKind.STRING, "FR"), ("FR",)),
    ],
)
def test_values_are_named_as_people_write_them(value: Value, names: tuple[str, ...]) -> None:
    found = Names(METRE).value(value)
    assert found.names[0] == names[0]
    assert set(names) <= set(found.names)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Point(2.35 48.85)", None),
        ("<http://www.wikidata.org/entity/Q405> Point(23.4 0.6)", None),
        ("http://www.wikidata.org/entity/P36", None),
        ("http://www.wikidata.org/entity/L123-F1", None),
        ("http://commons.wikimedia.org/data/main/Data:Paris.map", None),
        ("http://commons.wikimedia.org/wiki/Special:FilePath/Flag%20of_France.svg", "Flag of France.svg"),
        ("https://www.paris.fr/", "https://www.paris.fr/"),
        ("https://example.org/entity/about", "https://example.org/entity/about"),
    ],
)
def test_what_nobody_would_say_has_no_name(text: str, name: str | None) -> None:
    assert Names({}).value(Value(ValueKind.OTHER, text)).label == name


def test_every_way_to_write_a_day_is_a_right_answer() -> None:
    found = Names({}).value(Value(ValueKind.TIME, "-0044-03-15T00:00:00Z", "11"))
    assert found.names == ("15 March 44 BC", "March 15, 44 BC", "0044-03-15 BC")


@pytest.mark.parametrize(
    ("text", "precision", "name"),
    [
        ("-0044-01-01T00:00:00Z", 9, "44 BC"),
        ("-0044-01-01T00:00:00Z", 8, "40s BC"),
        ("-0399-01-01T00:00:00Z", 7, "4th century BC"),
        ("1101-01-01T00:00:00Z", 7, "12th century"),
        ("1901-01-01T00:00:00Z", 6, "2nd millennium"),
        ("2001-01-01T00:00:00Z", 6, "3rd millennium"),
        ("-20000-01-01T00:00:00Z", 5, "20000 BC"),
        ("1969-07-00T00:00:00Z", 11, "July 1969"),
    ],
)
def test_a_time_is_named_no_finer_than_it_is_known(text: str, precision: int, name: str) -> None:
    assert Names({}).value(Value(ValueKind.TIME, text, str(precision))).label == name


def test_a_language_without_words_of_its_own_writes_dates_in_figures_or_has_no_name_for_them() -> None:
    assert Names({}, "xx").value(Value(ValueKind.TIME, "1969-07-20T00:00:00Z", "11")).names == ("1969-07-20",)
    assert Names({}, "xx").value(Value(ValueKind.TIME, "1969-01-01T00:00:00Z", "9")).names == ("1969",)
    assert Names({}, "xx").value(Value(ValueKind.TIME, "-0044-01-01T00:00:00Z", "9")).label is None


def test_numbers_have_the_language_s_decimal_sign() -> None:
    value = Value(ValueKind.QUANTITY, "+8848.86", "Q11573")
    assert Names(METRE, "de").value(value).names[:2] == ("8848,86 metre", "8.848,86 metre")


def test_an_item_without_a_label_has_no_name() -> None:
    value = Value(ValueKind.ITEM, "Q90")
    assert Names({}).value(value).names == ()
    assert Names({ItemId("Q90"): Labels(item=ItemId("Q90"), label=None, aliases=("Paree",))}).value(value).names == (
        "Paree",
    )


def test_values_name_the_items_that_their_names_are_made_of() -> None:
    assert mentioned_items(Value(ValueKind.ITEM, "Q90")) == {"Q90"}
    assert mentioned_items(Value(ValueKind.QUANTITY, "+3", "Q11573")) == {"Q11573"}
    assert mentioned_items(Value(ValueKind.QUANTITY, "+3")) == set()
    assert mentioned_items(Value(ValueKind.STRING, "Q90")) == set()


def test_a_fact_has_the_names_of_its_subject_of_what_holds_and_of_what_held() -> None:
    state = FactState(
        values=(Value(ValueKind.ITEM, "Q64"),),
        former=(Value(ValueKind.ITEM, "Q586"),),
        statement_ids=("Q183$1",),
        references=1,
        revision=7,
        since=datetime(2026, 1, 1, tzinfo=UTC),
    )
    labels = {
        ItemId(item): Labels(item=ItemId(item), label=label)
        for item, label in (("Q183", "Germany"), ("Q64", "Berlin"), ("Q586", "Bonn"))
    }
    fact = Names(labels).fact(FactKey(ItemId("Q183"), PropertyId("P36")), state)
    assert (fact.subject_label, fact.answers[0].names, fact.former[0].names) == ("Germany", ("Berlin",), ("Bonn",))
    assert fact.state is state
