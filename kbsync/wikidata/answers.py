"""Decides what an endpoint's answer means: rows, or a kind of error. Pure functions of status, headers and body.

A status of 200 does not mean success, because it is sent before the query has ended: Blazegraph and Oxigraph write an
error into the middle of the JSON when the time is over, and gateways answer with pages of their own. So the content
decides. Every answer becomes rows or one of the errors that ``parse`` names.
"""

from __future__ import annotations

import email.utils
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, NoReturn

from kbsync.domain.errors import SourceDown, SourceError

MEDIA_TYPES = ("application/sparql-results+json", "application/json")

MAX_ROWS = 100_000
"""Largest number of rows in one answer. A page of items has fewer."""
MAX_TERMS = 600_000
"""Largest number of terms in one answer; each takes about 150 bytes of memory."""
LONGEST_PAUSE = timedelta(days=365)
"""A longer pause that an endpoint asks for is shortened to this."""

_TIMED_OUT = re.compile(
    r"time-?out|timed[ -]out|has been cancell?ed|deadline exceeded|time limit|estimated execution time", re.IGNORECASE
)
_QUERYS_OWN = re.compile(
    r"\b(37000|42000|22[0-9A-Z]{3}) Error|MalformedQuery|parse error|syntax error|lexical error|"
    r"not (yet )?(supported|implemented)|unsupported",
    re.IGNORECASE,
)
"""Texts with which engines say that the query itself is wrong, even with a status of 5xx: Virtuoso's SQL states for
syntax and limits, Blazegraph's exceptions. The same query would fail again."""
_TOO_MUCH = re.compile(
    r"memory (pool|limit)|out ?of ?memory|tried to allocate|too (many|large|long|big)", re.IGNORECASE
)
"""Texts with which engines say that a query exceeds their limits. A smaller query may be answered."""
_EXCERPT = 200
"""Characters of a body that go into a message."""


class QueryTimeout(SourceDown):
    """The query took longer than the endpoint's or our limit. Only a smaller query may be answered."""


class TooLarge(SourceError):
    """The query or its answer exceeds a size limit. A smaller query may be answered."""


class Transient(Exception):
    """The same query may be answered a little later. This error is not raised outside this package.

    Args:
        next_step: What the operator can do about it.
        retry_after: Seconds that the endpoint asks us to wait; None if it does not say.
        final: The class of the error that is raised after the last attempt.
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
    """An RDF term in a result."""

    kind: str
    """``uri``, ``literal`` or ``bnode``."""
    text: str
    """The IRI, the literal's text, or the blank node's label."""
    datatype: str = ""
    """IRI of a literal's datatype; empty where it has none."""
    language: str = ""
    """A literal's language in lower case; empty where it has none."""


Row = dict[str, Term]
"""Name of a variable (without ``?``) → its term; unbound variables are absent."""


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response, whatever its status."""

    status: int
    headers: Mapping[str, str]
    """Their names are in lower case."""
    body: bytes
    method: str = "POST"
    """The method of the request."""

    @property
    def text(self) -> str:
        """The body as UTF-8; invalid bytes are replaced."""
        return self.body.decode("utf-8", errors="replace")

    @property
    def excerpt(self) -> str:
        """The beginning of the body in one line, without markup, for messages."""
        plain = " ".join(re.sub(r"<[^>]*>", " ", self.text[: 10 * _EXCERPT]).split())
        return plain if len(plain) <= _EXCERPT else plain[:_EXCERPT] + "…"

    @property
    def media_type(self) -> str:
        """In lower case and without parameters; empty where there is none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


def retry_after(response: Response, now: datetime) -> float | None:
    """Seconds that ``Retry-After`` asks us to wait; None where it is absent or unreadable.

    A date is compared with the response's own ``Date``, because both come from the same clock; ``now`` is used only if
    there is no ``Date``. The result is at most ``LONGEST_PAUSE``.
    """
    text, longest = response.headers.get("retry-after", "").strip(), LONGEST_PAUSE.total_seconds()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return min(float(text), longest)
    at = _http_date(text)
    if at is None:
        return None
    seconds = (at - (_http_date(response.headers.get("date", "")) or now)).total_seconds()
    return min(max(0.0, seconds), longest)


def _http_date(text: str) -> datetime | None:
    try:
        at = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def parse(response: Response, endpoint: str, wait: float | None) -> list[Row]:
    """Read the rows of a response.

    Args:
        response: What the endpoint sent.
        endpoint: Its address, for messages.
        wait: What ``retry_after`` says of the response.

    Raises:
        QueryTimeout: The endpoint ended the query.
        TooLarge: The endpoint finds the query too large.
        Transient: Another attempt may succeed.
        SourceError: The endpoint refuses the query.
    """
    if response.status != 200:
        raise _refusal(response, endpoint, wait)
    if response.media_type not in MEDIA_TYPES:
        if _TIMED_OUT.search(response.text):
            raise _timeout(response, endpoint)
        kind = response.media_type or "an unnamed type"
        raise Transient(
            f"status 200, but {kind} instead of SPARQL results: {response.excerpt!r}.",
            next_step="Check the endpoint's address (the public service's ends in /sparql) and the user agent.",
            final=SourceError,
        )
    _refuse_cut(response, endpoint)
    try:
        text = response.body.decode(json.detect_encoding(response.body))
        document = json.loads(text, object_pairs_hook=_Reader(endpoint), parse_int=_no_number, parse_float=_no_number)
    except json.JSONDecodeError as error:
        # An error message inside the JSON begins where the parser stopped; a label before it may contain "timeout",
        # too.
        if _TIMED_OUT.search(error.doc, error.pos):
            raise _timeout(response, endpoint) from error
        raise _damaged(f"cut off or damaged at character {error.pos} of {len(error.doc)}") from error
    except UnicodeDecodeError as error:
        raise _damaged(f"not Unicode at byte {error.start}") from error
    except RecursionError as error:
        raise _damaged("nested without an end") from error
    return _rows(document, response, endpoint)


