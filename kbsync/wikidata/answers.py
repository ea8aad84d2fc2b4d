"""What an endpoint's answer means: rows, or which kind of error (pure functions over status, headers and bytes).

Success is judged by the content, because a status of 200 is sent before the query has run to its end: Blazegraph
and Oxigraph write their timeout into the middle of the JSON, and gateways answer with pages of their own.
"""

from __future__ import annotations

import email.utils
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from kbsync.domain.errors import SourceDown, SourceError

MEDIA_TYPES = ("application/sparql-results+json", "application/json")

_TIMED_OUT = re.compile(r"time-?out|timed[ -]out|has been cancell?ed|deadline exceeded|time limit", re.IGNORECASE)
_EXCERPT = 200


class QueryTimeout(SourceDown):
    """The question was too much for the endpoint's or our time limit. Half of it may be answered; so it is no use
    to ask the same again."""


class TooLarge(SourceError):
    """The question or its answer is above a size limit. Half of it may be answered."""


class Transient(Exception):
    """Inside this package only: the same question may be answered in a moment.

    ``retry_after`` is how many seconds the endpoint demands, None where it says nothing; ``final`` is the class of
    error that it becomes once all attempts are used up.
    """

    def __init__(
        self,
        what: str,
        *,
        next_step: str,
        retry_after: float | None = None,
        final: type[SourceError] = SourceDown,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.next_step = next_step
        self.retry_after = retry_after
        self.final = final


class Term(NamedTuple):
    """An RDF term of a result. ``kind`` is ``uri``, ``literal`` or ``bnode``."""

    kind: str
    text: str
    datatype: str = ""
    language: str = ""


Row = dict[str, Term]
"""Variable name (without ``?``) → term; unbound variables are absent."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response, whatever its status. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", errors="replace")

    @property
    def excerpt(self) -> str:
        """The beginning of the body as one line, without markup: for messages."""
        plain = " ".join(re.sub(r"<[^>]*>", " ", self.text[: 10 * _EXCERPT]).split())
        return plain if len(plain) <= _EXCERPT else plain[:_EXCERPT] + "…"

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


def retry_after(answer: Answer, now: datetime) -> float | None:
    """Seconds that ``Retry-After`` demands; None where it is absent or unreadable.

    A date is taken relative to the answer's own ``Date``: the two are by the same clock, ours may be ahead.
    """
    text = answer.headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    at = _http_date(text)
    if at is None:
        return None
    return max(0.0, (at - (_http_date(answer.headers.get("date", "")) or now)).total_seconds())


def _http_date(text: str) -> datetime | None:
    try:
        at = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def judge(answer: Answer, endpoint: str, wait: float | None) -> list[Row]:
    """The rows of a good answer.

    Raises ``QueryTimeout``, ``TooLarge``, ``Transient`` (``wait`` is its ``retry_after``), or ``SourceError``.
    """
    if answer.status != 200:
        raise _refusal(answer, endpoint, wait)
    if answer.media_type not in MEDIA_TYPES:
        if _TIMED_OUT.search(answer.text):
            raise _timeout(answer, endpoint)
        raise Transient(
            f"status 200, but {answer.media_type or 'an unnamed type'} instead of SPARQL results: {answer.excerpt!r}.",
            next_step="Check the endpoint's address (the public service's ends in /sparql) and the user agent.",
            final=SourceError,
        )
    try:
        document = json.loads(answer.body.decode("utf-8"))
    except json.JSONDecodeError as error:
        # What broke the JSON begins where the parser stopped; a label before it may well contain "timeout".
        if _TIMED_OUT.search(error.doc, error.pos):
            raise _timeout(answer, endpoint) from error
        raise _garbled(f"cut off or damaged at character {error.pos} of {len(error.doc)}") from error
    except UnicodeDecodeError as error:
        raise _garbled(f"not UTF-8 at byte {error.start}") from error
    return _rows(document, answer, endpoint)


def _refusal(answer: Answer, endpoint: str, wait: float | None) -> Exception:
    said = f"status {answer.status}" + (f", {answer.excerpt!r}" if answer.excerpt else "")
    status = answer.status
    if status in (408, 504) or (status >= 400 and wait is None and _TIMED_OUT.search(answer.text)):
        return _timeout(answer, endpoint)
    if status == 413:
        return TooLarge(f"{endpoint} finds the question too large: {said}.", next_step="Ask for less at once.")
    if status == 429 or status >= 500:
        return Transient(said + ".", next_step="The endpoint is overloaded or failing.", retry_after=wait)
    if 300 <= status < 400:
        target = answer.headers.get("location", "an unnamed address")
        return SourceError(
            f"{endpoint} redirects to {target} (status {status}), and a redirected question loses its text.",
            next_step="Set the endpoint to the address that answers.",
        )
    hint = {
        400: "It does not understand the query: is a relation's subject pattern correct SPARQL?",
        401: "It wants credentials, which kbsync does not send.",
        404: "There is no endpoint at this address (the public service's ends in /sparql).",
    }
    return SourceError(
        f"{endpoint} refuses the question: {said}.", next_step=hint.get(status, "Check the endpoint's address.")
    )


def _timeout(answer: Answer, endpoint: str) -> QueryTimeout:
    return QueryTimeout(
        f"{endpoint} gave up on the question (status {answer.status}).", next_step="Ask for less at once."
    )


def _garbled(how: str) -> Transient:
    return Transient(f"status 200, but the answer is {how}.", next_step="The next pull tries again.")


def _rows(document: Any, answer: Answer, endpoint: str) -> list[Row]:
    """Check the document's form (SPARQL 1.1 Query Results JSON Format) and take the rows out."""
    try:
        bindings = document["results"]["bindings"]
        if not isinstance(bindings, list):
            raise TypeError("bindings is not a list")
        return [{name: _term(term) for name, term in binding.items()} for binding in bindings]
    except (KeyError, TypeError, AttributeError) as error:
        if _TIMED_OUT.search(answer.text) and not (isinstance(document, dict) and "results" in document):
            raise _timeout(answer, endpoint) from error
        raise Transient(
            f"status 200, but the JSON holds no SPARQL results: {answer.excerpt!r}.",
            next_step="Check the endpoint's address.",
            final=SourceError,
        ) from error


def _term(term: Any) -> Term:
    kind, text = term["type"], term["value"]
    if kind == "typed-literal":
        kind = "literal"
    if kind not in ("uri", "literal", "bnode") or not isinstance(text, str):
        raise TypeError(f"unknown term {term!r}")
    return Term(kind, text, term.get("datatype", ""), term.get("xml:lang", "").lower())
