"""The texts of the queries: what they ask for, what may become part of them, and that parsers accept them."""

from __future__ import annotations

import re

import pyoxigraph
import pytest
from rdflib.plugins.sparql import prepareQuery

from kbsync.config.values import is_language
from kbsync.domain.errors import BadIdentifier
from kbsync.domain.statement import ItemId, PropertyId
from kbsync.wikidata import queries
from kbsync.wikidata.answers import Term
from kbsync.wikidata.queries import Shape, Vocabulary

Q1, Q2 = ItemId("Q1"), ItemId("Q2")
P35, P36 = PropertyId("P35"), PropertyId("P36")
OTHER = Vocabulary(base="https://wikibase.example", start="P7", end="P8", point="P9")


def uri(text: str) -> Term:
    return Term("uri", text)


def texts(vocabulary: Vocabulary) -> dict[str, str]:
    """Every query, in both shapes where these differ."""
    found = {
        "server_time": queries.server_time(vocabulary),
        "probe": queries.probe(vocabulary),
        "labels": queries.labels([Q1, Q2], "pt-br", vocabulary),
        "subjects": queries.subjects(
            "?item p:P35 []", after=f"{vocabulary.base}/entity/Q7", limit=9, vocabulary=vocabulary
        ),
    }
    for shape in Shape:
        found[f"heads {shape}"] = queries.heads([Q1, Q2], shape, vocabulary)
        found[f"records {shape}"] = queries.records([Q1, Q2], [P35, P36], "en", shape, vocabulary)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("vocabulary", [Vocabulary(), OTHER, Vocabulary(start="", end="", point="")])
def test_two_parsers_accept_every_query(vocabulary: Vocabulary) -> None:
    """Either raises for a text that is not SPARQL 1.1."""
    store = pyoxigraph.Store()
    for text in texts(vocabulary).values():
        prepareQuery(text)
        store.query(text)


def test_they_are_standard_sparql() -> None:
    for name, text in texts(Vocabulary()).items():
        body = text.removeprefix(Vocabulary().prefixes)
        assert not re.search(r"\bSERVICE\b|\bhint:|\bbd:|\bmwapi\b", body), name
        assert not re.search(r"\?[a-z]+ \?[a-z]+ \?", body.partition("WHERE")[2].partition("GROUP")[0]), name


def test_every_branch_has_its_own_values() -> None:
    query = queries.records([Q1, Q2], [P35, P36], "en", Shape.SERVICE)
    assert (
        query.count("VALUES ?item { wd:Q1 wd:Q2 }") == 1 + 2 * 2 + 2 * 3
    )  # heads; names, counted; statements, counted
    assert query.count("?item p:P35 ?st") == query.count("?item p:P36 ?st") == 3


def test_the_shape_says_where_revisions_are() -> None:
    assert "?item schema:version ?rev" in queries.heads([Q1], Shape.SERVICE)
    assert "?data schema:about ?item ; schema:version ?rev" in queries.heads([Q1], Shape.DUMP)


@pytest.mark.parametrize("wrong", ["", "Q0", "Q1 } #", "P31", "q1"])
def test_only_identifiers_become_text(wrong: str) -> None:
    with pytest.raises(BadIdentifier):
        queries.heads([wrong], Shape.DUMP)
    with pytest.raises(BadIdentifier):
        queries.labels([Q1, wrong], "en")
    with pytest.raises(BadIdentifier):
        queries.records([wrong], [P35], "en", Shape.DUMP)
    with pytest.raises(BadIdentifier):
        queries.records([Q1], ["P35 ?st } #"], "en", Shape.DUMP)


@pytest.mark.parametrize("wrong", ["", "EN", "e", 'en") . ?a ?b ?c', "en_GB"])
def test_only_language_codes_become_text(wrong: str) -> None:
    with pytest.raises(BadIdentifier, match="language code"):
        queries.labels([Q1], wrong)


@pytest.mark.parametrize("code", ["zh-hant", "mul", "simple", "zh-classical", "be-x-old", "zh-min-nan"])
def test_wikidatas_codes_are_known_to_be_such(code: str) -> None:
    assert queries.language_code(code) == code
    assert is_language(code)
    assert not is_language("edit")


def test_a_page_of_subjects_begins_after_the_last_one() -> None:
    query = queries.subjects("?item p:P35 []", after="http://www.wikidata.org/entity/Q7", limit=9)
    assert 'STR(?item) > "http://www.wikidata.org/entity/Q7"' in query
    assert query.endswith("ORDER BY STR(?item) LIMIT 9") and "OFFSET" not in query


def test_of_another_wikibase_only_its_own_items_are_items() -> None:
    own, foreign = uri("https://wikibase.example/entity/Q5"), uri("http://www.wikidata.org/entity/Q5")
    near, literal = uri("https://wikibase.example.org/entity/Q5"), Term("literal", "https://wikibase.example/entity/Q5")
    assert OTHER.as_wikidata(own) == uri("http://www.wikidata.org/entity/Q5")
    assert OTHER.as_wikidata(uri("https://wikibase.example")) == uri("http://www.wikidata.org")
    assert OTHER.as_wikidata(uri("http://www.wikidata.org/entity/Q199")) == uri("http://www.wikidata.org/entity/Q199")
    assert OTHER.as_wikidata(foreign) == uri("https://www.wikidata.org/entity/Q5")
    assert (OTHER.as_wikidata(near), OTHER.as_wikidata(literal)) == (near, literal)
    assert Vocabulary().as_wikidata(foreign) == foreign


def test_a_wikibase_without_time_qualifiers_is_not_asked_for_them() -> None:
    only_end = Vocabulary(base="https://wikibase.example", start="", end="P8", point="")
    query = queries.records([Q1], [PropertyId("P1")], "en", Shape.SERVICE, only_end)
    assert "pq:P8" in query and "P580" not in query and "?start" not in query
    assert "wikidata.org" not in query
    with pytest.raises(BadIdentifier):
        queries.records([Q1], [PropertyId("P1")], "en", Shape.SERVICE, Vocabulary(end="P8 } #"))
