"""The chain of the statement history: a change, a deletion and a lost end are found and named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kbsync.domain.audit import GENESIS
from kbsync.domain.history import HistoryLink, link_hash, verify
from kbsync.testing.samples import NOW


def chain(length: int = 4) -> list[HistoryLink]:
    links, prev = [], GENESIS
    for number in range(length):
        row = {"statement_id": f"Q1$s{number}", "subject": "Q1", "property": "P36", "revision": number}
        row |= {"seen_at": NOW, "before": None, "after": f'{{"value":"Q{number}"}}'}
        prev = link_hash(prev, **row)  # type: ignore[arg-type]
        links.append(HistoryLink(seq=10 * (number + 1), hash=prev, **row))  # type: ignore[arg-type]
    return links


def test_a_whole_chain_has_no_problems_whatever_the_numbers_of_its_rows() -> None:
    links = chain()
    assert verify(links, anchors=[GENESIS, links[1].hash, links[-1].hash]) == []
    assert verify([], anchors=[GENESIS]) == []
    assert verify([replace(link, seq=link.seq + 1) for link in links]) == []


@pytest.mark.parametrize(
    "change", [{"after": None}, {"before": "{}"}, {"revision": 7}, {"statement_id": "Q1$x"}, {"property": "P6"}]
)
def test_a_changed_row_is_named(change: dict[str, object]) -> None:
    links = chain()
    links[1] = replace(links[1], **change)  # type: ignore[arg-type]
    (problem,) = verify(links)
    assert "row 20" in problem and "after row 10" not in problem.partition("followed")[0]


def test_a_missing_row_is_noticed_at_the_next_one() -> None:
    links = chain()
    (problem,) = verify([links[0], *links[2:]])
    assert problem == "row 30 (Q1$s2) was changed, or is not the one that followed row 10"
    (first,) = verify(links[1:])
    assert first.endswith("followed the beginning")


def test_a_lost_end_is_told_by_the_audit_trail() -> None:
    links = chain()
    anchors = [link.hash for link in links]
    assert verify(links[:2], anchors) == ["rows after row 20 are gone: the audit trail tells of 2 later states"]
    assert verify(links[:2]) == [], "the chain alone can't know"
