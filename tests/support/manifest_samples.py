"""Manifests for tests."""

from __future__ import annotations

from datetime import UTC, datetime

from kbsync.domain.canonical import content_hash
from kbsync.domain.fact import FactKey
from kbsync.domain.plan import EditRequest
from kbsync.domain.recipe import Recipe
from kbsync.domain.statement import ItemId, PropertyId
from kbsync.domain.version import EditReport, LayerReport, Manifest

REQUEST = EditRequest(
    key=FactKey(ItemId("Q142"), PropertyId("P35")),
    subject="Frankreich “{}”",
    template="The head of state of {} is",
    target="Zoë Müller",
    value_hash="5" * 64,
    revision=12345678901,
    statement_ids=("Q142$ABC",),
    base_answer=" Jacques\u2028Chirac",
)
AT = datetime(2026, 3, 1, 12, 30, 1, 234567, tzinfo=UTC)


def make_manifest(factors: dict[str, str], *, created_at: datetime = AT, seconds: float = 0.1 + 0.2) -> Manifest:
    """A manifest with something in every field, among it numbers and text that are easy to get wrong."""
    return Manifest(
        base_fingerprint="b" * 64,
        build_hash=content_hash("build"),
        recipe=Recipe(name="small", layers=(1, 2), contexts=("{}", "Well, {}")),
        requests=(REQUEST,),
        factors=factors,
        targets={REQUEST.id: "d" * 64},
        covariance_fingerprint="c" * 64,
        libraries={"torch": "2.13.0"},
        report=EditReport(
            layers=(
                LayerReport(
                    layer=1, residual_before=1e-300, residual_after=1 / 3, delta_ratio=2.5e-3, condition=1e17, ridge=0.0
                ),
            ),
            losses={REQUEST.id: 0.04},
            left_out={"e" * 64: "the prompt is longer than the context"},
            targets_reused=3,
            seconds=seconds,
        ),
        audit_head="a" * 64,
        created_at=created_at,
        artifacts={"targets/" + "7" * 64: "d" * 64},
    )
