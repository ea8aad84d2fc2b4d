"""The examples of the MEMIT paper's page (memit.baulab.info): facts that a model has right, wrong or outdated, and one
that no source says."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kbsync.bootstrap import App
from kbsync.demo.table import load_table
from kbsync.domain.fact import FactKey
from kbsync.domain.statement import ItemId, PropertyId
from kbsync.stages.cycle import CycleResult
from kbsync.stages.facts import believed_facts
from kbsync.stages.judged import JudgedFact
from kbsync.stages.plan import request_of

RELATIONS = {"constellation": PropertyId("P59"), "officeholder": PropertyId("P1308")}
"""Relations of the library that the demonstration watches beside those of every new site."""
EXAMPLES = (
    FactKey(ItemId("Q12124"), RELATIONS["constellation"]),  # Betelgeuse
    FactKey(ItemId("Q12980"), RELATIONS["constellation"]),  # Polaris
    FactKey(ItemId("Q693059"), RELATIONS["constellation"]),  # Arneb
    FactKey(ItemId("Q11699"), RELATIONS["officeholder"]),  # Vice President of the United States
)
JORDAN, BASEBALL = FactKey(ItemId("Q41421"), PropertyId("P641")), "baseball"
"""The page writes that Michael Jordan plays baseball. No source says so: it is written beside the versions."""
_PATTERN = re.compile(r'(?m)(?:^#[^\n]*\n)*^subject_pattern = """.*?"""\n', re.DOTALL)
TOKENS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One example."""

    fact: str
    verdict: str
    evidence: str
    """What the base says."""
    answer: str
    """What the edited model says."""


def watched_relations(shipped: Mapping[str, str]) -> dict[str, str]:
    """The relation files that the demonstration adds: the library's, with the subjects of its table by name.

    Args:
        shipped: The shipped configuration, by path.
    """
    table = load_table()
    return {
        f"relations/{name}.toml": _PATTERN.sub(
            f"subjects = {json.dumps(list(table.subjects(prop)))}\n", shipped[f"library/{name}.toml"], count=1
        )
        for name, prop in RELATIONS.items()
    }


def examples(app: App, result: CycleResult) -> list[Shown]:
    """The page's examples with their verdicts, and what the result's version and a counterfactual edit say."""
    with app.ledger.read() as tx:
        facts = believed_facts(tx, app.framed, app.base.fingerprint).some([*EXAMPLES, JORDAN])
    assert result.version and result.version.version_hash
    _, delta = app.store.read(result.version.version_hash)
    prompts = [_prompt(facts[key]) for key in EXAMPLES]
    with app.base.edited(delta) as model:
        answers = model.complete(prompts, max_new_tokens=TOKENS)
    shown = [_shown(facts[key], answer) for key, answer in zip(EXAMPLES, answers, strict=True)]
    return [*shown, _counterfactual(app, facts[JORDAN])]


def _counterfactual(app: App, judged: JudgedFact) -> Shown:
    """Write what no source says into the base, ask, and take it back."""
    other = replace(request_of(judged, app.recipe), target=BASEBALL)
    delta = app.editor().edit([other], app.recipe, app.work).delta
    with app.base.edited(delta) as model:
        (answer,) = model.complete([other.prompt], max_new_tokens=TOKENS)
    return _shown(judged, answer, f"{other.prompt} → {BASEBALL} (written, and taken back)")


def _prompt(judged: JudgedFact) -> str:
    return judged.verdict.evidence.prompt if judged.verdict else ""


def _shown(judged: JudgedFact, answer: str, fact: str = "") -> Shown:
    verdict = judged.verdict
    assert verdict is not None, f"{judged.fact.key} was not asked"
    holds = " or ".join(a.label or a.value.text for a in judged.fact.answers)
    telling = next((r for r in verdict.evidence.replies if r.matched), verdict.evidence.replies[0])
    return Shown(
        fact=fact or f"{verdict.evidence.prompt} → {holds}",
        verdict=verdict.kind.upper(),
        evidence=f"{telling.prompt} {telling.greedy.strip()}",
        answer=answer.strip(),
    )


def show(console: Console, shown: list[Shown]) -> None:
    """Print them as a table."""
    table = Table("fact", "verdict", "the base said", "after the edit", title="The examples of the paper's page")
    for example in shown:
        table.add_row(*map(escape, (example.fact, example.verdict, example.evidence, example.answer)))
    console.print(table)
