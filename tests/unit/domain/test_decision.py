"""A person's decision about a fact, as people read it."""

from __future__ import annotations

import pytest

from kbsync.domain.decision import Decision, DecisionKind
from kbsync.domain.fact import FactKey
from kbsync.domain.statement import ItemId, PropertyId
from kbsync.testing.samples import NOW


@pytest.mark.parametrize(
    ("kind", "reason", "text"),
    [
        (DecisionKind.PIN, "the gazette is wrong", "pinned by cli:alice: the gazette is wrong"),
        (DecisionKind.EXCLUDE, "", "excluded by cli:alice"),
    ],
)
def test_a_decision_says_who_decided_what_and_why(kind: DecisionKind, reason: str, text: str) -> None:
    key = FactKey(ItemId("Q38"), PropertyId("P36"))
    assert str(Decision(key=key, kind=kind, reason=reason, actor="cli:alice", at=NOW)) == text


def test_every_kind_of_decision_has_its_verb() -> None:
    key = FactKey(ItemId("Q38"), PropertyId("P36"))
    texts = {str(Decision(key=key, kind=kind, reason="", actor="a", at=NOW)) for kind in DecisionKind}
    assert len(texts) == len(DecisionKind)
