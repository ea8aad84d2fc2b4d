"""The text that perplexity is measured on when the user names none."""

from __future__ import annotations

from importlib.resources import files


def held_out() -> list[str]:
    """About forty paragraphs of encyclopedic English on general topics, written for kbsync. They name hardly any person
    or place, so an edit of facts should leave their perplexity alone."""
    text = files("kbsync.evaluation").joinpath("data/held_out.txt").read_text(encoding="utf-8")
    return [paragraph.strip() for paragraph in text.split("\n\n")]
