"""The phrasings of every shipped relation: enough of each kind, both uses apart by their words, fit for real labels."""

from __future__ import annotations

import csv
import gzip
import re
from collections import Counter
from collections.abc import Collection, Iterator
from itertools import product

import pytest
from transformers import PreTrainedTokenizerFast

from kbsync.config.relation_file import load_relations, read_relations
from kbsync.domain.consequence import two_hop_relations
from kbsync.domain.phrasing import Form, Phrasing, Use, shortages, template
from kbsync.domain.relation import Relation
from kbsync.editing.common.prompts import locate
from tests.support.paths import DATA, ROOT
from tests.support.tiny_model import byte_level_tokenizer

CONFIG = ROOT / "config"
FACTS = DATA / "facts" / "facts_merged.tsv.gz"
FOLDERS = ("relations", "library")
LANGUAGES = ("en", "fr")

LABELS = (
    "France",
    "gold",
    "Guinea-Bissau",
    "São Paulo",
    "Tesla, Inc.",
    "The Trial",
    "What's Up, Doc?",
    "2001: A Space Odyssey",
    "S{}t",
    "東京",
)
"""Labels as Wikidata has them: with accents, punctuation, digits, in lower case, in another script; one has braces."""


def words(text: str) -> frozenset[str]:
    """The words of a text in lower case, without punctuation."""
    return frozenset(re.findall(r"[^\W_]+", text.casefold()))


FUNCTION_WORDS = words(
    """
    a about above after all am an and any anyone are around as at be because been before being beside both but by can
    could did do does doing down each else every everybody everyone for from get gets go goes going got had has have
    he her here him his how i if in inside into is it its just let like likely may me might more most must my near next
    no nor not of off on once one only onto or other our out outside over own past please same she should since so some
    someone such than that the their them then there these they this those through to together too under until up us
    very was we were what when where which while who whom whose will with without would yes yet you your
    d ll m re s t ve
    au aux ce ces cette comme d dans de des du elle en est et il ils j je l la le les leur leurs lors m on ou où par
    pour qu que quel quelle quelles quels qui s sa se ses son sont sur un une y à
    """
)
FILLERS = words("called current currently exactly know moment name named now present quick question tell today")
"""Words that may be added to any question without asking it in other words."""
IRREGULAR = {
    "born": "birth", "built": "build", "cities": "city", "countries": "country", "drawn": "draw", "drew": "draw",
    "found": "find", "held": "hold", "led": "lead", "made": "make", "people": "person", "sung": "sing", "won": "win",
    "wrote": "write",
}  # fmt: skip
FAMILY = 4
"""Words that begin with the same letters, so many of them, count as forms of one word: ``write``, ``writer``,
``written``."""
SHARED = 0.5
"""At most this part of the content words of a held-out phrasing and an edit phrasing stands in both.

Every phrasing of a relation has to name what is asked for, so they share a word or two; one that has as many words of
its own as it shares is another way to ask. Word order, inflection and fillers make no difference by this measure: "Who
was {} written by?" and "{} was written by" share everything.
"""

GENDERED = words("he she him his her hers himself herself man woman men women husband wife king queen")


def shipped() -> list[Relation]:
    """Every relation of both folders in English, and those with words of their own in other languages in these, too."""
    problems: list[str] = []
    found: list[Relation] = []
    for folder in FOLDERS:
        english, *others = ([*read_relations(CONFIG / folder, problems, language)] for language in LANGUAGES)
        found += english
        for translated in others:
            found += [r for r, source in zip(translated, english, strict=True) if r.phrasings != source.phrasings]
    assert problems == []
    return found


SHIPPED = shipped()
each_relation = pytest.mark.parametrize(
    "relation", SHIPPED, ids=[f"{r.language}-{r.name}-{i}" for i, r in enumerate(SHIPPED)]
)

TWO_HOPS = two_hop_relations(load_relations(CONFIG / "relations"))
each_with_second_hops = pytest.mark.parametrize(
    "relation", [*SHIPPED, *TWO_HOPS], ids=[f"{r.language}-{r.name}-{i}" for i, r in enumerate([*SHIPPED, *TWO_HOPS])]
)


def content_words(text: str) -> frozenset[str]:
    """The families of the words that carry a phrasing's meaning."""
    carrying = (IRREGULAR.get(word, word) for word in words(text) - FUNCTION_WORDS - FILLERS)
    return frozenset(word[:FAMILY] for word in carrying)


def shared(one: Phrasing, other: Phrasing) -> float:
    """The part of all content words of both that stands in both (the Jaccard index)."""
    first, second = content_words(one.text), content_words(other.text)
    return len(first & second) / len(first | second) if first or second else 1.0


@each_relation
def test_a_relation_has_enough_phrasings_for_both_uses(relation: Relation) -> None:
    assert shortages(relation.phrasings) == []
    for use in Use:
        assert len(relation.of(use)) >= 5
        assert len(relation.of(use, Form.QUESTION)) >= 2
        assert relation.of(use, Form.STATEMENT) and relation.of(use, Form.DIALOGUE)


@each_with_second_hops
def test_held_out_phrasings_ask_in_other_words_than_those_of_the_edit(relation: Relation) -> None:
    close = [
        (round(shared(held_out, edited), 2), held_out.text, edited.text)
        for held_out, edited in product(relation.of(Use.HELD_OUT), relation.of(Use.EDIT))
        if shared(held_out, edited) > SHARED
    ]
    assert close == []


