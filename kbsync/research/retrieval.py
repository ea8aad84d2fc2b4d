"""Sentences that fit a question: BM25 (Robertson and Walker, 1994), by the library bm25s."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from kbsync.domain.errors import DataError


class Retriever:
    """Searches sentences by the words that they share with a question."""

    def __init__(self, sentences: Sequence[str]) -> None:
        """Index the sentences; raises ``DataError`` where there is none, or where bm25s is missing."""
        require_bm25s()
        if not sentences:
            raise DataError("There is no sentence to search.")
        import bm25s

        self._sentences = list(sentences)
        self._index: Any = bm25s.BM25()
        self._index.index(self._tokens(self._sentences), show_progress=False)

    def best(self, question: str, count: int) -> list[str]:
        """At most ``count`` sentences, the best one first; none that shares no word with the question."""
        most = min(count, len(self._sentences))
        places, scores = self._index.retrieve(self._tokens([question]), k=most, show_progress=False)
        return [self._sentences[int(p)] for p, score in zip(places[0], scores[0], strict=True) if score > 0]

    @staticmethod
    def _tokens(texts: list[str]) -> Any:
        import bm25s

        return bm25s.tokenize(texts, stopwords="en", show_progress=False)


def require_bm25s() -> None:
    """Raise ``DataError`` if bm25s is missing."""
    if find_spec("bm25s") is None:
        raise DataError("The retriever needs bm25s.", next_step="Install it: pip install 'kbsync[research]'")
