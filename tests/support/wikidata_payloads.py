"""Payloads as Wikidata publishes them: small ones of our own, and real ones, which may be absent."""

from __future__ import annotations

import gzip
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from kbsync.domain.statement import (
    ItemId,
    PropertyId,
    Rank,
    Snak,
    Statement,
    TimePoint,
    Value,
    ValueKind,
)
from tests.support.paths import DATA, ROOT

SAMPLES = ROOT / "tests" / "samples" / "wikidata"
REAL = DATA / "wikidata"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="the reference data ../shared/data/wikidata is not there")


def sample(name: str) -> str:
    """A file of ours."""
    return (SAMPLES / name).read_text(encoding="utf-8")


def members(archive: str, ending: str) -> dict[str, bytes]:
    """Content of the real files in an archive, by directory and name."""
    contents = {}
    with tarfile.open(REAL / archive) as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isfile() and member.name.endswith(ending) else None
            if content is not None:
                contents[Path(member.name).parent.name + "/" + Path(member.name).name] = content.read()
    return contents


def recent_changes() -> list[dict[str, Any]]:
    """The real recent-change events."""
    with gzip.open(REAL / "recentchange-events-2018.json.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def from_json(subject: str, claim: dict[str, Any]) -> Statement | None:
    """A claim of Wikibase's entity JSON; None for kinds of value that this test leaves out."""
    snak = claim["mainsnak"]
    value = from_datavalue(snak["datavalue"], snak["datatype"]) if snak["snaktype"] == "value" else None
    if snak["snaktype"] == "value" and value is None:
        return None
    qualifiers = claim.get("qualifiers", {})
    return Statement(
        id=claim["id"],
        subject=ItemId(subject),
        property=PropertyId(snak["property"]),
        snak=Snak(snak["snaktype"]),
        value=value,
        rank=Rank(claim["rank"]),
        start=qualifier_time(qualifiers, "P580"),
        end=qualifier_time(qualifiers, "P582"),
        point_in_time=qualifier_time(qualifiers, "P585"),
        references=len(claim.get("references", [])),
    )


def from_datavalue(data: dict[str, Any], datatype: str) -> Value | None:
    value = data["value"]
    match datatype:
        case "wikibase-item":
            return Value(ValueKind.ITEM, value["id"])
        case "string" | "external-id":
            return Value(ValueKind.STRING, value)
        case "monolingualtext":
            return Value(ValueKind.MONOLINGUAL, value["text"], value["language"])
        case "quantity":
            unit = value["unit"].rpartition("/")[2]
            amount = value["amount"]
            trimmed = amount.rstrip("0").rstrip(".") if "." in amount else amount
            return Value(ValueKind.QUANTITY, trimmed, unit if unit.startswith("Q") else "")
        case "time":
            iso = rdf_time(value["time"])
            return Value(ValueKind.TIME, iso, str(value["precision"])) if iso else None
    return None


def rdf_time(time: str) -> str | None:
    """As the RDF export writes it: no plus, first of January or of the month for 00; None before our era."""
    return (
        None if time.startswith("-") else time.removeprefix("+").replace("-00-00T", "-01-01T").replace("-00T", "-01T")
    )


def qualifier_time(qualifiers: dict[str, list[dict[str, Any]]], prop: str) -> TimePoint | None:
    times = [
        TimePoint(iso, snak["datavalue"]["value"]["precision"])
        for snak in qualifiers.get(prop, [])
        if snak["snaktype"] == "value" and (iso := rdf_time(snak["datavalue"]["value"]["time"]))
    ]
    if not times:
        return None
    return (min if prop == "P580" else max)(times, key=TimePoint.sort_key)
