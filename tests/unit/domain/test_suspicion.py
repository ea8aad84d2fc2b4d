"""What a plan leaves to a person, and what it does not."""

from __future__ import annotations

from kbsync.domain.fact import FactKey
from kbsync.domain.plan import EditRequest, make_plan
from kbsync.domain.statement import ItemId, PropertyId
from kbsync.domain.suspicion import Suspicion, suspects


def request(subject: int, prop: int, target: str) -> EditRequest:
    key = FactKey(ItemId(f"Q{subject}"), PropertyId(f"P{prop}"))
    return EditRequest(
        key=key, subject=f"land {subject}", template=f"{{}} {prop}", target=target, value_hash=target, revision=1
    )


def test_a_flood_about_one_subject_is_left_out_and_the_others_go_on() -> None:
    flood = [request(1, prop, f"value {prop}") for prop in range(50)]
    others = [request(2, prop, f"value {prop}") for prop in range(3)]
    found = suspects([*flood, *others], {}, Suspicion())
    assert set(found) == {r.key for r in flood}
    assert found[flood[0].key] == "a flood: 50 new facts about Q1 at once, 20 are let through"
    plan = make_plan([*flood, *others], {}, base_fingerprint="b", recipe_fingerprint="r", predecessor=0, suspect=found)
    assert plan.requests == tuple(others)
    assert {r.key for r in plan.refused} == set(found)


def test_letters_at_random_look_like_no_name_and_a_surprising_name_does() -> None:
    names = [request(n, 36, f"Tolmstadt {n}") for n in range(6)]
    poisoned = request(9, 36, "zq#vk%xw!jf")
    costs = {r.key: -25.0 for r in names} | {poisoned.key: -80.0}
    found = suspects([*names, poisoned], costs, Suspicion())
    assert set(found) == {poisoned.key}
    assert "7.3 nats a byte, the relation's other new answers 2.3" in found[poisoned.key]
    usual = {key: cost * 2 for key, cost in costs.items()} | {poisoned.key: -80.0}
    assert suspects([*names, poisoned], usual, Suspicion()) == {}, "all names of this relation cost as much"
    acronym = request(10, 36, "UK")
    assert suspects([acronym], {acronym.key: -40.0}, Suspicion()) == {}
