"""A second look at facts that an edit wrote and the model does not say: does the subject's state hold the answer?

Where the attribute lens sees it, the fact was written and is not read out; where it does not, it was not written.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from kbsync.bootstrap import App
from kbsync.domain.version import PromptOutcome, Version
from kbsync.editing.common.prompts import Unlocatable, locate
from kbsync.editing.relations.few_shot import Pair, first_token
from kbsync.editing.relations.lens import seen
from kbsync.editing.relations.linear import estimate
from kbsync.model.decoder import Decoder, discover
from kbsync.model.delta import FactorDelta, applied
from kbsync.model.hooks import frozen
from kbsync.research.linearity import Linearity, drawn
from kbsync.research.relation_pairs import RelationData
from kbsync.stages.evaluate.question import EDITED
from kbsync.stages.release.promote import current_version
from kbsync.views.lens import LENS


def look(
    app: App, relations: Sequence[RelationData], measured: Mapping[str, Mapping[str, Any]], wanted: Linearity
) -> int:
    """Look at every edited fact that the current version does not say, and put what is seen on the audit trail.

    Args:
        app: The site.
        relations: The ledger's relations.
        measured: What ``trace_relations`` found, by relation: the layer and β to look with.
        wanted: How the examples were drawn.

    Returns:
        The number of facts that were looked at; 0 where nothing fails, or no relation of theirs was measured.
    """
    with app.ledger.read() as tx:
        version = current_version(tx)
        evaluation = tx.evaluation(version.number) if version else None
    if version is None or evaluation is None or version.base_fingerprint != app.loaded.fingerprint:
        return 0
    names = {str(relation.property): relation.name for relation in app.framed}
    failing: dict[str, list[PromptOutcome]] = defaultdict(list)
    for outcome in evaluation.outcomes:
        if outcome.group == EDITED and not outcome.right and names.get(outcome.property) in measured:
            failing[names[outcome.property]].append(outcome)
    if not failing:
        return 0
    found: dict[str, Any] = {}
    by_name = {relation.name: relation for relation in relations}
    with frozen(app.loaded.model):
        for name, outcomes in sorted(failing.items()):
            found |= _looked(app, version, by_name[name], outcomes, measured[name], wanted)
    with app.ledger.write() as tx:
        tx.append_audit(LENS, app.actor, {"version": version.number, "facts": found}, app.clock.now())
    return len(found)


def _looked(
    app: App,
    version: Version,
    relation: RelationData,
    outcomes: Sequence[PromptOutcome],
    measured: Mapping[str, Any],
    wanted: Linearity,
) -> dict[str, Any]:
    """By fact, what is seen in its subject's state in the base and in the version."""
    decoder: Decoder = discover(app.loaded.model)
    tokenizer, layer = app.loaded.tokenizer, int(measured["layer"])
    operator = estimate(decoder, tokenizer, relation.template, drawn(relation, wanted)[0], [layer])[layer]
    before, _, after = relation.template.partition("{}")
    facts, prompts, wanted_ids = [], [], []
    for outcome in outcomes:
        if not (outcome.prompt.startswith(before) and outcome.prompt.endswith(after)):
            continue  # asked in another phrasing, or through a chat template: the map was not estimated for it
        subject = outcome.prompt.removeprefix(before).removesuffix(after)
        try:
            prompt = locate(tokenizer, relation.template, subject, None)
            wanted_ids.append(first_token(tokenizer, relation.template, Pair(subject, outcome.expected)))
        except Unlocatable:
            continue
        facts.append(f"{outcome.subject} {outcome.property}")
        prompts.append(prompt)
    if not prompts:
        return {}
    delta = app.store.read(version.version_hash or "").delta
    if not isinstance(delta, FactorDelta):
        raise TypeError(f"a file store holds factors, not {type(delta).__name__}")
    base = seen(decoder, tokenizer, operator, float(measured["beta"]), prompts)
    with applied(app.loaded.model, delta):
        edited = seen(decoder, tokenizer, operator, float(measured["beta"]), prompts)
    return {
        fact: {
            "layer": layer,
            "base": [text for _, text in one],
            "sees": [text for _, text in other],
            "holds": token in [number for number, _ in other],
        }
        for fact, one, other, token in zip(facts, base, edited, wanted_ids, strict=True)
    }