def test_the_measure_of_shared_words_sees_through_order_inflection_and_fillers() -> None:
    edited = Phrasing("{} was written by")
    for same in (
        "Who was {} written by?",
        "What is the name of the one who wrote {}?",
        "By whom was {} written, exactly?",
    ):
        assert shared(Phrasing(same, Form.QUESTION, Use.HELD_OUT), edited) == 1.0
    assert shared(Phrasing("Literary scholars credit {} to", use=Use.HELD_OUT), edited) == 0.0


@pytest.mark.parametrize(("folder", "language"), list(product(FOLDERS, LANGUAGES)))
def test_no_phrasing_stands_twice_in_a_folder(folder: str, language: str) -> None:
    """Neither in one relation nor in two: a model could not tell which of the two is meant."""
    watched = read_relations(CONFIG / folder, [], language)
    relations = (*watched, *two_hop_relations(watched))
    wordings = Counter(phrasing.wording for relation in relations for phrasing in relation.phrasings)
    assert [wording for wording, count in wordings.items() if count > 1] == []


@each_with_second_hops
def test_each_text_has_the_shape_of_its_form(relation: Relation) -> None:
    for phrasing in relation.phrasings:
        text = phrasing.text
        assert text.count("{}") == 1, text
        assert text == " ".join(text.split()), text
        if phrasing.form is Form.STATEMENT:
            assert text[-1].isalnum(), f"{text!r} must be continued by the answer after one blank"
        else:
            assert text.endswith("?"), f"{text!r} must end with its question"


@each_with_second_hops
def test_no_phrasing_assumes_a_gender(relation: Relation) -> None:
    for phrasing in relation.phrasings:
        assert not GENDERED & words(phrasing.text), phrasing.text


@each_relation
def test_the_subject_stands_at_different_places_of_the_edit_phrasings(relation: Relation) -> None:
    """What a causal model's key at the subject holds depends on the words before it, so they must differ."""
    before = [phrasing.text.partition("{}")[0] for phrasing in relation.of(Use.EDIT)]
    assert len(set(before)) == len(before)
    lengths = {len(text.split()) for text in before}
    assert len(lengths) >= 3, before


def test_a_relation_of_both_folders_is_asked_in_the_same_words() -> None:
    watched, library = ({r.name: r for r in load_relations(CONFIG / folder)} for folder in FOLDERS)
    both = watched.keys() & library.keys()
    assert len(both) >= 18
    differing = {name for name in both if watched[name].phrasings != library[name].phrasings}
    assert differing == {"head_of_state"}  # the watch list has republics only, and says "president"


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE whose tokens are the phrasings' own words and pieces of them."""
    return byte_level_tokenizer([phrasing.text for relation in SHIPPED for phrasing in relation.phrasings], 3000)


def check_label(tokenizer: PreTrainedTokenizerFast, relation: Relation, label: str) -> None:
    """The tokens up to the subject's last one spell the words before it and the label, and no more.

    So no token of the subject reaches into the words beside it. After a statement, an answer has tokens of its own.
    """
    for phrasing in relation.phrasings:
        before, _, after = (framed := template(phrasing)).partition("{}")
        target = LABELS[0] if phrasing.form is Form.STATEMENT else None
        prompt = locate(tokenizer, framed, label, target)
        assert tokenizer.decode(list(prompt.key_ids[1:])) == before + label, phrasing.text
        assert tokenizer.decode(list(prompt.ids[1 : prompt.target])) == before + label + after, phrasing.text
        if target is not None:
            assert tokenizer.decode(list(prompt.ids[prompt.target :])) == f" {target}", phrasing.text


@each_relation
def test_the_subject_is_found_for_labels_of_every_kind(relation: Relation, tokenizer: PreTrainedTokenizerFast) -> None:
    for label in LABELS:
        check_label(tokenizer, relation, label)


@pytest.mark.skipif(not FACTS.is_file(), reason="the reference data ../shared/data is not there")
def test_the_subject_is_found_for_real_subjects_of_the_property(tokenizer: PreTrainedTokenizerFast) -> None:
    by_property: dict[str, list[Relation]] = {}
    for relation in SHIPPED:
        by_property.setdefault(relation.property, []).append(relation)
    counts: Counter[str] = Counter()
    for prop, label in real_subjects(by_property.keys(), most=8):
        for relation in by_property[prop]:
            check_label(tokenizer, relation, label)
        counts[prop] += 1
    assert len(counts) >= 40
    assert counts.total() >= 300


def real_subjects(properties: Collection[str], most: int) -> Iterator[tuple[str, str]]:
    """Properties with labels of real subjects, at most so many of each."""
    counts: Counter[str] = Counter()
    with gzip.open(FACTS, "rt", encoding="utf-8", newline="") as lines:
        for _, prop, _, subject, *_ in csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
            if prop in properties and subject.strip() and counts[prop] < most:
                counts[prop] += 1
                yield prop, subject.strip()


def test_the_second_hops_that_people_ask_have_phrasings_for_both_uses() -> None:
    assert len({relation.property for relation in TWO_HOPS}) >= 3
    for relation in TWO_HOPS:
        assert relation.of(Use.EDIT, Form.STATEMENT) and relation.of(Use.EDIT, Form.QUESTION)
        assert relation.of(Use.HELD_OUT, Form.STATEMENT) and relation.of(Use.HELD_OUT, Form.QUESTION)
