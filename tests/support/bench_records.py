"""Small made-up records in the shapes of the benchmark files."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any


def published(case_id: int, subject: str, /, *, new: str = "Rome", true: str = "Paris", **more: Any) -> dict[str, Any]:
    """A CounterFact record with the fields of the published file."""
    rewrite = {
        "prompt": "{} is a city in",
        "relation_id": "P17",
        "target_new": {"str": new, "id": "Q1"},
        "target_true": {"str": true, "id": "Q2"},
        "subject": subject,
    }
    record = {
        "case_id": case_id,
        "requested_rewrite": rewrite | more.pop("rewrite", {}),
        "paraphrase_prompts": [f"Words. {subject} lies in", f"Find {subject} on a map of"],
        "neighborhood_prompts": [f"The neighbour {case_id} is a city in", f"Next to {case_id} is"],
        "attribute_prompts": ["Pisa is a city in"],
        "generation_prompts": [f"{subject} is known for", f"In {subject} people"],
    }
    return record | more


def flattened(case_id: int, subject: str, /, **more: Any) -> dict[str, Any]:
    record = {
        "case_id": case_id,
        "prompt": f"{subject} is a city in",
        "target_new": "Rome",
        "subject": subject,
        "ground_truth": "Paris",
        "rephrase_prompt": f"Words. {subject} lies in",
        "locality_prompt": f"The neighbour {case_id} is a city in",
        "locality_ground_truth": "Paris",
    }
    return record | more


def zsre(subject: str, /, **more: Any) -> dict[str, Any]:
    record = {
        "subject": subject,
        "src": f"Where does {subject} lie?",
        "pred": "Spain",
        "rephrase": f"In which land is {subject}?",
        "alt": "Chile",
        "answers": ["northern Rome", "Rome"],
        "loc": "nq question: who walked on the moon",
        "loc_ans": "Neil Armstrong",
    }
    return record | more


def write(path: Path, records: list[Any]) -> Path:
    """A JSON array; gzip where the name says so."""
    data = json.dumps(records, indent=1, ensure_ascii=False).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path