def _refuse_cut(response: Response, endpoint: str) -> None:
    """Raises ``TooLarge`` if a header says that rows are missing.

    Virtuoso sends its limit of rows if it has left some out, and an SQL state if its time was over.
    """
    rows, state = (response.headers.get(name, "") for name in ("x-sparql-maxrows", "x-sql-state"))
    if rows or state:
        why = f"no more than {rows} rows" if rows else f"those that it found in its time (state {state})"
        raise TooLarge(
            f"{endpoint} gave {why}, and the rest is missing.",
            next_step="Ask for less at once, or raise the endpoint's limit.",
        )


def _refusal(response: Response, endpoint: str, wait: float | None) -> Exception:
    """The error that a status other than 200 means."""
    status = response.status
    reason = f"status {status}" + (f", {response.excerpt!r}" if response.excerpt else "")
    if status in (408, 504) or (status >= 400 and wait is None and _TIMED_OUT.search(response.text)):
        return _timeout(response, endpoint)
    if status in (413, 414) or (status in (400, 500) and _TOO_MUCH.search(response.text)):
        return TooLarge(f"{endpoint} finds the query too large: {reason}.", next_step="Ask for less at once.")
    if status in (500, 501) and _QUERYS_OWN.search(response.text):
        return SourceError(
            f"{endpoint} can't run the query: {reason}.",
            next_step="Is a relation's subject pattern correct SPARQL? Else this engine can't be used.",
        )
    if status == 429 or status >= 500:
        overloaded = status in (429, 503)
        step = "The endpoint is overloaded; the next pull tries again." if overloaded else "The endpoint is failing."
        return Transient(reason + ".", next_step=step, retry_after=wait)
    if 300 <= status < 400:
        target = response.headers.get("location", "an unnamed address")
        return SourceError(
            f"{endpoint} redirects to {target} (status {status}), and a redirected query loses its text.",
            next_step="Set the endpoint to the address that answers.",
        )
    hints = {
        400: "It does not understand the query: is a relation's subject pattern correct SPARQL?",
        401: "It wants credentials, which kbsync does not send.",
        404: "There is no endpoint at this address (the public service's ends in /sparql).",
    }
    return SourceError(
        f"{endpoint} refuses the query: {reason}.", next_step=hints.get(status, "Check the endpoint's address.")
    )


def _timeout(response: Response, endpoint: str) -> QueryTimeout:
    return QueryTimeout(
        f"{endpoint} gave up on the query (status {response.status}).", next_step="Ask for less at once."
    )


def _damaged(how: str) -> Transient:
    return Transient(f"status 200, but the answer is {how}.", next_step="The next pull tries again.")


def _rows(document: Any, response: Response, endpoint: str) -> list[Row]:
    """Check that the document is in the SPARQL 1.1 Query Results JSON Format, and return its rows."""
    try:
        bindings = document["results"]["bindings"]
        if not isinstance(bindings, list):
            raise TypeError("bindings is not a list")
        for binding in bindings:
            if not isinstance(binding, dict) or any(type(term) is not Term for term in binding.values()):
                raise TypeError("a binding is no row of terms")
        return bindings
    except (KeyError, TypeError, IndexError) as error:
        if _TIMED_OUT.search(response.text) and not (isinstance(document, dict) and "results" in document):
            raise _timeout(response, endpoint) from error
        raise Transient(
            f"status 200, but the JSON holds no SPARQL results: {response.excerpt!r}.",
            next_step="Check the endpoint's address.",
            final=SourceError,
        ) from error


class _Reader:
    """Turns the objects of a JSON document into terms while it is parsed, and counts them. Plain objects would take ten
    times the memory, and could be counted only after all of them were parsed."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._rows = self._terms = 0
        self._known: dict[str, str] = {}

    def __call__(self, pairs: list[tuple[str, Any]]) -> Term | dict[str, Any]:
        found = dict(pairs)
        if (term := self._term(found)) is not None:
            self._terms += 1
            return term if self._terms <= MAX_TERMS else _too_many(self._endpoint, f"{MAX_TERMS} terms")
        self._rows += 1
        return found if self._rows <= MAX_ROWS else _too_many(self._endpoint, f"{MAX_ROWS} rows")

    def _term(self, found: dict[str, Any]) -> Term | None:
        kind, text = _KINDS.get(str(found.get("type"))), found.get("value")
        datatype, language = found.get("datatype", ""), found.get("xml:lang", "")
        if kind is None or not all(isinstance(part, str) for part in (text, datatype, language)):
            return None
        return Term(kind, str(text), self._known.setdefault(datatype, datatype), language.lower())


_KINDS = {"uri": "uri", "literal": "literal", "typed-literal": "literal", "bnode": "bnode"}


def _no_number(_: str) -> None:
    """Reads no number: results need none, and one of a million digits would take minutes."""


def _too_many(endpoint: str, what: str) -> NoReturn:
    raise TooLarge(f"{endpoint} answered with more than {what}.", next_step="Ask for less at once.")
