"""Fixed inputs of the pinned hashes: something in every field, among it numbers and text that are easy to get wrong."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime

import torch

from kbsync.checkpoints.factors import hashes as factor_hashes
from kbsync.domain.canonical import content_hash
from kbsync.domain.fact import FactKey, value_hash
from kbsync.domain.gate import Action, GateDecision, Metric, Reason, Threshold
from kbsync.domain.interval import PairedDifference
from kbsync.domain.plan import EditPlan, EditRequest, Guard, make_plan
from kbsync.domain.recipe import Recipe
from kbsync.domain.statement import ItemId, PropertyId, Value, ValueKind
from kbsync.domain.version import EditReport, Evaluation, LayerReport, Manifest, PromptOutcome, Score
from kbsync.model.delta import FactorDelta

AT = datetime(2026, 3, 1, 12, 30, 1, 234567, tzinfo=UTC)
CAPITAL, HEAD = PropertyId("P36"), PropertyId("P35")
POLICY = (
    Threshold(metric="efficacy", at_least=0.9),
    Threshold(metric="generalization", at_least=0.5),
    Threshold(metric="specificity", at_least=0.9, min_samples=50),
    Threshold(metric="perplexity", max_growth=0.05, min_samples=1000),
    Threshold(
        metric="retention", at_least=0.9, max_drop_previous=0.05, min_samples=10, significant=True, optional=True
    ),
    Threshold(metric="norm_growth", at_most=0.5),
    Threshold(metric="efficacy_strict", at_least=0.7, action=Action.WARN, optional=True),
    Threshold(metric="specificity", max_drop_previous=0.03, min_samples=50, action=Action.WARN, optional=True),
    Threshold(metric="retention_oldest", at_least=0.9, min_samples=10, action=Action.WARN, optional=True),
    Threshold(metric="multihop", max_drop=0.1, min_samples=20, action=Action.WARN, significant=True, optional=True),
    Threshold(metric="fluency", max_drop=60.0, min_samples=8, action=Action.WARN, significant=True, optional=True),
    Threshold(metric="repetition", at_most=0.6, min_samples=8, action=Action.WARN, optional=True),
    Threshold(metric="divergence", at_most=0.2, min_samples=8, action=Action.WARN, optional=True),
)
"""A policy of every kind of bound; the shipped one is raised to what recipes reach, so its hash is not pinned."""
LIBRARIES = {"safetensors": "0.8.0", "tokenizers": "0.23.0", "torch": "2.13.0", "transformers": "5.23.0"}
ASKED, HEADED = "The capital of {} is", "The head of state of {} is"
CONTEXTS = ("The river is long. {}", "Because of it we know. {}")


def _request(number: int, property: PropertyId, subject: str, template: str, target: str) -> EditRequest:
    return EditRequest(
        key=FactKey(ItemId(f"Q{number}"), property),
        subject=subject,
        template=template,
        target=target,
        value_hash=value_hash((Value(ValueKind.STRING, target),)),
        revision=1000 + number,
        statement_ids=(f"Q{number}$1", f"Q{number}$2"),
        base_answer=" nothing",
    )


REQUESTS = (
    _request(142, CAPITAL, "France", ASKED, "Oslo"),
    _request(20, HEAD, "Norway", HEADED, "Anna Berg"),
    _request(17, CAPITAL, "東京 “{}”", ASKED, "Zoë Müller"),
    _request(38, CAPITAL, "Italy", ASKED, "Paris Rome"),
)
GUARDS = tuple(
    Guard(key=FactKey(ItemId(f"Q{number}"), CAPITAL), subject=subject, template=ASKED)
    for number, subject in ((419, "Peru"), (114, "Kenya"), (717, "Acme Inc."), (96, "Mexico"))
)
RECIPE = Recipe(
    name="pinned",
    layers=(1, 2),
    contexts=CONTEXTS,
    covariance_tokens=1000,
    covariance_weight=1.0,
    steps=4,
    learning_rate=0.1,
)
TEXTS = tuple(f"{n * n} {CONTEXTS[n % 2]} {n} of {'abcdefghij'[n % 10]} klm,{n % 7}nop." for n in range(60))
VALUES = (
    Value(ValueKind.ITEM, "Q84"),
    Value(ValueKind.TIME, "1969-07-20T00:00:00Z", "11"),
    Value(ValueKind.QUANTITY, "+8849", "Q11573"),
    Value(ValueKind.MONOLINGUAL, "Zoë “Ö”\u2028", "de"),
)


def fixed_plan() -> EditPlan:
    """A plan with every kind of entry, a refusal and guards."""
    changed = replace(REQUESTS[0], target="Bergen", value_hash="4" * 64)
    rival = replace(REQUESTS[3], key=FactKey(ItemId("Q39"), CAPITAL), target="Bern")
    gone = _request(55, CAPITAL, "Utopia", ASKED, "Amaurot")
    return make_plan(
        (*REQUESTS, rival),
        {r.key: r for r in (changed, REQUESTS[1], gone)},
        base_fingerprint="b" * 64,
        recipe_fingerprint=RECIPE.fingerprint,
        predecessor=3,
        quarantined={REQUESTS[2].key: "the gate refused it"},
        gone={gone.key: "the item was deleted"},
        guards=GUARDS[:2],
    )


def fixed_delta() -> FactorDelta:
    """Factors of fixed numbers that float32 holds exactly."""
    left = torch.arange(12, dtype=torch.float32).reshape(4, 3) / 8 - 0.5
    right = torch.arange(15, dtype=torch.float32).reshape(3, 5) / 16 - 0.25
    return FactorDelta({"layers.1.down.weight": (left, right), "layers.0.down.weight": (-left, 2 * right)})


def fixed_manifest(delta: FactorDelta) -> Manifest:
    """Something in every field, among it numbers and text that are easy to get wrong."""
    layer = LayerReport(
        layer=1, residual_before=1e-300, residual_after=1 / 3, delta_ratio=2.5e-3, condition=1e17, ridge=0.5, free=7
    )
    ids = [r.id for r in REQUESTS]
    return Manifest(
        base_fingerprint="b" * 64,
        build_hash=fixed_plan().build_hash,
        recipe=replace(RECIPE, batch=7, token_threshold=0.5, trace="f" * 64, capacity=40),
        requests=REQUESTS,
        factors=factor_hashes(delta),
        targets={i: content_hash(["target", i]) for i in ids},
        covariance_fingerprint="c" * 64,
        libraries=LIBRARIES,
        report=EditReport(
            layers=(layer, replace(layer, layer=2, free=None)),
            losses={ids[0]: 0.1 + 0.2},
            left_out={"e" * 64: "the prompt is longer than the context"},
            contexts=CONTEXTS,
            targets_reused=3,
            seconds=12.5,
            pressed={ids[1]: 4.0},
        ),
        audit_head="a" * 64,
        created_at=AT,
        guards=GUARDS,
        artifacts={"targets/" + "7" * 64: "d" * 64},
    )


def fixed_evaluation() -> Evaluation:
    metric = Metric(
        name="efficacy",
        value=0.9,
        base=1 / 3,
        samples=30,
        low=0.75,
        high=0.97,
        previous=0.8,
        against_base=PairedDifference(value=0.5, low=0.25, high=0.75, samples=30),
    )
    score = Score(probability=0.25, strict=True, success=True)
    outcome = PromptOutcome(
        group="edited",
        subject="Q142",
        property="P36",
        prompt="The capital of France is",
        expected="Oslo",
        base_answer=" Paris",
        answer=" Oslo",
        base_right=False,
        right=True,
        since=2,
        score=score,
        previous_answer=" Oslo",
        previous_right=True,
    )
    return Evaluation(
        version=4,
        metrics=(metric, Metric(name="perplexity", value=20.0, base=19.5, samples=4000)),
        decision=GateDecision(passed=True, reasons=(Reason(metric="efficacy", holds=True, text="it holds"),)),
        outcomes=(outcome,),
        at=AT,
        norm_growth={"layers.1.down.weight": 0.015625},
        previous=3,
        policy=content_hash(list(POLICY)),
    )


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
