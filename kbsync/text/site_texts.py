"""The texts of one site, as its configuration names them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kbsync.config.settings import TextSettings
from kbsync.domain.errors import ConfigError
from kbsync.ports import Work
from kbsync.text import shipped


def corpus(settings: TextSettings, directory: Path, work: Work) -> list[str]:
    """Texts for the key covariance; empty where none are configured and the model samples its own.

    Args:
        settings: Names files and data sets of the hub.
        directory: Keeps the data sets, which are fetched where they are not here yet.
        work: Shows the fetching.

    Raises:
        ConfigError: The name of a data set can't be read.
    """
    return _read([*settings.corpus, *_fetched(settings, directory, work)])


def held_out(settings: TextSettings) -> list[str]:
    """Texts for the perplexity, of ``held_out_characters`` in all; by default those that kbsync ships."""
    texts, left = [], settings.held_out_characters
    for text in _read(settings.held_out) or shipped.held_out():
        texts.append(text[:left])
        left -= len(texts[-1])
        if left <= 0:
            break
    return texts


def development(settings: TextSettings) -> list[str]:
    """Texts for the perplexity of trials: what follows those of ``held_out``, and as much of it; may be empty."""
    texts, skipped, left = [], settings.held_out_characters, settings.held_out_characters
    for text in _read(settings.held_out):
        rest = text[skipped:][:left]
        skipped = max(0, skipped - len(text))
        if rest:
            texts.append(rest)
            left -= len(rest)
        if left <= 0:
            break
    return texts


def _fetched(settings: TextSettings, directory: Path, work: Work) -> list[Path]:
    if not settings.datasets:
        return []
    from kbsync.text.dataset import DatasetName, fetch_dataset

    try:
        names = [DatasetName.parse(name) for name in settings.datasets]
    except ValueError as error:
        raise ConfigError([f"text.datasets: {error}"]) from None
    return [fetch_dataset(name, settings.dataset_characters, directory, work) for name in names]


def _read(paths: Sequence[Path]) -> list[str]:
    from kbsync.text.corpus import read_texts

    return read_texts(paths) if paths else []
