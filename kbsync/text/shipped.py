"""Texts that kbsync ships: for the perplexity where the user names none, and for the divergence from the base."""

from __future__ import annotations

from importlib.resources import files


def held_out() -> list[str]:
    """About forty paragraphs of encyclopedic English on general topics, written for kbsync.

    They name hardly any person or place, so that an edit of facts should not change their perplexity.
    """
    text = files("kbsync.text").joinpath("data/held_out.txt").read_text(encoding="utf-8")
    return [paragraph.strip() for paragraph in text.split("\n\n")]


def neutral() -> list[str]:
    """Beginnings of everyday sentences, written for kbsync, whose continuation is no fact about a person or place."""
    text = files("kbsync.text").joinpath("data/neutral.txt").read_text(encoding="utf-8")
    return text.split("\n")[:-1]
