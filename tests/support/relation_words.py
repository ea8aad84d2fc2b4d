"""A relation's phrasings for tests: its statements, and the tables of its file."""

from __future__ import annotations

import json

from kbsync.domain.phrasing import Form, Use
from kbsync.domain.relation import Relation


def statements(relation: Relation) -> tuple[str, ...]:
    """The templates of all its statements: the prompt first, then the others of the edit, then the held-out ones."""
    return tuple(t for use in Use for t in relation.templates(use, Form.STATEMENT))


def phrasing_tables(relation: Relation) -> str:
    """``[phrasings.edit]`` and ``[phrasings.held_out]`` in TOML; they go to the end of the relation's file."""
    lines = []
    for use in Use:
        lines.append(f"\n[phrasings.{use}]")
        for form in Form:
            if texts := [phrasing.text for phrasing in relation.of(use, form)]:
                lines.append(f"{form} = {json.dumps(texts, ensure_ascii=False)}")
    return "\n".join(lines) + "\n"
